import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import Fastify from 'fastify'

import { pageRoutes } from './page.ts'

const folderWith = (t: TestContext, files: Readonly<Record<string, string>>): string => {
  const folder = mkdtempSync(join(tmpdir(), 'filmgate-page-'))
  t.after(() => rmSync(folder, { recursive: true }))
  mkdirSync(join(folder, 'assets'))
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content)
  return folder
}

const serve = (folder: string) => {
  const app = Fastify()
  app.decorateRequest('principal', null)
  const warnings: string[] = []
  pageRoutes(app, { folder, warn: (message) => void warnings.push(message) })
  return { app, warnings }
}

test('where the page is not built there is no route, one warning, and no failure', async (t) => {
  for (const folder of [folderWith(t, {}), join(folderWith(t, {}), 'nowhere')]) {
    const { app, warnings } = serve(folder)
    assert.equal(warnings.length, 1)
    assert.match(warnings[0] ?? '', /not built/)
    assert.equal((await app.inject('/index.html')).statusCode, 404)
  }
})

test('files are read once: what comes or changes later is not served', async (t) => {
  const folder = folderWith(t, { 'index.html': 'first', 'assets/index-abc.js': 'let x' })
  const { app, warnings } = serve(folder)
  assert.deepEqual(warnings, [])
  writeFileSync(join(folder, 'index.html'), 'second')
  writeFileSync(join(folder, 'assets/later.js'), 'let y')
  assert.equal((await app.inject('/index.html')).body, 'first')
  assert.equal((await app.inject('/assets/index-abc.js')).body, 'let x')
  assert.equal((await app.inject('/assets/later.js')).statusCode, 404)
})

test('a file of another kind, or with a name that a route would read as a pattern, stops the start', (t) => {
  for (const name of ['index.js.map', 'x.html', ':id.js', '*.js', 'a b.css'])
    assert.throws(() => serve(folderWith(t, { 'index.html': '', [`assets/${name}`]: '' })), /may not have/, name)
})
