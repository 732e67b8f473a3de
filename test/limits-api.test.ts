import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'

import { type Ask, ask, assertProblem } from './support/attack.ts'
import { assertDescribed, operationsOf, readDocument } from './support/openapi.ts'
import { asOperator } from './support/operator.ts'
import { reloadWith } from './limits/reload.ts'
import { startServer, type TestServer } from './support/server.ts'

interface Item {
  readonly name: string
  readonly counted_over: string
  readonly limit: number
  readonly remaining: number
  readonly reset_seconds: number
}

const toml = `
[limits]
default = "3 per hour"
authenticated = "5 per hour"
total = "10000 per hour"
[limits.routes]
"GET /v1/limits" = { only = "100000 per day" }
"GET /v1/limits/:identity" = { only = "100000 per day" }
"DELETE /v1/limits/:identity" = { only = "100000 per day" }
[server]
trusted_proxies = ["127.0.0.1/32"]
`
const server = await startServer({ toml })
after(() => server[Symbol.asyncDispose]())
const operator = asOperator(server)
const document = await readDocument(server)

const film = { target: '/v1/films/1' }
const filmRoute = 'route GET /v1/films/:id'
/** As the proxy says that this client does. */
const as = (client: string, request: Ask = film): Promise<Awaited<ReturnType<typeof ask>>> =>
  ask(server, { ...request, fields: { ...request.fields, 'X-Forwarded-For': client } })

const limitsOf = (identity: string, method = 'GET', on: Pick<TestServer, 'port'> = server) =>
  ask(on, { method, target: `/v1/limits/${identity}`, fields: operator })

const itemsOf = async (identity: string): Promise<readonly Item[]> => {
  const answer = await limitsOf(identity)
  assert.equal(answer.status, 200, answer.body)
  assertDescribed(document, 'GET /v1/limits/:identity', answer)
  return answer.json()['items'] as readonly Item[]
}
const leftOf = async (identity: string, scope = filmRoute): Promise<number | undefined> =>
  (await itemsOf(identity)).find((item) => item.counted_over === scope)?.remaining

test('the list: every route that is described, both kinds of callers, with the place where each limit was set', async () => {
  const answer = await ask(server, { target: '/v1/limits', fields: operator })
  assertDescribed(document, 'GET /v1/limits', answer)
  const { mode, items, total } = answer.json() as {
    mode: string
    items: readonly { route: string; anonymous: readonly Readonly<Record<string, unknown>>[] }[]
    total: readonly Readonly<Record<string, unknown>>[]
  }
  assert.equal(mode, 'enforce')
  for (const name of operationsOf(document).keys())
    assert.ok(
      items.some(({ route }) => route === name),
      name,
    )
  const [limit] = items.find(({ route }) => route === 'GET /v1/films/:id')?.anonymous ?? []
  const { origin, ...rest } = limit ?? {}
  assert.match(String(origin), /filmgate\.toml:3$/)
  assert.deepEqual(rest, { name: 'hour', counted_over: filmRoute, limit: 3, window_seconds: 3600, source: 'limits.default' })
  assert.deepEqual(
    total.map(({ name, limit: most }) => [name, most]),
    [
      ['total-hour', 10_000],
      ['network-hour', 320_000],
    ],
  )
})

test('a key with limits of its own is in the list, and what is used of them in what its subject has left', async () => {
  await using own = await startServer({ toml: '' })
  const id = own.key().split('_')[1] ?? ''
  await reloadWith(own, `[limits.keys]\n${id} = "7 per hour"\n`)
  const fields = asOperator(own)
  const listed = await ask(own, { target: '/v1/limits', fields })
  assertDescribed(document, 'GET /v1/limits', listed)
  const [key] = listed.json()['keys'] as readonly { credential: string; rule: string; limits: readonly unknown[] }[]
  assert.deepEqual([key?.credential, key?.rule, key?.limits.length], [`key:${id}`, 'add', 1])
  const leftOfKey = async () => {
    const items = (await ask(own, { target: '/v1/limits/@starter', fields })).json()['items'] as readonly Item[]
    return items.filter(({ counted_over }) => counted_over === `key key:${id}`).map(({ remaining }) => remaining)
  }
  assert.deepEqual(await leftOfKey(), [])
  assert.equal((await ask(own, { ...film, fields: { Authorization: `Bearer ${own.key()}` } })).status, 200)
  assert.deepEqual(await leftOfKey(), [6])
})

describe('who may', () => {
  for (const [method, target] of [
    ['GET', '/v1/limits'],
    ['HEAD', '/v1/limits'],
    ['GET', '/v1/limits/192.0.2.1'],
    ['DELETE', '/v1/limits/192.0.2.1'],
  ] as const) {
    test(`${method} ${target}: neither anybody nor the starter key, and nothing is told`, async () => {
      const starter = { Authorization: `Bearer ${server.key()}` }
      const [nobody, known] = [await ask(server, { method, target }), await ask(server, { method, target, fields: starter })]
      assert.deepEqual([nobody.status, known.status], [401, 403])
      for (const { body } of [nobody, known]) assert.doesNotMatch(body, /remaining|counted_over|filmgate\.toml/)
      if (method === 'HEAD') return
      assertProblem(nobody, { status: 401, code: 'unauthenticated' })
      assertProblem(known, { status: 403, code: 'forbidden' })
    })
  }
})

describe('whom a text names', () => {
  test('every spelling of an IPv6 /64 is one client, its /48 what its clients share', async () => {
    assert.equal((await as('2001:db8:1:2::77')).status, 200)
    for (const spelling of [
      '2001:db8:1:2::1',
      '2001:DB8:1:2:0:0:0:9',
      '2001:0db8:0001:0002::',
      '2001:db8:1:2::%2F64',
      '2001:db8:1:2::%2f64',
    ])
      assert.equal(await leftOf(spelling), 2, spelling)
    assert.equal(await leftOf('2001:db8:1:3::1'), 3, 'a neighbour')
    const network = await itemsOf('2001:db8:1::%2F48')
    assert.deepEqual(
      network.map(({ counted_over: scope, limit, remaining }) => [scope, limit, remaining]),
      [['network', 320_000, 319_999]],
    )
    assert.equal((await limitsOf('2001:db8:1::%2F48')).json()['identity'], '2001:db8:1::/48')
  })

  test('IPv4 in every spelling, and a subject', async () => {
    assert.equal((await as('192.0.2.9')).status, 200)
    for (const spelling of ['192.0.2.9', '::ffff:192.0.2.9', '::ffff:c000:209']) assert.equal(await leftOf(spelling), 2, spelling)
    const fields = { Authorization: `Bearer ${server.key()}` }
    assert.equal((await ask(server, { ...film, fields })).status, 200)
    assert.equal(await leftOf('@starter', 'subject'), 4)
    assert.equal(await leftOf('@nobody', 'subject'), 5, 'whom nobody has seen')
  })

  const garbage = {
    400: [
      'frozen',
      '%00',
      '192.0.2.1%20',
      '@',
      '@Starter',
      '@a%2Fb',
      `@${'a'.repeat(65)}`,
      '1'.repeat(129),
      '%2F',
      "'",
      '2001:db8::%2F32',
      '::1%25lo',
    ],
    404: [
      '999.1.1.1',
      '192.0.2',
      '192.0.2.1%2F64',
      '2001:db8::1%2F64',
      '2001:db8:1:2::%2F48',
      ':::',
      '1:2:3:4:5:6:7:8:9',
      '........',
      '0x7f.1',
    ],
  }
  for (const [status, texts] of Object.entries(garbage)) {
    test(`garbage is ${status}, whatever the method, and never an error of ours`, async () => {
      for (const text of texts) {
        for (const method of ['GET', 'DELETE']) {
          const answer = await limitsOf(text, method)
          assert.ok([400, 404].includes(answer.status), `${method} ${text}: ${answer.status} ${answer.body}`)
          if (text !== '0x7f.1') assert.equal(answer.status, Number(status), `${method} ${text}: ${answer.body}`)
        }
      }
    })
  }

  test('a slash that is not encoded is another path', async () => {
    assertProblem(await limitsOf('2001:db8::/64'), { status: 404, code: 'not_found' })
  })
})

describe('what it does', () => {
  test('looking counts nothing, however often', async () => {
    assert.equal((await as('198.51.100.1')).status, 200)
    const before = await itemsOf('198.51.100.1')
    for (let i = 0; i < 50; i++) await limitsOf('198.51.100.1')
    const after50 = await itemsOf('198.51.100.1')
    assert.deepEqual(
      after50.map(({ remaining }) => remaining),
      before.map(({ remaining }) => remaining),
    )
  })

  test('DELETE lets a refused client in at once, in every scope, and tells who did it', async () => {
    for (let i = 0; i < 3; i++) assert.equal((await as('198.51.100.2')).status, 200)
    assert.equal((await as('198.51.100.2')).status, 429)
    assert.equal((await as('198.51.100.3')).status, 200)
    const answer = await limitsOf('198.51.100.2', 'DELETE')
    assert.deepEqual([answer.status, answer.body], [204, ''])
    assert.equal(await leftOf('198.51.100.2', 'total'), 10_000)
    assert.equal((await as('198.51.100.2')).status, 200)
    assert.equal(await leftOf('198.51.100.3'), 2, 'somebody else is left as he was')
    const event = await server.logged((record) => record['event'] === 'authz_admin' && record['target'] === '198.51.100.2')
    assert.deepEqual([event['action'], event['subject'], event['client']], ['limits_reset', 'operator', '127.0.0.1'])
    assert.equal(event['request_id'], answer.field('x-request-id'))
  })

  test('one that was refused, or for nobody, leaves no event', async () => {
    const before = server.log().filter((record) => record['event'] === 'authz_admin').length
    await ask(server, { method: 'DELETE', target: '/v1/limits/198.51.100.4' })
    await limitsOf('999.1.1.1', 'DELETE')
    await limitsOf('198.51.100.5', 'DELETE')
    await server.logged((record) => record['event'] === 'authz_admin' && record['target'] === '198.51.100.5')
    assert.equal(server.log().filter((record) => record['event'] === 'authz_admin').length, before + 1)
  })

  test('a subject starts anew too', async () => {
    const request = { ...film, fields: { Authorization: `Bearer ${server.key()}` } }
    await limitsOf('@starter', 'DELETE')
    for (let i = 0; i < 5; i++) assert.equal((await ask(server, request)).status, 200)
    assert.equal((await ask(server, request)).status, 429)
    assert.equal((await limitsOf('@starter', 'DELETE')).status, 204)
    assert.equal((await ask(server, request)).status, 200)
  })
})
