import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'

import type { ApiDescription } from '../../src/api/site/document.ts'
import { createApiKeyRepository } from '../../src/api/accounts/api-keys.ts'
import { systemClock } from '../../src/core/clock.ts'
import { createApiKey, formatApiKey, hashSecret } from '../../src/credentials/api-key.ts'
import { openDatabase } from '../../src/db/open.ts'
import { type Answer, type Ask, ask, assertProblem, exchange, requestBytes } from '../support/attack.ts'
import { assertDescribed, operationsOf, policyOf, readDocument } from '../support/openapi.ts'
import { asOperator } from '../support/operator.ts'
import { raisedLimits, startServer } from '../support/server.ts'

/** The second start finds a security.txt. */
const first = await startServer()
writeFileSync(join(first.dataDir, 'security.txt'), 'Contact: mailto:security@example.org\nExpires: 2999-12-31T23:59:59Z\n')
await first.kill('SIGTERM')
const server = await startServer({ dataDir: first.dataDir })
const document = await readDocument(server)
const names = [...operationsOf(document).keys()]
after(async () => {
  await server[Symbol.asyncDispose]()
  await first[Symbol.asyncDispose]()
})

/** A key without any permission: nothing makes one from outside yet. */
const powerlessKey = async (): Promise<string> => {
  const database = await openDatabase({ url: 'sqlite', dataDir: server.dataDir })
  try {
    const key = createApiKey()
    const { secret, id } = key
    const stored = { id, subject: 'nobody', name: 'nobody', secretHash: hashSecret(secret), permissions: new Set<never>() }
    await createApiKeyRepository(database, systemClock.epochMs).replaceAll(stored)
    return `Bearer ${formatApiKey(key)}`
  } finally {
    await database.close()
  }
}
const key = `Bearer ${server.key()}`
const powerless = await powerlessKey()

const operator = asOperator(server)

const json = { 'Content-Type': 'application/json' }
const newFilm = { fields: { ...json, Authorization: key }, body: '{"name":"Moana","year":2016}' }

/** For each operation what is special to it: requests and the status that each gets. */
const calls: Readonly<Record<string, readonly (readonly [status: number, request: Ask])[]>> = {
  'GET /': [
    [200, {}],
    [200, { fields: { Authorization: key } }],
    [200, { target: '/?like=1' }],
    [200, { target: '/?like=1&dislike=2' }],
    [200, { target: '/?dislike=999999999' }],
    [400, { target: '/?like=one' }],
    [400, { target: '/?like=1&dislike=1' }],
  ],
  'POST /add_film': [
    [201, newFilm],
    [400, { ...newFilm, body: '{"name":""}' }],
    [400, { ...newFilm, body: '{"name":' }],
    [401, { ...newFilm, fields: { ...json, Authorization: null } }],
    [403, { ...newFilm, fields: { ...json, Authorization: powerless } }],
    [413, { ...newFilm, body: JSON.stringify({ name: 'x'.repeat(20_000) }) }],
    [415, { ...newFilm, fields: { 'Content-Type': 'application/x-www-form-urlencoded', Authorization: key }, body: 'name=x' }],
  ],
  'HEAD /add_film': [[200, {}]],
  'GET /v1/films/:id': [
    [200, {}],
    [200, { fields: { Authorization: key } }],
    [304, { fields: { 'If-None-Match': '*' } }],
    [400, { target: '/v1/films/x' }],
    [404, { target: '/v1/films/999999999' }],
  ],
  'GET /openapi.json': [
    [200, {}],
    [200, { fields: { Authorization: key } }],
    [304, { fields: { 'If-None-Match': '*' } }],
  ],
  'GET /v1/limits': [
    [200, {}],
    [403, { fields: { Authorization: key } }],
  ],
  'GET /v1/limits/:identity': [
    [200, {}],
    [200, { target: '/v1/limits/2001:db8::%2F48' }],
    [200, { target: '/v1/limits/@starter' }],
    [403, { fields: { Authorization: key } }],
    [404, { target: '/v1/limits/999' }],
  ],
  'DELETE /v1/limits/:identity': [
    [204, {}],
    [400, { target: '/v1/limits/frozen' }],
    [403, { fields: { Authorization: key } }],
    [404, { target: '/v1/limits/999' }],
  ],
  'GET /problems/:code': [
    [200, {}],
    [304, { fields: { 'If-None-Match': '*' } }],
    [404, { target: '/problems/nothing' }],
    [400, { target: `/problems/${'x'.repeat(65)}` }],
  ],
  'GET /.well-known/security.txt': [
    [200, {}],
    [304, { fields: { 'If-None-Match': '*' } }],
  ],
  'GET /index.html': [
    [200, {}],
    [304, { fields: { 'If-None-Match': '*' } }],
  ],
}

/** What every operation refuses, whatever it does. */
const refusals: readonly (readonly [status: number, request: Ask])[] = [
  [400, { fields: { Host: ['localhost', 'localhost'] } }],
  [400, { target: '?unknown=1' }],
  [401, { fields: { Authorization: 'Bearer x' } }],
  [406, { fields: { Accept: 'image/png' } }],
  [413, { fields: { ...json, 'Content-Length': '99999' } }],
  [414, { target: `?${'x'.repeat(5000)}` }],
  [415, { fields: { 'Content-Type': 'text/plain' }, body: 'x' }],
  [417, { fields: { Expect: 'a miracle' } }],
  [421, { fields: { Host: 'films.example' } }],
  [431, { fields: { 'X-Long': 'x'.repeat(100_000) } }],
]

/** What is answered when something breaks; test/chaos breaks it. 404 of the first needs an empty catalogue, of the other no file. */
const elsewhere: Readonly<Record<string, readonly number[]>> = { 'GET /': [404], 'GET /.well-known/security.txt': [404] }
const broken = [500, 503]

const answered = new Map<string, Set<number>>()

const targetOf = (url: string): string => url.replace(':identity', '192.0.2.7').replace(':id', '1').replace(':code', 'quota_exceeded')

/** Of the one who may do what the operation does; undefined where everybody may. */
const ownerOf = (name: string): Readonly<Record<string, string>> | undefined => {
  const [permission] =
    operationsOf(document)
      .get(name)
      ?.security.flatMap(({ apiKey = [] }) => apiKey) ?? []
  if (permission === undefined) return undefined
  return permission.startsWith('security:') ? operator : { Authorization: key }
}

/** With a valid key where one is needed, so that what comes after it is reached. */
const send = async (name: string, request: Ask): Promise<Answer> => {
  const [method = '', url = ''] = name.split(' ')
  const target = request.target?.startsWith('?') ? `${targetOf(url)}${request.target}` : (request.target ?? targetOf(url))
  return ask(server, { ...request, method, target, fields: { ...ownerOf(name), ...request.fields } })
}

const check = async (name: string, status: number, request: Ask): Promise<void> => {
  const answer = await send(name, request)
  assert.equal(answer.status, status, `${name} ${JSON.stringify(request).slice(0, 200)}: ${answer.body}`)
  assertDescribed(document, name, answer)
  assert.ok(answer.field('ratelimit-policy') !== undefined && answer.field('ratelimit') !== undefined, name)
  answered.set(name, (answered.get(name) ?? new Set()).add(status))
}

describe('what is answered is what is described', () => {
  test('every operation has its calls here', () => {
    assert.deepEqual(
      names.filter((name) => calls[name] === undefined),
      [],
    )
  })

  for (const name of names) {
    test(name, async () => {
      for (const [status, request] of [...(calls[name] ?? []), ...refusals]) await check(name, status, request)
    })
  }

  test('a request that does not arrive is answered as described', async () => {
    // With deadlines that a test can wait for.
    const env = { FILMGATE_SERVER_HEADER_TIMEOUT_MS: '300', FILMGATE_SERVER_REQUEST_TIMEOUT_MS: '300' }
    await using hasty = await startServer({ env })
    const waited = names.map(async (name) => {
      const [method = '', url = ''] = name.split(' ')
      const bytes = requestBytes({ method, target: targetOf(url) }).subarray(0, -2)
      const { answers } = await exchange(hasty.port, bytes, { answers: 1 })
      assert.ok(answers[0])
      assertProblem(answers[0], { status: 408, code: 'request_timeout' })
      // Nobody knows that it is HEAD when it does not arrive, so it has a body.
      if (method !== 'HEAD') assertDescribed(document, name, answers[0])
      answered.get(name)?.add(408)
    })
    await Promise.all(waited)
  })

  test('a quota that is used up is answered as described', async () => {
    await using strict = await startServer({ toml: '[limits]\ntotal = "1 per day"' })
    for (const [i, name] of names.entries()) {
      const [method = '', url = ''] = name.split(' ')
      const request = { method, target: targetOf(url), from: `127.0.1.${i + 1}` }
      await ask(strict, request)
      const refused = await ask(strict, request)
      assert.equal(refused.status, 429)
      assertDescribed(document, name, refused)
      assert.match(refused.field('retry-after') ?? '', /^\d+$/)
      answered.get(name)?.add(429)
    }
  })

  test('every status that is described was seen, but for those of broken storage', () => {
    for (const [name, operation] of operationsOf(document)) {
      const seen = new Set([...(answered.get(name) ?? []), ...(elsewhere[name] ?? []), ...broken])
      assert.deepEqual(
        Object.keys(operation.responses).filter((status) => !seen.has(Number(status))),
        [],
        name,
      )
    }
  })
})

test('what differs from the description is found', async () => {
  const answer = await ask(server, {})
  const name = 'GET /v1/films/:id'
  assertDescribed(document, name, answer)
  const planted = (change: (copy: ApiDescription) => void): ApiDescription => {
    const copy = structuredClone(document)
    change(copy)
    return copy
  }
  const film = document.components.schemas['Film']
  const statusless = planted(({ paths }) => void Object.assign(paths, { '/v1/films/{id}': { get: { responses: {} } } }))
  assert.throws(() => assertDescribed(statusless, name, answer), /answers 200, which is not described/)
  const shaped = planted(({ components }) => void Object.assign(components.schemas, { Film: { ...film, required: ['other'] } }))
  assert.throws(() => assertDescribed(shaped, name, answer), /other/)
  const fieldless = planted(({ paths }) => void Object.assign(paths['/v1/films/{id}']?.['get']?.responses['200'] ?? {}, { headers: {} }))
  assert.throws(() => assertDescribed(fieldless, name, answer), /is not described/)
})

test('without a security.txt its address is 404, as described', async () => {
  await using bare = await startServer()
  const answer = await ask(bare, { target: '/.well-known/security.txt' })
  assertProblem(answer, { status: 404, code: 'not_found' })
  assertDescribed(document, 'GET /.well-known/security.txt', answer)
})

describe('security is described as it is', () => {
  for (const [name, { security, responses }] of operationsOf(document)) {
    const open = security.some((requirement) => Object.keys(requirement).length === 0)
    test(`${name}: ${open ? 'open to everybody' : 'with a key'}`, async () => {
      const body = name.startsWith('POST') ? { fields: json, body: newFilm.body } : {}
      const [method = '', url = ''] = name.split(' ')
      const answer = await ask(server, { ...body, method, target: targetOf(url) })
      assert.equal(answer.status === 401, !open)
      assert.equal(responses['403'] === undefined, open)
      if (open) return
      for (const permission of security.flatMap((requirement) => requirement['apiKey'] ?? [])) {
        const refused = await ask(server, { ...body, method, target: targetOf(url), fields: { ...json, Authorization: powerless } })
        assertProblem(refused, { status: 403, code: 'forbidden' })
        assert.match(refused.body, new RegExp(permission))
      }
    })
  }
})

const customLimits = `
[limits]
default = "70 per day; 30 per hour"
authenticated = "900 per day"
total = "500 per minute"
[limits.routes]
"GET /" = { only = "40 per 10 minutes" }
"GET /v1/films/:id" = "3 per second"
"POST /add_film" = "exempt"
`

describe('x-rate-limit is what RateLimit-Policy says', () => {
  for (const [title, toml] of [
    ['by default', ''],
    ['with limits raised', raisedLimits],
    ['with limits of one’s own', customLimits],
  ] as const) {
    test(title, async () => {
      await using limited = await startServer({ toml })
      const limitedDocument = await readDocument(limited)
      const starter = { Authorization: `Bearer ${limited.key()}` }
      for (const [i, [name, operation]] of [...operationsOf(limitedDocument)].entries()) {
        const { anonymous, authenticated, total } = operation['x-rate-limit']
        const [method = '', url = ''] = name.split(' ')
        // Without a body: it is refused for that, but not before it was counted.
        const request = { method, target: targetOf(url), from: `127.0.2.${i + 1}` }
        const credentials = ownerOf(name) === operator ? asOperator(limited) : starter
        const known = await ask(limited, { ...request, fields: credentials })
        assert.equal(known.field('ratelimit-policy'), policyOf(authenticated.length === 0 ? total : authenticated), name)
        const unknown = await ask(limited, request)
        // Who is refused for want of a key has met `total` alone.
        const asked = unknown.status === 401 || anonymous.length === 0 ? total : anonymous
        assert.equal(unknown.field('ratelimit-policy'), policyOf(asked), name)
      }
    })
  }
})
