import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { type Answer, type Ask, ask, assertLogged, assertProblem, assertQuietLog } from '../support/attack.ts'
import { limitPlaces, type OpenLimitPlace } from '../support/limit-places.ts'
import type { TestServer } from '../support/server.ts'
import { describeUnless } from '../support/services.ts'
import { limited, onlyLimit, remaining, statuses } from './hits.ts'

const limit = 5
const proxy = '127.0.0.9'
/** On such a socket of both families an IPv4 connection comes with a mapped address (RFC 4291 section 2.5.5.2). */
const env = { FILMGATE_SERVER_HOST: '::ffff:127.0.0.1', FILMGATE_SERVER_TRUSTED_PROXIES: `${proxy}/32` }

/** One after the other they count down: all are one client, which nobody else is. */
const assertOneClient = async (asking: readonly (() => Promise<Answer>)[]): Promise<void> => {
  for (const [i, next] of asking.entries()) {
    const answer = await next()
    assert.equal(answer.status, i < limit ? 200 : 429, `the ${i}th`)
    assert.equal(remaining(answer, 'hour'), Math.max(0, limit - 1 - i), `the ${i}th`)
  }
}

const cors = '[cors]\norigins = ["https://app.example"]\n'

const preflight = (to: TestServer, from: string): Promise<Answer> => {
  const fields = { Origin: 'https://app.example', 'Access-Control-Request-Method': 'GET', 'Access-Control-Request-Headers': 'if-match' }
  return ask(to, { method: 'OPTIONS', target: limited, from, fields })
}

/** Of one /64. */
const addressOf = (i: number): string => `2001:db8:12:1:${((i * 7919) % 65_536).toString(16)}:${i.toString(16)}::1`

for (const place of limitPlaces) {
  describeUnless(place.missing, `who is counted in ${place.name}`, () => {
    let at: OpenLimitPlace
    let server: TestServer
    before(async () => {
      at = await place.open()
      server = await at.start({ toml: onlyLimit(`${limit} per hour`) + cors, env })
    })
    after(() => at[Symbol.asyncDispose]())

    const film = (from: string, fields: Ask['fields'] = {}): Promise<Answer> => ask(server, { target: limited, from, fields })
    const through = (address: string): Promise<Answer> => film(proxy, { 'X-Forwarded-For': address })

    test('case 12: 1,000 addresses of one /64 are one client, another /64 is another', async () => {
      const answers: Answer[] = []
      for (let from = 0; from < 1000; from += 100) {
        answers.push(...(await Promise.all(Array.from({ length: 100 }, (_, n) => through(addressOf(from + n))))))
      }
      assert.deepEqual(statuses(answers), { 200: limit, 429: 1000 - limit })
      for (const other of ['2001:db8:12:2::1', '2001:db8:12::1', '2001:db8:13:1::1']) {
        assert.equal(remaining(await through(other), 'hour'), limit - 1, other)
      }
    })

    test('case 12: IPv4, mapped into IPv6 in whatever spelling, by the socket or by the proxy: one client', async () => {
      const mapped = ['127.0.43.1', '::ffff:127.0.43.1', '::ffff:7f00:2b01', '::FFFF:7F00:2B01', '0:0:0:0:0:ffff:7f00:2b01']
      const spelled = [...mapped, '[::ffff:7f00:2b01]', '127.0.43.1:4711', '[::ffff:127.0.43.1]:4711']
      await assertOneClient([() => film('127.0.43.1'), ...spelled.map((address) => () => through(address))])
      assert.equal(remaining(await through('::ffff:7f00:2b02'), 'hour'), limit - 1)
    })

    test('case 12: an IPv6 socket is counted too', async () => {
      const { url } = await at.start({ toml: onlyLimit(`${limit} per hour`), env: { FILMGATE_SERVER_HOST: '::1' } })
      for (let left = limit - 1; left >= 0; left--) {
        assert.match((await fetch(url + limited)).headers.get('ratelimit') ?? '', new RegExp(`"hour";r=${left};`))
      }
      assert.equal((await fetch(url + limited)).status, 429)
    })

    test('case 13: forwarding fields of somebody who is no trusted proxy are ignored', async () => {
      const names = ['X-Forwarded-For', 'X-Real-IP', 'X-Client-IP', 'True-Client-IP', 'CF-Connecting-IP']
      await assertOneClient([
        ...names.map((name, i) => () => film('127.0.44.1', { [name]: `198.51.100.${i + 1}` })),
        () => film('127.0.44.1', { Forwarded: 'for=198.51.100.9' }),
        () => film('127.0.44.1', { 'X-Forwarded-For': proxy }),
        () => film('127.0.44.1', { 'X-Forwarded-For': ['198.51.100.10', '198.51.100.11'] }),
      ])
      assert.equal(remaining(await through('198.51.100.1'), 'hour'), limit - 1, 'nobody was charged in place of the forger')
    })

    test('case 13: behind the proxy a forged beginning makes no second client; two real clients are two', async () => {
      const forged = ['203.0.113.1, ', '203.0.113.2,203.0.113.3,', `${proxy}, `, 'garbage, ', ', ', '']
      await assertOneClient(forged.map((prefix) => () => through(`${prefix}198.51.100.21`)))
      assert.equal(remaining(await through('198.51.100.22'), 'hour'), limit - 1)
      assert.equal(remaining(await through('203.0.113.1'), 'hour'), limit - 1, 'nobody was charged in place of the forger')
    })

    test('case 13: Forwarded, X-Real-IP, ports and garbage from the proxy: no crash, no new client', async () => {
      await assertOneClient([
        () => through('198.51.100.31:1'),
        () => film(proxy, { 'X-Forwarded-For': '198.51.100.31', Forwarded: 'for=198.51.100.99' }),
        () => film(proxy, { 'X-Forwarded-For': '198.51.100.31', 'X-Real-IP': '198.51.100.98' }),
        () => film(proxy, { 'X-Forwarded-For': ['203.0.113.9', '198.51.100.31:65535'] }),
        () => through(' 198.51.100.31 '),
      ])
      // What cannot be read is the proxy itself.
      const garbage = ['', ',', 'unknown', '_x', '198.051.100.1', '1.2.3', '0x01020304', '1::2::3', '[::1', '256.1.1.1', 'x'.repeat(4000)]
      await assertOneClient(garbage.map((address) => () => through(address)))
      assert.equal(server.process.exitCode, null)
    })

    test('case 14: HEAD takes from the quota of GET, and so does every other way to say the same', async () => {
      const from = '127.0.45.1'
      const same: readonly Ask[] = [
        { method: 'HEAD' },
        {},
        { target: '/v1/films/%31' },
        { target: `http://localhost${limited}` },
        { fields: { 'X-HTTP-Method-Override': 'DELETE', 'X-Method-Override': 'PUT', 'X-HTTP-Method': 'POST' } },
        { method: 'HEAD' },
        {},
      ]
      await assertOneClient(same.map((one) => () => ask(server, { target: limited, from, ...one })))
    })

    test('case 14: who has used up the quota is given nothing under another spelling', async () => {
      const from = '127.0.45.2'
      for (let i = 0; i < limit; i++) await film(from)
      const spellings: Readonly<Record<string, readonly number[]>> = {
        '//v1/films/1': [404],
        '/v1//films/1': [404],
        '/v1/films//1': [404],
        '/v1/films/1/': [404],
        '/V1/films/1': [404],
        '/v1/Films/1': [404],
        '/./v1/films/1': [404],
        '/v1/x/../films/1': [404],
        '/v1%2ffilms%2f1': [404],
        '/v1/films/1?q': [429],
        '/v1/films/1?': [429],
        '/v1/films/1#a': [400, 429],
        '/v1/%66ilms/1': [429],
        '/v1/films/01': [429],
        '/v1/films/2': [429],
        '/v1/films/1;a=b': [429],
      }
      for (const [target, allowed] of Object.entries(spellings)) {
        for (const method of ['GET', 'HEAD']) {
          const answer = await ask(server, { target, from, method })
          assert.ok(allowed.includes(answer.status), `${method} ${target}: ${answer.status}`)
        }
      }
      for (const override of ['GET', 'HEAD', 'POST']) {
        for (const method of ['GET', 'POST', 'OPTIONS']) {
          const fields = { 'X-HTTP-Method-Override': override, 'X-Method-Override': override, 'X-HTTP-Method': override }
          const answer = await ask(server, { target: `${limited}?_method=${override}`, from, method, fields })
          assert.equal(answer.status, { GET: 429, POST: 405, OPTIONS: 204 }[method])
          assert.equal(answer.status === 204 ? answer.body : '', '')
        }
      }
    })

    test('case 15: preflights take nothing of the quota of the user, and need none of it', async () => {
      const from = '127.0.46.1'
      for (let i = 0; i < 2 * limit; i++) assert.equal((await preflight(server, from)).status, 204)
      await assertOneClient(Array.from({ length: limit + 1 }, () => () => film(from)))
      assert.equal((await preflight(server, from)).status, 204)
    })

    test('case 15: a 429 can be read by the page that was too fast, whether its preflight or what follows was refused', async () => {
      const narrow = await at.start({ toml: onlyLimit('1 per hour', '4 per hour') + cors })
      const from = '127.0.46.4'
      const send = (): Promise<Answer> =>
        ask(narrow, { target: limited, from, fields: { Origin: 'https://app.example', 'If-Match': '"x"' } })
      const allowed = await preflight(narrow, from)
      assert.deepEqual(
        ['origin', 'methods', 'headers'].map((name) => allowed.field(`access-control-allow-${name}`)),
        ['https://app.example', 'GET, HEAD, OPTIONS', 'authorization, content-type, if-match, if-none-match, idempotency-key'],
      )
      const [good, overRoute] = [await send(), await send()]
      assert.deepEqual([allowed.status, good.status, overRoute.status, (await preflight(narrow, from)).status], [204, 200, 429, 204])
      for (const answer of [overRoute, await send(), await preflight(narrow, from)]) {
        assert.equal(answer.status, 429)
        assert.equal(answer.field('access-control-allow-origin'), 'https://app.example')
        const exposed = (answer.field('access-control-expose-headers') ?? '').split(', ')
        for (const name of ['RateLimit', 'RateLimit-Policy', 'Retry-After']) {
          assert.ok(exposed.includes(name), name)
          assert.ok(answer.field(name.toLowerCase()) !== undefined, name)
        }
      }
    })

    test('case 15: preflights are not unlimited: they count in total', async () => {
      const narrow = await at.start({ toml: onlyLimit('100 per hour', '10 per hour') + cors })
      const from = '127.0.46.2'
      const answers: Answer[] = []
      for (let i = 0; i < 12; i++) answers.push(await preflight(narrow, from))
      assert.deepEqual(statuses(answers), { 204: 10, 429: 2 })
      for (const [i, answer] of answers.entries()) assert.equal(remaining(answer, 'total-hour'), Math.max(0, 9 - i))
      const [refused] = answers.slice(10)
      assertProblem(refused!, { status: 429, code: 'quota_exceeded' })
      assert.deepEqual(refused!.json()['violated-policies'], ['total-hour'])
      assert.ok(Number(refused!.field('retry-after')) > 3500)
      await assertLogged(narrow, refused!, 'quota_exceeded')
      assert.equal((await ask(narrow, { target: limited, from })).status, 429, 'nor is anything else served to who sent them')
      assert.equal((await preflight(narrow, '127.0.46.3')).status, 204, 'another client')
    })

    test('the log is quiet: one line each, no error', () => assertQuietLog(server))
  })
}
