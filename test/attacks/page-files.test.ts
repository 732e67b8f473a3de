import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'

import { type Answer, type Ask, ask, assertProblem, assertQuietLog, assertSafe } from '../support/attack.ts'
import { assertPageBuilt, pageFolder as folder } from '../support/built-page.ts'
import { raisedLimits, startServer } from '../support/server.ts'

assertPageBuilt()
const assets = readdirSync(join(folder, 'assets'))
const fileOf = (type: string): string => {
  const name = assets.find((one) => one.endsWith(type))
  assert.ok(name, `no ${type} in the built page`)
  return `/assets/${name}`
}

const server = await startServer()
after(() => server[Symbol.asyncDispose]())

const get = (target: string, fields: Ask['fields'] = {}): Promise<Answer> => ask(server, { target, fields })

/** What is the same in every answer to one request. */
const steady = (answer: Answer): string[] =>
  answer.fields.filter(([name]) => !['x-request-id', 'ratelimit', 'date'].includes(name)).map((field) => field.join())

const scriptDigest = createHash('sha384')
  .update(readFileSync(join(folder, fileOf('.js'))))
  .digest('base64')
const policy = `default-src 'none'; script-src 'sha384-${scriptDigest}'; style-src 'self'; img-src 'self'; connect-src 'self'; require-trusted-types-for 'script'; trusted-types 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; report-uri /csp-report`

const forever = 'public, max-age=31536000, immutable'

/** What browsers send (Chromium, Firefox): a navigation, a script, a stylesheet, an image. */
const accepts = {
  navigation: 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8',
  strictNavigation: 'text/html,application/xhtml+xml',
  script: '*/*',
  stylesheet: 'text/css,*/*;q=0.1',
  image: 'image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8',
}

describe('the files of the page', () => {
  const files: readonly (readonly [url: string, type: string, cache: string, csp: string, accept: readonly string[]])[] = [
    ['/index.html', 'text/html; charset=utf-8', 'no-cache', policy, [accepts.navigation, accepts.strictNavigation]],
    [fileOf('.js'), 'text/javascript; charset=utf-8', forever, "default-src 'none'", [accepts.script]],
    [fileOf('.css'), 'text/css; charset=utf-8', forever, "default-src 'none'", [accepts.stylesheet]],
    [fileOf('.svg'), 'image/svg+xml', forever, "default-src 'none'", [accepts.image]],
  ]
  for (const [url, type, cache, csp, accept] of files) {
    test(`${type}: whole, with its policy and how long it may be kept`, async () => {
      const content = readFileSync(join(folder, url))
      for (const field of [undefined, ...accept]) {
        const answer = await get(url, field === undefined ? {} : { Accept: field })
        assert.equal(answer.status, 200, answer.body)
        assertSafe(answer)
        assert.deepEqual([answer.field('content-type'), answer.field('cache-control')], [type, cache])
        assert.ok(answer.field('content-security-policy')?.startsWith(csp))
        assert.equal(answer.body, content.toString())
        // Only `total` counts them: who looks at the page loses no film by it.
        assert.match(answer.field('ratelimit-policy') ?? '', /^"total-[^,]+(, "total-[^,]+)*$/)
      }
      assertProblem(await get(url, { Accept: 'application/json' }), { status: 406, code: 'not_acceptable' })
    })

    test(`${type}: HEAD, and 304 for who has it`, async () => {
      const full = await get(url)
      const head = await ask(server, { method: 'HEAD', target: url })
      assert.deepEqual([head.status, head.body, steady(head)], [200, '', steady(full)])
      const etag = full.field('etag') ?? ''
      assert.match(etag, /^"[\w-]{22}"$/)
      for (const known of [etag, `W/${etag}`, `"x", ${etag}`, '*']) {
        const answer = await get(url, { 'If-None-Match': known })
        assert.deepEqual([answer.status, answer.body, answer.field('etag'), answer.field('cache-control')], [304, '', etag, cache])
        // Fields of a 304 replace the stored ones: the API's policy here would switch the cached page off.
        assert.equal(answer.field('content-security-policy'), full.field('content-security-policy'))
      }
      assert.equal((await get(url, { 'If-None-Match': '"x"' })).status, 200)
    })
  }

  test('with credentials nothing is stored, with wrong ones there is nothing', async () => {
    for (const [url] of files) {
      const answer = await get(url, { Authorization: `Bearer ${server.key()}` })
      assert.deepEqual([answer.status, answer.field('cache-control'), answer.field('vary')], [200, 'no-store', 'Authorization'])
      assertProblem(await get(url, { Authorization: 'Bearer x' }), { status: 401, code: 'unauthenticated' })
    }
  })

  test('all that the page names is there, and nothing of it is elsewhere or inline', () => {
    const html = readFileSync(join(folder, 'index.html'), 'utf8')
    const named = [...html.matchAll(/(?:src|href)="([^"]*)"/g)].map((match) => match[1] ?? '')
    assert.deepEqual(named.toSorted(), assets.map((name) => `./assets/${name}`).toSorted())
    assert.doesNotMatch(html, /<script(?![^>]*src=)|<style|style=|\son\w+=|https?:/)
  })

  test('the scripts of the page have at most 40 kB, gzipped', () => {
    const scripts = assets.filter((name) => name.endsWith('.js')).map((name) => readFileSync(join(folder, 'assets', name)))
    const bytes = scripts.reduce((sum, content) => sum + gzipSync(content, { level: 9 }).length, 0)
    assert.ok(bytes > 1000 && bytes <= 40_000, `${bytes} bytes`)
  })
})

describe('paths that look for other files', { concurrency: 8 }, () => {
  const js = fileOf('.js').slice('/assets/'.length)
  const paths = [
    '/assets',
    '/assets/',
    '/assets/.',
    '/assets/..',
    '/assets/../index.html',
    `/assets/../assets/${js}`,
    '/index.html/',
    '/Index.html',
    '/assets/../../../package.json',
    '/assets/..%2f..%2f..%2fpackage.json',
    '/assets/%2e%2e/%2e%2e/package.json',
    '/../package.json',
    '/assets/..\\..\\package.json',
    '/assets/..%5c..%5cpackage.json',
    '/assets/%252e%252e%252fpackage.json',
    '/assets/....//package.json',
    '/assets//etc/passwd',
    '//index.html',
    `/assets//${js}`,
    `/assets/${js}/`,
    `/assets/${js}%00.html`,
    `/assets/${js};x`,
    `/assets/${js}.map`,
    '/index.html%00',
    '/index.html%20',
    '/index.html.',
    '/index.html~',
    '/index',
    '/console/main.tsx',
    '/dist/console/index.html',
    '/assets/:name',
    '/assets/*',
    '/assets/%2a',
    `/ASSETS/${js}`,
    '/main.tsx',
    '/.vite/manifest.json',
    '/assets/__proto__',
  ]
  for (const target of paths) {
    test(target, async () => {
      const answer = await get(target)
      assert.ok([400, 404].includes(answer.status), `${answer.status} ${answer.body}`)
      assertProblem(answer, { status: answer.status, code: answer.status === 404 ? 'not_found' : 'bad_request' })
    })
  }

  test('a query, which these files do not have', async () => {
    for (const target of ['/index.html?x', `/assets/${js}?v=1`])
      assertProblem(await get(target), { status: 400, code: 'validation_failed' })
  })

  test('the log is quiet: one line each, no error', () => assertQuietLog(server))
})

test('switched off, there is no page and no file of it', async () => {
  await using without = await startServer({ toml: `${raisedLimits}\n[page]\nenabled = false\n` })
  for (const target of ['/index.html', fileOf('.js'), fileOf('.css')])
    assertProblem(await ask(without, { target }), { status: 404, code: 'not_found' })
  assert.equal((await ask(without, { target: '/' })).status, 200)
})
