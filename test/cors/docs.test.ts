import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { createProtections } from '../../src/serve/protections.ts'
import { openConfigFolder } from '../support/config-file.ts'

const { load } = openConfigFolder()
const page = readFileSync(join(import.meta.dirname, '../../docs/cors.md'), 'utf8')

test('docs/cors.md: its configuration is one, with the defaults that it shows', () => {
  const toml = /```toml\n(.*?)```/s.exec(page)?.[1] ?? ''
  const { cors } = load(toml)
  const { routes, origins, ...rest } = cors
  assert.deepEqual([origins.length, Object.keys(routes).length], [2, 3])
  const { routes: _none, origins: _nobody, ...defaults } = load('').cors
  assert.deepEqual(rest, defaults)
})

test('docs/cors.md: every entry of its table is an origin, and what a page may read is what it says', () => {
  const entries = [...page.matchAll(/^\| `([^`]+)` \| /gm)].map(([, entry]) => entry ?? '').filter((entry) => /^http|^\*$/.test(entry))
  assert.equal(entries.length, 5)
  for (const entry of entries) assert.deepEqual(load(`[cors]\norigins = ["${entry}"]\n`).cors.origins, [entry])
  const fields = createProtections(load('[cors]\norigins = ["*"]\n')).cors.policyFor('/', 'GET').fieldsFor(undefined)
  const exposed = (fields?.['access-control-expose-headers'] ?? '').split(', ')
  const told = /A page may read, beside what every page may: (.*?)\.\n/s.exec(page)?.[1] ?? ''
  assert.deepEqual(new Set([...told.matchAll(/`([\w-]+)`/g)].map(([, name]) => name)), new Set(exposed))
})
