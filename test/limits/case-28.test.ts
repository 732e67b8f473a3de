import assert from 'node:assert/strict'
import { test } from 'node:test'

import { type Answer, type Ask, ask } from '../support/attack.ts'
import { inEachLimitPlace } from '../support/limit-places.ts'
import type { TestServer } from '../support/server.ts'
import { limited, manyConnections, remaining, statuses } from './hits.ts'
import { reloadWith } from './reload.ts'

interface Rules {
  readonly total?: string
  readonly exempt?: string
  readonly route?: string
  readonly keys?: string
}

const tomlOf = ({ total = '6 per hour', exempt = '', route = '{ only = "3 per hour" }', keys = '' }: Rules): string => `
[limits]
total = "${total}"
exempt = [${exempt}]
[limits.routes]
"GET /v1/films/:id" = ${route}
[limits.keys]
${keys}
[concurrency]
per_client = 2000
`

const several = async (server: TestServer, requests: number, request: Ask): Promise<Answer[]> => {
  const answers: Answer[] = []
  for (let i = 0; i < requests; i++) answers.push(await ask(server, { target: limited, ...request }))
  return answers
}

const atOnce = (server: TestServer, requests: number, request: Ask): Promise<Answer[]> =>
  Promise.all(Array.from({ length: requests }, () => ask(server, { target: limited, ...request })))

/** What people exempt by, and attackers therefore send. */
const pretences: readonly NonNullable<Ask['fields']>[] = [
  ...['Googlebot/2.1 (+http://www.google.com/bot.html)', 'kube-probe/1.31', 'ELB-HealthChecker/2.0', 'curl/8.0', ''].map((agent) => ({
    'User-Agent': agent,
  })),
  ...['X-Forwarded-For', 'X-Real-IP', 'X-Client-IP', 'True-Client-IP', 'CF-Connecting-IP', 'X-Originating-IP', 'X-Remote-Addr'].map(
    (name) => ({
      [name]: '127.0.45.1',
    }),
  ),
  { Forwarded: 'for=127.0.45.1' },
  { 'X-Forwarded-For': '127.0.45.1, 127.0.45.1', Via: '1.1 127.0.45.1' },
  { 'X-RateLimit-Bypass': '1', 'X-Skip-Rate-Limit': 'true', 'X-Internal': 'true', 'X-Admin': '1', 'X-Exempt': 'true' },
  { 'X-Api-Key': 'exempt', Cookie: 'exempt=1; admin=true', Referer: 'http://localhost/', Origin: 'http://localhost' },
  { 'X-HTTP-Method-Override': 'OPTIONS', Purpose: 'prefetch', 'Sec-Purpose': 'prefetch', Priority: 'u=0' },
  { RateLimit: '"hour";r=100;t=1', 'RateLimit-Policy': '"hour";q=1000;w=1', 'X-Cost': '0' },
]

inEachLimitPlace((at) => {
  test('case 28: an exempt route has no quota of its own; what it gets counts in total all the same', async () => {
    const server = await at().start({ toml: tomlOf({ route: '"exempt"' }) })
    const answers = await several(server, 8, { from: '127.0.46.1' })
    assert.deepEqual(statuses(answers), { 200: 6, 429: 2 })
    assert.deepEqual(answers[6]!.json()['violated-policies'], ['total-hour'])
    assert.match(answers[0]!.field('ratelimit') ?? '', /^"total-hour";r=5;t=\d+$/)
  })

  test('case 28: an exempt network is free of everything, at once and one after the other; nothing is counted', async () => {
    const server = await at().start({ toml: tomlOf({ exempt: '"127.0.45.0/28", "2001:db8::/32"' }), env: manyConnections })
    const from = '127.0.45.15'
    assert.deepEqual(statuses(await atOnce(server, 50, { from })), { 200: 50 })
    const answers = await several(server, 10, { from, target: '/nowhere' })
    assert.deepEqual(statuses(answers), { 404: 10 })
    for (const answer of answers) assert.equal(answer.field('ratelimit'), undefined)
    assert.deepEqual(statuses(await several(server, 4, { from: '127.0.45.16' })), { 200: 3, 429: 1 }, 'the address behind it')

    await reloadWith(server, tomlOf({ exempt: '"2001:db8::/32"' }))
    const [counted] = await several(server, 1, { from })
    assert.equal(remaining(counted!, 'hour'), 2, 'the first that counts')
    assert.equal(remaining((await several(server, 1, { from, target: '/nowhere' }))[0]!, 'total-hour'), 4)
  })

  test('case 28: an exempt key is free, of total too: who shares its address has all of it', async () => {
    const server = await at().start({ toml: tomlOf({}) })
    const id = server.key().split('_')[1]!
    await reloadWith(server, tomlOf({ keys: `${id} = "exempt"` }))
    const from = '127.0.47.1'
    const fields = { Authorization: `Bearer ${server.key()}` }
    assert.deepEqual(statuses(await several(server, 20, { from, fields })), { 200: 20 })
    const [counted] = await several(server, 1, { from, target: '/nowhere' })
    assert.equal(remaining(counted!, 'total-hour'), 5)

    // A key that only looks like it is none.
    const forged = { Authorization: `Bearer fg_${id}_${'a'.repeat(server.key().length - 16)}` }
    assert.deepEqual(statuses(await several(server, 6, { from, fields: forged })), { 401: 5, 429: 1 })
  })

  // `total` is asked before it is known whose key it is, and given back behind it. Asking the other way round would let anybody look up
  // keys for free. So an address that others have used up refuses an exempt key too: only a network can be freed of `total` for good.
  test('case 28: what is asked before a key is known still holds for an exempt one', async () => {
    const server = await at().start({ toml: tomlOf({}), env: manyConnections })
    await reloadWith(server, tomlOf({ keys: `${server.key().split('_')[1]!} = "exempt"` }))
    const fields = { Authorization: `Bearer ${server.key()}` }
    await several(server, 7, { from: '127.0.48.2', target: '/nowhere' })
    assert.deepEqual(statuses(await several(server, 1, { from: '127.0.48.2', fields })), { 429: 1 })
  })

  test('case 28: User-Agent or any other field exempts nobody', async () => {
    const server = await at().start({ toml: tomlOf({ exempt: '"127.0.45.0/28"', total: '1000 per hour' }) })
    const from = '127.0.49.1'
    assert.deepEqual(statuses(await several(server, 4, { from })), { 200: 3, 429: 1 })
    for (const fields of pretences) {
      const answer = await ask(server, { target: limited, from, fields })
      assert.equal(answer.status, 429, JSON.stringify(fields))
      assert.equal(remaining(answer, 'hour'), 0)
    }
  })
})
