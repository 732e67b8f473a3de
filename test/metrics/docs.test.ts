import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { problemKinds } from '../../src/core/errors.ts'
import { ask } from '../support/attack.ts'
import { eventually } from '../support/deadline.ts'
import { type MetricsText, scrape } from '../support/metrics-text.ts'
import { prometheusFolder } from '../support/prometheus.ts'
import { startServer } from '../support/server.ts'

const page = readFileSync(join(import.meta.dirname, '../../docs/metrics.md'), 'utf8')
const rules = readFileSync(join(prometheusFolder, 'filmgate.rules.yml'), 'utf8')
const server = await startServer()
after(() => server[Symbol.asyncDispose]())

/** What the pattern catches, sorted. */
const names = (pattern: RegExp, text: string): string[] => [...text.matchAll(pattern)].map(([, name = '']) => name).toSorted()

const words = (text: string): string[] => [...text.matchAll(/`([\w-]+)`/g)].map(([, word = '']) => word)

/** Name, type and labels, a line each. */
const documented = [...page.matchAll(/^\| `([a-z\d_]+)` \| (counter|gauge|histogram) \| (.*?) ?\| /gm)].map(
  ([, name = '', type = '', labels = '']) => `${name} ${type} ${words(labels).join(',')}`,
)

const told = ({ families, samples }: MetricsText): string[] =>
  [...families].map(([name, { type }]) => {
    const own = samples.filter((sample) => sample.name === name || sample.name.replace(/_(bucket|sum|count)$/, '') === name)
    const labels = own.flatMap((sample) => Object.keys(sample.labels)).filter((label) => label !== 'le')
    return `${name} ${type} ${[...new Set(labels)].join(',')}`
  })

test('docs/metrics.md has every metric of /metrics, with its type and labels, and no other', async () => {
  await ask(server, { target: '/' })
  let text = await scrape(server)
  // The engine tells of a collection a moment later.
  await eventually(30_000, 'every family has a sample', async () => {
    text = await scrape(server)
    return [...text.families.keys()].every((name) => text.samples.some((sample) => sample.name.startsWith(name)))
  })
  assert.deepEqual(documented.toSorted(), told(text).toSorted())
})

test('its table of layers has every layer and code that refusals begin with, and no other', async () => {
  const text = await scrape(server)
  const series = text.samples.filter(({ name }) => name === 'filmgate_refusals_total').map(({ labels }) => labels)
  const rows = [...(/## The layers of refusals\n([^#]*)/.exec(page)?.[1] ?? '').matchAll(/^\| (`.*?) \| (.*) \|$/gm)]
  const [layers, codes] = [1, 2].map((column) => [...new Set(rows.flatMap((row) => words(row[column] ?? '')))].toSorted())
  assert.deepEqual(
    layers?.filter((word) => word !== 'layer'),
    [...new Set(series.map(({ layer = '' }) => layer))].toSorted(),
  )
  assert.deepEqual(
    codes?.filter((word) => word !== 'code'),
    Object.keys(problemKinds).toSorted(),
  )
})

test('its table of alerts has every alert of the rules, and no other', () => {
  assert.deepEqual(names(/^\| `(Filmgate\w+)` \|/gm, page), names(/^ +- alert: (\w+)$/gm, rules))
})
