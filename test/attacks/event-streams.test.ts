import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, describe, test } from 'node:test'

import { addUser, claimAdmin, claimsOf, send } from '../support/accounts.ts'
import { ask, assertProblem, exchange, requestBytes } from '../support/attack.ts'
import { eventually } from '../support/deadline.ts'
import { as, behindProxy, decide, lift } from '../support/decide.ts'
import { type EventReader, readEvents, type Sent } from '../support/event-reader.ts'
import { asOperator } from '../support/operator.ts'
import { raisedLimits, startServer } from '../support/server.ts'

const toml = `${raisedLimits}"POST /v1/security/decisions" = { only = "1000000 per day" }
`
const server = await startServer({ toml, env: behindProxy })
after(() => server[Symbol.asyncDispose]())
const operator = asOperator(server)
const admin = await claimAdmin(server)

/** What a revocation, or a decision, is to end within; the machine may be busy. */
const soonMs = 3000
const key = async (who: { readonly fields: Readonly<Record<string, string>> }) => {
  const made = await send(server, 'POST', '/v1/keys', { name: 'reader', scopes: ['security:read'] }, { fields: who.fields })
  assert.equal(made.status, 201, made.body)
  const { id, key: secret } = made.json() as { id: string; key: string }
  return { id, fields: { Authorization: `Bearer ${secret}` } }
}
/** An event of a client that nobody else is. */
const happen = async (client: string): Promise<string> => {
  const answer = await as(server, client, { target: '/nothing-here' })
  assert.equal(answer.status, 404)
  return answer.field('x-request-id') ?? ''
}
const aboutRequest =
  (id: string) =>
  ({ data }: Sent): boolean =>
    data['request_id'] === id
const reasons = (reader: EventReader) => reader.sent().flatMap(({ event, data }) => (event === 'end' ? [data['reason']] : []))

/** Opened before the rest, and looked at when the token has expired. */
const hasty = await startServer({ toml: '[auth]\naccess_token_ttl = "10s"\n' })
after(() => hasty[Symbol.asyncDispose]())
const briefly = await claimAdmin(hasty)
const expiryMs = Number(claimsOf(briefly.accessToken)['exp']) * 1000
const expiring = await readEvents(hasty, { fields: briefly.fields })
after(() => expiring[Symbol.dispose]())
const moderator = await addUser(server, admin, 'moderator')
const second = await addUser(server, admin, 'admin', 'second')
const readerKey = await key(admin)

describe('a stream', () => {
  test('begins now, tells what happens, and is no cached, compressed or unprotected answer', async () => {
    using reader = await readEvents(server, { fields: { ...readerKey.fields, 'Accept-Encoding': 'gzip, br' } })
    assert.equal(reader.status, 200)
    assert.equal(reader.headers['content-type'], 'text/event-stream')
    assert.equal(reader.headers['cache-control'], 'no-store')
    assert.equal(reader.headers['content-encoding'], undefined)
    assert.match(String(reader.headers['content-security-policy']), /default-src 'none'/)
    assert.match(String(reader.headers['vary']), /Authorization/)
    const id = await happen('203.0.113.100')
    const seen = await reader.until(aboutRequest(id))
    assert.match(seen.id, /^[\w-]{8}\.\d+$/)
    assert.ok(reader.sent().every(({ event }) => event === 'message'))
  })

  test('narrowed by client and event, in any spelling of the client', async () => {
    using reader = await readEvents(server, {
      fields: readerKey.fields,
      target: '/v1/security/events?event=request&client=2001:db8:0:7::9',
    })
    await happen('203.0.113.101')
    const id = await happen('2001:db8:0:7::1')
    await reader.until(aboutRequest(id))
    assert.deepEqual(
      reader.sent().map(({ data }) => data['client']),
      ['2001:db8:0:7::/64'],
    )
  })

  test('goes on behind Last-Event-ID, and nothing is missed or told twice', async () => {
    const [first, next] = [await happen('203.0.113.102'), await happen('203.0.113.102')]
    const [entry] = (await events(`request_id=${first}`)) as readonly { seq: number }[]
    let run = ''
    {
      using reader = await readEvents(server, { fields: readerKey.fields })
      const id = await happen('203.0.113.102')
      run = (await reader.until(aboutRequest(id))).id.split('.')[0] ?? ''
    }
    using again = await readEvents(server, { fields: { ...readerKey.fields, 'Last-Event-ID': `${run}.${entry?.seq ?? 0}` } })
    await again.until(aboutRequest(next))
    const ids = again.sent().map(({ id }) => Number(id.split('.')[1]))
    assert.deepEqual(
      ids,
      [...new Set(ids)].toSorted((a, b) => a - b),
    )
    assert.ok(!again.sent().some(aboutRequest(first)))
  })

  test('a Last-Event-ID that is forged, of another process or from the future: a gap is told, and all that is held', async () => {
    const id = await happen('203.0.113.103')
    for (const from of [
      '1',
      'x',
      '-1',
      '99999999999999999999',
      'AAAAAAAA.1',
      "'; drop",
      '../../etc/passwd',
      `${'A'.repeat(8)}.${'9'.repeat(15)}`,
    ]) {
      using reader = await readEvents(server, { fields: { ...readerKey.fields, 'Last-Event-ID': from } })
      await reader.until(aboutRequest(id))
      assert.equal(reader.sent()[0]?.event, 'gap', from)
    }
  })

  test('HEAD opens none, and a list is what everybody else gets', async () => {
    for (let i = 0; i < 10; i++) {
      const head = await ask(server, {
        method: 'HEAD',
        target: '/v1/security/events',
        fields: { ...readerKey.fields, Accept: 'text/event-stream' },
      })
      assert.deepEqual([head.status, head.field('content-type')], [200, 'text/event-stream'])
    }
    for (const accept of ['*/*', 'application/json', 'text/event-stream;q=0, application/json']) {
      const list = await ask(server, { target: '/v1/security/events', fields: { ...readerKey.fields, Accept: accept } })
      assert.match(list.field('content-type') ?? '', /^application\/json/, accept)
    }
    assertProblem(await ask(server, { target: '/v1/security/events', fields: { ...readerKey.fields, Accept: 'text/html' } }), {
      status: 406,
      code: 'not_acceptable',
    })
  })

  test('what a reason or an origin says forges no event and no field of one', async () => {
    using reader = await readEvents(server, { fields: readerKey.fields })
    const id = await decide(server, operator, { target: '203.0.113.104', reason: 'data: {"event":"forged"} id: 7 event: end' })
    const origin = 'https://x.example\tdata:forged'
    await as(server, '203.0.113.105', {
      method: 'OPTIONS',
      target: '/v1/films/1',
      fields: { Origin: origin, 'Access-Control-Request-Method': 'GET' },
    })
    const last = await happen('203.0.113.106')
    await reader.until(aboutRequest(last))
    for (const { event, data } of reader.sent()) assert.ok(event === 'message' && data['event'] !== 'forged')
    await lift(server, operator, id)
  })

  test('when its reader goes, one line is written, and its place is free again', async () => {
    for (let i = 0; i < 12; i++) {
      using reader = await readEvents(server, { fields: readerKey.fields })
      assert.equal(reader.status, 200, reader.text())
      const id = String(reader.headers['x-request-id'])
      reader[Symbol.dispose]()
      await server.logged((record) => record.msg === 'request' && record['request_id'] === id)
      assert.equal(server.log().filter((record) => record.msg === 'request' && record['request_id'] === id).length, 1)
    }
  })
})

const events = async (query: string): Promise<readonly unknown[]> =>
  (await ask(server, { target: `/v1/security/events?${query}`, fields: readerKey.fields })).json()['items'] as readonly unknown[]

describe('how many', () => {
  test('four of a subject, whatever its credentials; the fifth is refused, and others are not', async () => {
    const subject = await key(second)
    const readers: EventReader[] = []
    try {
      for (let i = 0; i < 4; i++) readers.push(await readEvents(server, { fields: i % 2 === 0 ? subject.fields : second.fields }))
      assert.deepEqual(
        readers.map(({ status }) => status),
        [200, 200, 200, 200],
      )
      using fifth = await readEvents(server, { fields: subject.fields })
      assert.equal(fifth.status, 429)
      await eventually(5000, 'the refusal comes', () => fifth.text().includes('}'))
      assert.match(fifth.text(), /"code":"quota_exceeded".*"violated-policies":\["streams"\]/)
      assert.ok(fifth.headers['retry-after'] !== undefined)
      using other = await readEvents(server, { fields: operator })
      assert.equal(other.status, 200)
    } finally {
      for (const reader of readers) reader[Symbol.dispose]()
    }
  })

  test('a thousand at once by one who ought to know better: four', async () => {
    const who = await key(moderator)
    const bytes = requestBytes({ target: '/v1/security/events', fields: { ...who.fields, Accept: 'text/event-stream', Connection: null } })
    const sockets = Array.from({ length: 200 }, () => connect({ port: server.port, host: '127.0.0.1' }))
    let [opened, refused] = [0, 0]
    for (const socket of sockets) {
      socket.on('error', () => undefined)
      socket.on('data', (chunk) => {
        if (chunk.includes(' 200 OK')) opened++
        if (chunk.includes(' 429 ')) refused++
      })
      // Five on each connection, one behind the other.
      socket.write(Buffer.concat([bytes, bytes, bytes, bytes, bytes]))
    }
    // Behind a stream nothing of the same connection is answered, so at most 4 connections show no refusal.
    await eventually(20_000, 'all are answered', () => opened + refused >= 200)
    // Those that wait behind the first of their connection are among the four.
    assert.ok(opened >= 1 && opened <= 4)
    for (const socket of sockets) socket.destroy()
  })
})

test('who reads nothing holds up nobody else, and is ended as soon as it may not read any more', async () => {
  const who = await key(second)
  const bytes = requestBytes({
    target: '/v1/security/events',
    fields: { ...who.fields, Accept: 'text/event-stream', 'Last-Event-ID': '1', 'User-Agent': 'reads nothing' },
  })
  const socket = connect({ port: server.port, host: '127.0.0.1' })
  socket.on('error', () => undefined)
  socket.pause()
  socket.write(bytes)
  using healthy = await readEvents(server, { fields: operator })
  const batch = Buffer.concat(
    Array.from({ length: 100 }, () =>
      requestBytes({ target: '/nothing', fields: { 'X-Forwarded-For': '203.0.113.120', Connection: null } }),
    ),
  )
  for (let i = 0; i < 10; i++) await exchange(server.port, batch, { answers: 100, timeoutMs: 20_000 })
  await healthy.until(aboutRequest(await happen('203.0.113.121')))
  assert.equal((await ask(server, { method: 'DELETE', target: `/v1/keys/${who.id}`, fields: second.fields })).status, 204)
  await eventually(soonMs, 'its request ends', () => server.log().some((record) => record['user_agent'] === 'reads nothing'))
  socket.destroy()
})

describe('[ASVS 7.4.1] what ends a stream at once', () => {
  test('the revocation of its key', async () => {
    const who = await key(second)
    using reader = await readEvents(server, { fields: who.fields })
    assert.equal(reader.status, 200)
    assert.equal((await ask(server, { method: 'DELETE', target: `/v1/keys/${who.id}`, fields: second.fields })).status, 204)
    await reader.over(soonMs)
    assert.deepEqual(reasons(reader), ['your credentials are not valid any more'])
  })

  test('a logout, of its session', async () => {
    const other = await addUser(server, second, 'moderator', 'leaving')
    using reader = await readEvents(server, { fields: other.fields })
    assert.equal(reader.status, 200)
    await send(server, 'POST', '/v1/auth/logout', { refresh_token: other.refreshToken })
    await reader.over(soonMs)
  })

  test('another role, for its owner and for the keys of its owner', async () => {
    const other = await addUser(server, second, 'moderator', 'demoted')
    const owned = await key(other)
    using byToken = await readEvents(server, { fields: other.fields })
    using byKey = await readEvents(server, { fields: owned.fields })
    assert.deepEqual([byToken.status, byKey.status], [200, 200])
    const demoted = await send(server, 'PATCH', `/v1/users/${other.subject}`, { role: 'viewer' }, { fields: second.fields })
    assert.equal(demoted.status, 200, demoted.body)
    await Promise.all([byToken.over(soonMs), byKey.over(soonMs)])
    assert.deepEqual(reasons(byKey), ['you may not read this any more'])
  })

  test('a decision about its client, its credential', async () => {
    const who = await key(second)
    for (const asked of [
      { target: '203.0.113.130' },
      { scope: 'range', target: '203.0.113.128/30' },
      { scope: 'principal', target: `key:${who.id}` },
    ]) {
      using reader = await readEvents(server, { fields: { ...who.fields, 'X-Forwarded-For': '203.0.113.130' } })
      assert.equal(reader.status, 200)
      const id = await decide(server, operator, asked)
      await reader.over(soonMs)
      assert.deepEqual(reasons(reader), ['requests like yours are refused now'])
      await lift(server, operator, id)
    }
  })

  test('the end of its token, to the second, though it was only read', async () => {
    assert.equal(expiring.status, 200)
    await expiring.over(expiryMs - Date.now() + soonMs)
    assert.ok(expiring.endedMs() >= expiryMs && expiring.endedMs() < expiryMs + soonMs)
    assert.deepEqual(reasons(expiring), ['your credentials are not valid any more'])
  })

  test('the stop of the server, which waits for no reader', async () => {
    using reader = await readEvents(server, { fields: operator })
    const begun = performance.now()
    const stopped = server.kill('SIGTERM')
    await reader.over(soonMs)
    assert.equal(await stopped, 0)
    assert.ok(performance.now() - begun < 9000)
    assert.deepEqual(reasons(reader), ['the server stops'])
  })
})
