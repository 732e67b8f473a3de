import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'

import { type Answer, type Ask, ask, assertLogged, assertProblem, assertQuietLog, exchange, requestBytes } from '../support/attack.ts'
import { startServer } from '../support/server.ts'

describe('everything that is answered counts in total', () => {
  const limit = 5
  const started = startServer({ toml: `[limits]\ntotal = "${limit} per hour"\n` })
  after(async () => (await started)[Symbol.asyncDispose]())

  const host = 'Host: localhost\r\n'
  const kinds: Readonly<Record<string, readonly [request: Ask | string, status: number]>> = {
    'an unknown route': [{ target: '/nowhere' }, 404],
    'an unknown route, HEAD': [{ target: '/nowhere', method: 'HEAD' }, 404],
    'bad credentials': [{ fields: { Authorization: 'Bearer x' } }, 401],
    'no credentials': [{ target: '/add_film', method: 'POST', fields: { 'Content-Type': 'application/json' }, body: '{}' }, 401],
    'a form': [{ target: '/v1/films/1', fields: { 'Content-Type': 'text/plain' }, body: 'x' }, 415],
    'a bad query': [{ target: '/v1/films/1?x' }, 400],
    'another method': [{ method: 'DELETE' }, 405],
    'a preflight': [{ method: 'OPTIONS', fields: { Origin: 'https://evil.example', 'Access-Control-Request-Method': 'GET' } }, 403],
    'OPTIONS *': [{ method: 'OPTIONS', target: '*' }, 204],
    'a broken escape': [{ target: '/%' }, 400],
    'a target of 5 KB': [{ target: `/${'a'.repeat(5120)}` }, 414],
    'a foreign Host': [{ fields: { Host: 'evil.example' } }, 421],
    'no Host': [{ fields: { Host: null } }, 400],
    'two Hosts': [{ fields: { Host: ['localhost', 'localhost'] } }, 400],
    'Expect: foo': [{ fields: { Expect: 'foo' } }, 417],
    'an Accept that nothing fits': [{ fields: { Accept: 'text/html' } }, 406],
    garbage: ['GARBAGE\r\n\r\n', 400],
    'an unknown method': [`FOO / HTTP/1.1\r\n${host}\r\n`, 400],
    'two lengths': [`POST / HTTP/1.1\r\n${host}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`, 400],
    'oversized fields': [{ fields: { 'X-A': 'a'.repeat(17_000) } }, 431],
    CONNECT: [`CONNECT evil.example:443 HTTP/1.1\r\n${host}\r\n`, 405],
    'HTTP/1.0': [`GET /nowhere HTTP/1.0\r\n${host}\r\n`, 404],
    'a good request': [{}, 200],
  }
  for (const [i, [kind, [request, status]]] of Object.entries(kinds).entries()) {
    test(`${kind} (${status})`, async () => {
      const server = await started
      const from = `127.0.6.${i + 1}`
      const bytes = typeof request === 'string' ? request : requestBytes(request)
      for (let n = 0; n < limit; n++) {
        const { answers } = await exchange(server.port, bytes, { from, head: typeof request !== 'string' && request.method === 'HEAD' })
        assert.deepEqual(
          answers.map((answer) => answer.status),
          [status],
        )
      }
      const answer = await ask(server, { from })
      assertProblem(answer, { status: 429, code: 'quota_exceeded' })
      assert.deepEqual(answer.json()['violated-policies'], ['total-hour'])
    })
  }

  test('the log is quiet: one line each, no error', async () => assertQuietLog(await started))
})

const oncePerHour =
  '[limits]\ntotal = "1000 per hour"\n[limits.routes]\n"GET /" = { only = "1 per hour" }\n[concurrency]\nper_client = 100\n'

describe('forged forwarding fields from somebody who is no trusted proxy', () => {
  const started = startServer({ toml: oncePerHour })
  after(async () => (await started)[Symbol.asyncDispose]())

  test('make no second client, and warn once', async () => {
    const server = await started
    assert.equal((await ask(server, { target: '/' })).status, 200)
    const names = [
      'X-Forwarded-For',
      'Forwarded',
      'X-Real-IP',
      'X-Client-IP',
      'True-Client-IP',
      'CF-Connecting-IP',
      'Fastly-Client-IP',
      'X-Cluster-Client-IP',
      'X-Originating-IP',
    ]
    for (const [i, name] of names.entries()) {
      const address = `203.0.113.${i + 1}`
      const answer = await ask(server, { target: '/', fields: { [name]: name === 'Forwarded' ? `for=${address}` : address } })
      assert.equal(answer.status, 429, name)
      assert.equal((await assertLogged(server, answer, 'quota_exceeded'))['client'], '127.0.0.1')
    }
    for (const value of ['', ',', 'unknown', '127.0.0.1', 'x'.repeat(8000), '1.1.1.1,'.repeat(500)]) {
      assert.equal((await ask(server, { target: '/', fields: { 'X-Forwarded-For': value } })).status, 429)
    }
    assert.equal(server.stderr().match(/^WARNING: X-Forwarded-For/gm)?.length, 1)
    const ready = (await (await fetch(`${server.opsUrl}/readyz`)).json()) as { warnings: readonly string[] }
    assert.equal(ready.warnings.length, 1)
  })

  test('200 per day and 50 per hour out of the box: the 51st is refused, on this route alone', async () => {
    const server = await started
    const from = '127.0.7.1'
    const { answers } = await exchange(server.port, 'GET /v1/films/1 HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(60), { from, answers: 60 })
    const statuses = answers.map((answer) => answer.status)
    assert.deepEqual(statuses, [...Array<number>(50).fill(200), ...Array<number>(10).fill(429)])
    for (const target of ['/v1/films/2', '/v1/films/%31', '/v1/films/x', '/v1/films/1?a=b'])
      assert.equal((await ask(server, { target, from })).status, 429)
    assert.equal((await ask(server, { target: '/', from })).status, 200)
    const seconds = Number(answers.at(-1)?.field('retry-after'))
    assert.ok(seconds > 3500 && seconds <= 3600, `${seconds}`)
  })

  test('nor does a request id or a trace of their own reach the log', async () => {
    const server = await started
    const trace = 'a'.repeat(32)
    const answer = await ask(server, { fields: { 'X-Request-Id': 'chosen-by-me', traceparent: `00-${trace}-${'b'.repeat(16)}-01` } })
    assert.match(answer.field('x-request-id') ?? '', /^[0-9a-f]{24}$/)
    assert.notEqual((await assertLogged(server, answer, 'ok'))['trace_id'], trace)
  })
})

describe('behind a trusted proxy', () => {
  const started = startServer({ toml: oncePerHour, env: { FILMGATE_SERVER_TRUSTED_PROXIES: '127.0.0.1/32,10.0.0.0/8' } })
  after(async () => (await started)[Symbol.asyncDispose]())

  const film = async (forwardedFor: string | readonly string[], from?: string): Promise<Answer> =>
    ask(await started, { target: '/', fields: { 'X-Forwarded-For': forwardedFor }, ...(from === undefined ? {} : { from }) })

  /** The first is served, all others are the same client and are not; returns what the log calls them. */
  const areOneClient = async (spellings: readonly (string | readonly string[])[]): Promise<unknown[]> => {
    const clients = new Set<unknown>()
    for (const [i, spelling] of spellings.entries()) {
      const answer = await film(spelling)
      assert.equal(answer.status, i === 0 ? 200 : 429, String(spelling))
      clients.add((await assertLogged(await started, answer, i === 0 ? 'ok' : 'quota_exceeded'))['client'])
    }
    return [...clients]
  }

  test('CONNECT, which never becomes a request, counts for the client, not for the proxy', async () => {
    const server = await started
    const { answers } = await exchange(
      server.port,
      'CONNECT evil.example:443 HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 198.51.100.99\r\nX-Request-Id: by-the-proxy\r\n\r\n',
    )
    const [answer] = answers
    assert.equal(answer?.field('x-request-id'), 'by-the-proxy')
    assert.equal((await assertLogged(server, answer, 'method_not_allowed'))['client'], '198.51.100.99')
  })

  test('the rightmost entry that is no proxy of ours counts, whatever stands left of it', async () => {
    const clients = await areOneClient([
      '198.51.100.1',
      '203.0.113.1, 198.51.100.1',
      '203.0.113.2,198.51.100.1',
      '127.0.0.1, 198.51.100.1',
      'garbage, 198.51.100.1',
      ', 198.51.100.1',
      '198.51.100.1, 127.0.0.1',
      '203.0.113.3, 198.51.100.1, 10.1.2.3, 127.0.0.1',
      ['203.0.113.4', '198.51.100.1'],
      `${Array.from({ length: 100 }, (_, i) => `203.0.113.${i}`).join(', ')}, 198.51.100.1`,
    ])
    assert.deepEqual(clients, ['198.51.100.1'])
  })

  test('IPv4 in all its spellings is one client', async () => {
    const clients = await areOneClient([
      '198.51.100.2',
      ' 198.51.100.2 ',
      '198.51.100.2:1234',
      '::ffff:198.51.100.2',
      '::FFFF:198.51.100.2',
      '::ffff:c633:6402',
      '0:0:0:0:0:ffff:c633:6402',
      '0000:0000:0000:0000:0000:ffff:198.51.100.2',
      '[::ffff:198.51.100.2]',
      '[::ffff:c633:6402]:443',
    ])
    assert.deepEqual(clients, ['198.51.100.2'])
  })

  test('a /64 of IPv6 is one client', async () => {
    const clients = await areOneClient([
      '2001:db8:1:2::1',
      '2001:db8:1:2::2',
      '2001:DB8:1:2:ffff:ffff:ffff:ffff',
      '2001:0db8:0001:0002:0000:0000:0000:0001',
      '[2001:db8:1:2::3]:443',
      '2001:db8:1:2:0:0:198.51.100.9',
      '2001:db8:1:2::1%eth0',
    ])
    assert.equal(clients.length, 5)
  })

  test('other networks are other clients', async () => {
    for (const one of ['198.51.100.3', '198.51.100.4', '2001:db8:1:3::1', '2001:db8:2:2::1', '::ffff:198.51.100.5']) {
      assert.equal((await film(one)).status, 200, one)
    }
  })

  test('what cannot be read is the proxy itself: no fresh client for each fantasy', async () => {
    const fantasies = [
      'unknown',
      '_hidden',
      '198.051.100.6',
      '198.51.100',
      '0xc6336407',
      '3325256711',
      '198.51.100.256',
      '1::2::3',
      '[::1',
      '',
      'a'.repeat(4000),
    ]
    const statuses: number[] = []
    for (const fantasy of fantasies) statuses.push((await film(fantasy)).status)
    assert.equal(statuses.filter((status) => status === 200).length, 1)
  })

  test('somebody else than the proxy cannot forge', async () => {
    assert.equal((await film('203.0.113.50', '127.0.0.9')).status, 200)
    assert.equal((await film('203.0.113.51', '127.0.0.9')).status, 429)
    assert.equal((await film('203.0.113.51')).status, 200)
  })

  test('the proxy may name the request and its trace, in a tame spelling', async () => {
    const server = await started
    const trace = 'a'.repeat(32)
    const named = await ask(server, { fields: { 'X-Request-Id': 'edge-0123456789', traceparent: `00-${trace}-${'b'.repeat(16)}-01` } })
    assert.equal(named.field('x-request-id'), 'edge-0123456789')
    assert.equal((await assertLogged(server, named, 'ok'))['trace_id'], trace)
    for (const wild of ['', 'a b c d e f', '"><script>alert(1)', 'x'.repeat(129), 'ä'.repeat(20), '../../etc/passwd', '${jndi:ldap://x}']) {
      const answer = await ask(server, { fields: { 'X-Request-Id': wild, traceparent: wild } })
      if (wild !== '../../etc/passwd') assert.match(answer.field('x-request-id') ?? '', /^[0-9a-f]{24}$/, wild)
    }
  })
})
