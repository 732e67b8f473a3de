import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'

import { createApiKey, formatApiKey, parseApiKey } from '../../src/credentials/api-key.ts'
import {
  type Answer,
  type Ask,
  ask,
  assertLogged,
  assertProblem,
  assertQuietLog,
  assertSafe,
  countFilms,
  query,
} from '../support/attack.ts'
import { startServer } from '../support/server.ts'

const server = await startServer()
after(() => server[Symbol.asyncDispose]())
const key = server.key()
const parsed = parseApiKey(key)
assert.ok(parsed)

const withKey = (authorization: string | readonly string[], ask_: Ask = {}): Promise<Answer> =>
  ask(server, { ...ask_, fields: { ...ask_.fields, Authorization: authorization } })

const jwt = (header: object): string =>
  [header, { sub: 'starter', scope: 'films:write', exp: 4_000_000_000 }]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.')

const swapped = (text: string): string => text.replaceAll(/[a-zA-Z]/g, (c) => (c === c.toLowerCase() ? c.toUpperCase() : c.toLowerCase()))
const lastChanged = key.slice(0, -1) + (key.endsWith('0') ? '1' : '0')

const refused: Readonly<Record<string, string>> = {
  'an empty field': '',
  'the scheme alone': 'Bearer',
  'the scheme and a blank': 'Bearer ',
  'the key without a scheme': key,
  Basic: `Basic ${Buffer.from('starter:').toString('base64')}`,
  'the key under Basic': `Basic ${key}`,
  'the key as a password under Basic': `Basic ${Buffer.from(`starter:${key}`).toString('base64')}`,
  Digest: 'Digest username="starter"',
  'a scheme that begins like Bearer': `BearerX ${key}`,
  'another scheme': `Token ${key}`,
  'two blanks': `Bearer  ${key}`,
  'a tab for the blank': `Bearer\t${key}`,
  'trailing garbage': `Bearer ${key}x`,
  'a second word': `Bearer ${key} x`,
  'a comma and another credential': `Bearer ${key}, Basic eDp5`,
  'the key in quotes': `Bearer "${key}"`,
  'a NUL byte spelt out': `Bearer ${key}%00`,
  'percent encoding': `Bearer %66g_${key.slice(3)}`,
  'upper and lower case swapped': `Bearer ${swapped(key)}`,
  'another prefix': `Bearer xx_${key.slice(3)}`,
  'a wrong checksum': `Bearer ${lastChanged}`,
  'the last character missing': `Bearer ${key.slice(0, -1)}`,
  'a wrong secret with the right checksum': `Bearer ${formatApiKey({ id: parsed.id, secret: createApiKey().secret })}`,
  'the right secret under another id': `Bearer ${formatApiKey({ id: createApiKey().id, secret: parsed.secret })}`,
  'a key of nobody': `Bearer ${formatApiKey(createApiKey())}`,
  'the stored hash as secret': `Bearer ${formatApiKey({ id: parsed.id, secret: String(query(server, 'select secret_hash from api_key')[0]?.['secret_hash']) })}`,
  'a JWT with alg none': `Bearer ${jwt({ alg: 'none' })}.`,
  'a JWT with a signature of nothing': `Bearer ${jwt({ alg: 'HS256' })}.AAAA`,
  '8 KB': `Bearer ${'a'.repeat(8192)}`,
  '8 KB behind a good key': `Bearer ${key}${'a'.repeat(8192)}`,
  undefined: 'Bearer undefined',
  null: 'null',
  'a homoglyph scheme': `Вearer ${key}`,
}

const wordsOf = async (authorization: string): Promise<unknown> => {
  const { request_id: _, ...words } = (await withKey(authorization)).json()
  return words
}

describe('credentials that are not valid are refused on public routes too, never taken as anonymous', { concurrency: 8 }, () => {
  const filmsBefore = countFilms(server)
  const routes: readonly Ask[] = [
    { target: '/' },
    { target: '/', method: 'HEAD' },
    { target: '/?like=1' },
    { target: '/v1/films/1' },
    { target: '/add_film', method: 'HEAD' },
    { target: '/add_film', method: 'POST', fields: { 'Content-Type': 'application/json' }, body: '{"name":"x"}' },
  ]
  for (const [attack, authorization] of Object.entries(refused)) {
    test(attack, async () => {
      for (const route of routes) {
        const answer = await withKey(authorization, route)
        if (route.method === 'HEAD') {
          assert.equal(answer.status, 401)
          assertSafe(answer)
        } else assertProblem(answer, { status: 401, code: 'unauthenticated' })
        assert.match(answer.field('www-authenticate') ?? '', /^Bearer\b/)
        assert.equal(answer.field('vary'), 'Authorization')
        await assertLogged(server, answer, 'unauthenticated')
      }
      assert.deepEqual(query(server, 'select * from vote'), [])
      assert.equal(countFilms(server), filmsBefore)
    })
  }

  test('no hint at what was wrong: the same words for an unknown id, a wrong secret and garbage', async () => {
    const garbage = await wordsOf('Bearer x')
    for (const attack of ['a key of nobody', 'a wrong secret with the right checksum', 'a wrong checksum', 'Basic']) {
      assert.deepEqual(await wordsOf(refused[attack] ?? ''), garbage, attack)
    }
  })

  test('two Authorization fields, the good one first or last', async () => {
    for (const two of [
      [`Bearer ${key}`, 'Basic eDp5'],
      ['Basic eDp5', `Bearer ${key}`],
      [`Bearer ${key}`, `Bearer ${key}`],
    ]) {
      assertProblem(await withKey(two), { status: 400, code: 'bad_request' })
    }
  })

  test('no key where one is needed', async () => {
    const answer = await ask(server, {
      target: '/add_film',
      method: 'POST',
      fields: { 'Content-Type': 'application/json' },
      body: '{"name":"x"}',
    })
    assertProblem(answer, { status: 401, code: 'unauthenticated' })
    assert.match(answer.field('www-authenticate') ?? '', /^Bearer\b/)
  })

  test('a key anywhere else does not count', async () => {
    const elsewhere: readonly Ask[] = [
      { target: `/add_film?access_token=${key}` },
      { target: '/add_film', fields: { Cookie: `Authorization=Bearer ${key}; access_token=${key}` } },
      { target: '/add_film', fields: { 'X-Api-Key': key, 'X-Authorization': `Bearer ${key}`, 'Proxy-Authorization': `Bearer ${key}` } },
      {
        target: '/add_film',
        fields: { 'X-Forwarded-User': 'starter', 'X-Remote-User': 'starter', 'X-Middleware-Subrequest': 'middleware' },
      },
    ]
    for (const where of elsewhere) {
      const answer = await ask(server, {
        method: 'POST',
        body: '{"name":"x"}',
        ...where,
        fields: { 'Content-Type': 'application/json', ...where.fields },
      })
      assertProblem(answer, { status: 401, code: 'unauthenticated' })
    }
    assert.equal(countFilms(server), filmsBefore)
  })
})

describe('without credentials a body is not looked at', () => {
  const bodies: Readonly<Record<string, Ask>> = {
    'a form': { fields: { 'Content-Type': 'application/x-www-form-urlencoded' }, body: 'name=x' },
    'text without a type': { body: 'x' },
    'what the client does not accept': { fields: { Accept: 'text/html', 'Content-Type': 'application/json' }, body: '{"name":"x"}' },
    'broken JSON': { fields: { 'Content-Type': 'application/json' }, body: '{' },
    '1 MB': { fields: { 'Content-Type': 'application/json', Connection: null }, body: ' '.repeat(1_000_000) },
  }
  for (const [attack, request] of Object.entries(bodies)) {
    test(`${attack} is 401`, async () => {
      assertProblem(await ask(server, { method: 'POST', target: '/add_film', ...request }), { status: 401, code: 'unauthenticated' })
    })
  }
})

describe('a good key', () => {
  for (const scheme of ['Bearer', 'bearer', 'BEARER', 'bEaReR']) {
    test(`the scheme in the spelling ${scheme}`, async () => {
      const answer = await withKey(`${scheme} ${key}`)
      assert.equal(answer.status, 200)
      assert.equal(answer.field('cache-control'), 'no-store')
      assert.equal((await assertLogged(server, answer, 'ok'))['principal'], 'starter')
    })
  }

  test('opens only what it is for', async () => {
    const answer = await withKey(`Bearer ${key}`, { target: '/v1/films/1', method: 'DELETE' })
    assertProblem(answer, { status: 405, code: 'method_not_allowed' })
  })

  test('the log is quiet: one line each, no error', () => assertQuietLog(server))
})
