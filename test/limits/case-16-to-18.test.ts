import assert from 'node:assert/strict'
import { test } from 'node:test'

import { type Ask, ask, assertProblem, exchange, requestBytes } from '../support/attack.ts'
import { type Connection, openConnection } from '../support/connection.ts'
import { eventually } from '../support/deadline.ts'
import { inEachLimitPlace } from '../support/limit-places.ts'
import type { TestServer } from '../support/server.ts'
import { limited, manyConnections, onlyLimit, remaining, statuses } from './hits.ts'

const json = { 'Content-Type': 'application/json' }

/** What never gets as far as the quotas of a route, or is refused behind them. */
const refused = (server: TestServer): Readonly<Record<number, Ask>> => {
  const bearer = { Authorization: `Bearer ${server.key()}` }
  return {
    404: { target: '/nowhere' },
    405: { target: limited, method: 'PUT' },
    413: { target: '/add_film', method: 'POST', fields: { ...json, ...bearer }, body: `"${'a'.repeat(20_000)}"` },
    400: { target: '/add_film', method: 'POST', fields: { ...json, ...bearer }, body: '{"name":' },
    401: { target: limited, fields: { Authorization: 'Bearer fg_000000000000_x' } },
  }
}

const totalOf = (limit: number): string => `
[limits]
default = "100000000 per day"
authenticated = "100000000 per day"
total = "${limit} per hour"
[limits.routes]
"POST /add_film" = { only = "100000000 per day" }
[concurrency]
per_client = 2000
`

/** Behind it, each test can have as many addresses as an IPv6 prefix has. */
const proxied = { ...manyConnections, FILMGATE_SERVER_TRUSTED_PROXIES: '127.0.0.1/32' }

inEachLimitPlace((at, place) => {
  test('case 16: what is refused (404, 405, 413, malformed JSON, invalid tokens) is bounded for each prefix, whatever address of it asks', async () => {
    const limit = 6
    const server = await at().start({ toml: totalOf(limit), env: proxied })
    const kinds = Object.entries(refused(server))
    const askAs = (request: Ask, prefix: number, host: number) =>
      ask(server, { ...request, fields: { ...request.fields, 'X-Forwarded-For': `2001:db8:0:${prefix}::${host.toString(16)}` } })

    for (const [i, [status, request]] of kinds.entries()) {
      const answers = await Promise.all(Array.from({ length: 4 * limit }, (_, host) => askAs(request, i + 1, host)))
      assert.deepEqual(statuses(answers), { [status]: limit, 429: 3 * limit }, status)
    }
    const mixed = await Promise.all(Array.from({ length: 50 }, (_, i) => askAs(kinds[i % kinds.length]![1], 100, i)))
    assert.equal(statuses(mixed)[429], 50 - limit, 'all kinds together')
    const next = await askAs({ target: limited }, 100, 1)
    assertProblem(next, { status: 429, code: 'quota_exceeded' })
    assert.deepEqual(next.json()['violated-policies'], ['total-hour'])
    assert.equal((await askAs({ target: limited }, 101, 1)).status, 200, 'another prefix')
  })

  // Over HTTP/2, 100 streams on one connection have to be counted once each too; there is no HTTP/2 in this release.
  test('case 17: 50 requests on one connection, pipelined and kept alive: each is counted once', async () => {
    const server = await at().start({ toml: onlyLimit('40 per hour', '51 per hour') })
    const request = `GET ${limited} HTTP/1.1\r\nHost: localhost\r\n\r\n`
    const one = { after: 0, bytes: request }
    const ways = {
      '127.0.31.1': { bytes: request.repeat(50) },
      '127.0.31.2': { bytes: request, behind: Array.from({ length: 49 }, (_, i) => ({ ...one, after: i + 1 })) },
    }
    for (const [from, { bytes, ...more }] of Object.entries(ways)) {
      const { answers } = await exchange(server.port, bytes, { from, answers: 50, ...more })
      assert.deepEqual(
        answers.map(({ status }) => status),
        [...Array<number>(40).fill(200), ...Array<number>(10).fill(429)],
      )
      const left = answers.slice(0, 40).map((answer) => remaining(answer, 'hour'))
      assert.deepEqual(
        left,
        Array.from({ length: 40 }, (_, i) => 39 - i),
      )
      // The 51st of the total and the one behind it.
      assert.deepEqual((await ask(server, { target: limited, from })).json()['violated-policies'], ['hour'])
      assert.deepEqual((await ask(server, { target: limited, from })).json()['violated-policies'], ['total-hour'])
    }
  })

  test('case 18: a slow body holds its slot and no other; one that is broken off was counted once, and its slot is free', async () => {
    const toml = `${onlyLimit('1000 per hour').replace('per_client = 2000', 'per_client = 2')}total = 3\n`
    // A place of its own: the subject of the starter key has the same name on every server.
    await using own = await place.open()
    const server = await own.start({
      toml: toml.replace('[limits.routes]', '[limits.routes]\n"POST /add_film" = { only = "10 per hour" }'),
    })
    const bearer = { Authorization: `Bearer ${server.key()}` }
    const from = '127.0.32.1'
    const whole = requestBytes({ target: '/add_film', method: 'POST', fields: { ...json, ...bearer }, body: '{"name":"slow"}' })
    let slow: Connection[] = []
    const asKey = () => ask(server, { target: limited, fields: bearer, from })
    try {
      // What looks whether both slots are held takes one meanwhile: a slow one that it kept out, and so was answered, begins again.
      await eventually(5000, 'both slots are held', async () => {
        for (const connection of slow) if (connection.socket.bytesRead > 0) connection[Symbol.dispose]()
        slow = slow.filter(({ socket }) => !socket.destroyed)
        while (slow.length < 2) {
          const connection = await openConnection(server.port)
          slow.push(connection)
          connection.send(whole.subarray(0, -3).toString('latin1'))
        }
        return (await asKey()).status === 429
      })
      assert.deepEqual((await asKey()).json()['violated-policies'], ['concurrency'])
      assert.equal((await ask(server, { target: limited, from })).status, 200, 'somebody else')

      for (const connection of slow) connection[Symbol.dispose]()
      await eventually(5000, 'the slots are free', async () => (await asKey()).status === 200)
      const answer = await ask(server, { target: '/add_film', method: 'HEAD', fields: bearer })
      assert.equal(remaining(answer, 'hour'), 10 - 2 - 1)
    } finally {
      for (const connection of slow) connection[Symbol.dispose]()
    }
  })
})
