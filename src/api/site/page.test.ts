import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
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
  pageRoutes(app, { delivery: { isSecure: false, upgradesInsecure: false }, folder, warn: (message) => void warnings.push(message) })
  return { app, warnings }
}

const integrity = (content: string): string => `sha384-${createHash('sha384').update(content).digest('base64')}`
const loading = (name: string, content: string): string =>
  `<script type="module" src="./assets/${name}" integrity="${integrity(content)}"></script>`

test('where the page is not built there is no route, one warning, and no failure', async (t) => {
  for (const folder of [folderWith(t, {}), join(folderWith(t, {}), 'nowhere')]) {
    const { app, warnings } = serve(folder)
    assert.equal(warnings.length, 1)
    assert.match(warnings[0] ?? '', /not built/)
    assert.equal((await app.inject('/index.html')).statusCode, 404)
  }
})

test('files are read once: what comes or changes later is not served', async (t) => {
  const first = loading('index-abc.js', 'let x')
  const folder = folderWith(t, { 'index.html': first, 'assets/index-abc.js': 'let x' })
  const { app, warnings } = serve(folder)
  assert.deepEqual(warnings, [])
  writeFileSync(join(folder, 'index.html'), 'second')
  writeFileSync(join(folder, 'assets/later.js'), 'let y')
  assert.equal((await app.inject('/index.html')).body, first)
  assert.equal((await app.inject('/assets/index-abc.js')).body, 'let x')
  assert.equal((await app.inject('/assets/later.js')).statusCode, 404)
})

test('a file of another kind, or with a name that a route would read as a pattern, stops the start', (t) => {
  for (const name of ['index.js.map', 'x.html', ':id.js', '*.js', 'a b.css'])
    assert.throws(() => serve(folderWith(t, { 'index.html': '', [`assets/${name}`]: '' })), /may not have/, name)
})

test('[ASVS 3.4.3] the policy names the scripts by their digests, and nothing else may run', async (t) => {
  const { app } = serve(folderWith(t, { 'index.html': loading('a.js', 'let a'), 'assets/a.js': 'let a' }))
  const { headers } = await app.inject('/index.html')
  const policy = String(headers['content-security-policy'])
  assert.ok(policy.includes(`; script-src '${integrity('let a')}'; `), policy)
  const without = await serve(folderWith(t, { 'index.html': 'no script' })).app.inject('/index.html')
  assert.match(String(without.headers['content-security-policy']), /; script-src 'none'; /)
})

test('a build whose scripts the policy would keep from running, or would not name, stops the start', (t) => {
  const good = loading('a.js', 'let a')
  const builds: readonly (readonly [index: string, files: Readonly<Record<string, string>>, reason: RegExp])[] = [
    [good.replace(/ integrity="[^"]*"/, ''), { 'a.js': 'let a' }, /may not run/],
    [good, { 'a.js': 'let b' }, /may not run/],
    [good.replace('sha384', 'sha256'), { 'a.js': 'let a' }, /may not run/],
    [good.replace('./assets', 'https://elsewhere.example'), { 'a.js': 'let a' }, /may not run/],
    [`${good}<script>planted()</script>`, { 'a.js': 'let a' }, /may not run/],
    [`${good}<SCRIPT\nsrc="./assets/a.js">`, { 'a.js': 'let a' }, /may not run/],
    [good, { 'a.js': 'let a', 'chunk.js': 'let c' }, /does not load/],
    ['no script', { 'a.js': 'let a' }, /does not load/],
  ]
  for (const [index, files, reason] of builds) {
    const assets = Object.fromEntries(Object.entries(files).map(([name, content]) => [`assets/${name}`, content]))
    assert.throws(() => serve(folderWith(t, { 'index.html': index, ...assets })), reason, index)
  }
})
