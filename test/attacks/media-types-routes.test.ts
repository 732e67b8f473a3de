import assert from 'node:assert/strict'
import { METHODS } from 'node:http'
import { after, describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'

import type { RouteEntry } from '../../src/layers/index.ts'
import { openAccessApp } from '../support/access-app.ts'
import { type Answer, ask, assertProblem, assertSafe } from '../support/attack.ts'

/** What holds for every route that there is, and for the next one too. */
const { app, api, addMember, close } = await openAccessApp()
after(close)
const admin = await addMember('admin', 'admin', { mfa: true })

const pathOf = ({ url }: Pick<RouteEntry, 'url'>): string =>
  url.replaceAll(/:(\w+)/g, (_, name: string) => (name === 'id' ? '1' : 'not_found'))

/** Refused by every schema, so whoever takes it did not look. */
const body = '{"attack":true}'

const post = (
  route: RouteEntry,
  contentType: string | readonly string[] | null,
  fields: Record<string, string> = {},
  bytes: string | Buffer = body,
) =>
  ask(api, {
    method: route.method,
    target: `${pathOf(route)}?attack=1`,
    fields: { Authorization: admin.bearer, 'Content-Type': contentType, ...fields },
    body: bytes,
  })

const otherTypes = [
  'text/plain',
  'application/x-www-form-urlencoded',
  'multipart/form-data; boundary=b',
  'application/xml',
  '*/*',
  '__proto__',
  'constructor',
  '',
]

/** CVE-2025-32442, CVE-2026-25223, fastify 3ce3ae675. */
const tricks = (type: string): readonly string[] => [
  `${type}\t`,
  `\t${type}`,
  ` ${type}`,
  `${type} `,
  `${type}\t; charset=utf-8`,
  `${type};\tcharset=utf-8`,
  `${type} ; charset=utf-8`,
  `${type};`,
  `${type};;charset=utf-8`,
  `${type}; foo=bar`,
  `${type}; foo="bar; charset=utf-8"`,
  `${type}, text/plain`,
  `${type},${type}`,
  `text/plain, ${type}`,
  `${type};text/plain`,
  `${type}\v`,
  `${type}\u00a0`,
  type.replace('/', '/ '),
  `${type}; charset=utf-16`,
  `${type}; charset=utf-8; charset=utf-16`,
  type.toUpperCase(),
  `x${type}`,
]

const assertNotTaken = (answer: Answer, what: string): void => {
  assert.ok([400, 405, 415].includes(answer.status), `${what}: ${answer.status} ${answer.body}`)
  assertProblem(answer, { status: answer.status, code: String(answer.json()['code']) })
}

const writing = app.routes.filter(({ method }) => ['POST', 'PUT', 'PATCH', 'DELETE'].includes(method))

describe('content-type tricks skip no validation, on any route with a body', { concurrency: 4 }, () => {
  assert.ok(writing.some(({ schema }) => schema.body !== undefined))
  for (const route of writing) {
    test(`${route.method} ${route.url}`, async () => {
      const { consumes = ['application/json'] } = route.config
      for (const type of otherTypes) {
        const answer = await post(route, type)
        assertProblem(answer, { status: 415, code: 'unsupported_media_type' })
        assert.equal(answer.field('accept-post'), consumes.join(', '))
      }
      assertProblem(await post(route, null), { status: 415, code: 'unsupported_media_type' })
      for (const type of consumes) {
        for (const trick of tricks(type)) assertNotTaken(await post(route, trick), JSON.stringify(trick))
        assertProblem(await post(route, [type, type]), { status: 400, code: 'bad_request' })
        assertProblem(await post(route, ['text/plain', type]), { status: 400, code: 'bad_request' })
        const coded = await post(route, type, { 'Content-Encoding': 'gzip' }, gzipSync(body))
        assertProblem(coded, { status: 415, code: 'unsupported_media_type' })
      }
    })
  }
})

describe(
  'every URL: OPTIONS says which methods there are, every other method is 405 with the same Allow [ASVS 4.1.4]',
  { concurrency: 4 },
  () => {
    const others = METHODS.filter((method) => method !== 'CONNECT' && method !== 'OPTIONS')
    for (const [url, entries] of Map.groupBy(app.routes, (route) => route.url)) {
      test(url, async () => {
        const methods = entries.map(({ method }) => method)
        const allow = [...new Set([...methods, 'OPTIONS'])].toSorted().join(', ')
        const target = pathOf({ url })
        const options = await ask(api, { method: 'OPTIONS', target })
        assert.equal(options.status, 204)
        assertSafe(options)
        assert.equal(options.field('allow'), allow)
        for (const method of others.filter((one) => !methods.includes(one))) {
          const answer = await ask(api, { method, target })
          assert.equal(answer.field('allow'), allow, method)
          if (method === 'HEAD') assert.equal(answer.status, 405)
          else assertProblem(answer, { status: 405, code: 'method_not_allowed' })
        }
      })
    }
  },
)

test('every route: an Accept that nothing fits is 406', async () => {
  for (const route of app.routes.filter(({ method }) => method !== 'HEAD')) {
    const answer = await ask(api, {
      method: route.method,
      target: `${pathOf(route)}?attack=1`,
      fields: { Accept: 'application/x-nothing', Authorization: admin.bearer },
    })
    assert.equal(answer.status, 406, `${route.method} ${route.url}: ${answer.body}`)
    assertProblem(answer, { status: 406, code: 'not_acceptable' })
  }
})

test('every route: a body that is too long is refused before it comes, also where none is read', async () => {
  for (const route of app.routes.filter(({ method }) => method !== 'HEAD')) {
    const length = String((route.bodyLimitBytes ?? 16_384) + 1)
    const { consumes: [type = ''] = ['application/json'] } = route.config
    const fields = { Authorization: admin.bearer, 'Content-Type': type, 'Content-Length': length, Expect: '100-continue' }
    const answer = await ask(api, { method: route.method, target: `${pathOf(route)}?attack=1`, fields })
    assertProblem(answer, { status: 413, code: 'payload_too_large' })
  }
})
