import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, connect as connectPlain } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { createServer } from 'node:tls'

import { renewTicketKeys, secureContextOptions } from '../../src/layers/transport/tls-context.ts'
import { assertQuietLog } from '../support/attack.ts'
import { within } from '../support/deadline.ts'
import { sendRaw } from '../support/raw.ts'
import { askHttp1, openHttp2, shakeHands } from '../support/secure-client.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { describeUnless, servicesMissing } from '../support/services.ts'
import { createTestAuthority } from '../support/tls-material.ts'

let server: TestServer
let ca = ''
const target = () => ({ port: server.port, ca, servername: 'localhost' })

before(async () => {
  // No test waits for the deadline of five seconds that is the default.
  server = await startServer({ env: { FILMGATE_TLS_MODE: 'dev', FILMGATE_SERVER_HEADER_TIMEOUT_MS: '1000' } })
  ca = readFileSync(join(server.dataDir, 'dev-ca.pem'), 'utf8')
})
after(() => server[Symbol.asyncDispose]())

/** What was agreed, or why nothing was. */
const outcome = (options: Parameters<typeof shakeHands>[0]): Promise<string> =>
  shakeHands({ ...target(), ...options }).then(
    (socket) => {
      const agreed = `${socket.getProtocol()} ${socket.getCipher().name}`
      socket.destroy()
      return agreed
    },
    (error: NodeJS.ErrnoException) => error.code ?? error.message,
  )

/** Two TLS servers on one certificate: one as strict as ours, one that takes everything, to show that it is the strictness that refuses. */
const openPair = async (keys: 'P-256' | 'RSA-2048') => {
  const authority = await createTestAuthority()
  const material = await authority.issue({ keys })
  const everything = { ...material, minVersion: 'TLSv1', ciphers: 'ALL:COMPLEMENTOFALL:@SECLEVEL=0', dhparam: 'auto' } as const
  const servers = await Promise.all(
    [secureContextOptions(material), everything].map(async (options) => {
      const listening = createServer(options, (socket) => socket.on('error', () => undefined)).listen(0, '127.0.0.1')
      await once(listening, 'listening')
      return listening
    }),
  )
  const [strict = 0, open = 0] = servers.map((one) => (one.address() as AddressInfo).port)
  return {
    strict: { port: strict, ca: authority.ca },
    open: { port: open, ca: authority.ca },
    [Symbol.dispose]: () => servers.forEach((one) => one.close()),
  }
}

const olderVersions = ['TLSv1', 'TLSv1.1'] as const

const weakSuites = {
  'P-256': [
    'ECDHE-ECDSA-AES128-SHA',
    'ECDHE-ECDSA-AES256-SHA',
    'ECDHE-ECDSA-AES128-SHA256',
    'ECDHE-ECDSA-AES128-CCM8',
    'ECDHE-ECDSA-NULL-SHA',
  ],
  'RSA-2048': [
    'ECDHE-RSA-AES128-SHA',
    'ECDHE-RSA-AES256-SHA384',
    'AES128-GCM-SHA256',
    'AES256-SHA',
    'CAMELLIA128-SHA',
    'AECDH-AES128-SHA',
    'NULL-SHA256',
  ],
} as const

for (const keys of ['P-256', 'RSA-2048'] as const)
  describe(`what others still speak, with a key of ${keys}`, () => {
    test('[ASVS 12.1.1] TLS 1.0 and 1.1 are refused', async () => {
      using servers = await openPair(keys)
      for (const version of olderVersions) {
        // SECLEVEL=0: else it is our client that refuses.
        const options = { minVersion: version, maxVersion: version, ciphers: 'ALL:@SECLEVEL=0' }
        assert.match(await outcome({ ...servers.open, ...options }), new RegExp(`^${version} `))
        assert.equal(await outcome({ ...servers.strict, ...options }), 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION', version)
      }
    })

    test('[ASVS 12.1.2] suites without AEAD or without forward secrecy are refused', async () => {
      using servers = await openPair(keys)
      for (const ciphers of weakSuites[keys]) {
        const options = { maxVersion: 'TLSv1.2', ciphers: `${ciphers}:@SECLEVEL=0` } as const
        // Without authentication there is no certificate to verify.
        const unverified = ciphers.startsWith('AECDH') ? { rejectUnauthorized: false } : {}
        assert.equal(await outcome({ ...servers.open, ...options, ...unverified }), `TLSv1.2 ${ciphers}`)
        assert.match(await outcome({ ...servers.strict, ...options }), /HANDSHAKE_FAILURE$/, ciphers)
      }
    })

    test('the client that knows everything gets a suite of ours, and its order does not count', async () => {
      using servers = await openPair(keys)
      const kind = keys === 'P-256' ? 'ECDSA' : 'RSA'
      for (const ciphers of ['ALL:COMPLEMENTOFALL:@SECLEVEL=0', `ECDHE-${kind}-CHACHA20-POLY1305:ECDHE-${kind}-AES128-GCM-SHA256`])
        assert.equal(await outcome({ ...servers.strict, maxVersion: 'TLSv1.2', ciphers }), `TLSv1.2 ECDHE-${kind}-AES128-GCM-SHA256`)
      assert.match(await outcome(servers.strict), /^TLSv1\.3 TLS_AES_128_GCM_SHA256$/)
    })
  })

test('[ASVS 12.1.1] [ASVS 12.1.2] the running server is that strict', async () => {
  for (const version of olderVersions)
    assert.equal(
      await outcome({ minVersion: version, maxVersion: version, ciphers: 'ALL:@SECLEVEL=0' }),
      'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION',
    )
  for (const ciphers of weakSuites['P-256'])
    assert.match(await outcome({ maxVersion: 'TLSv1.2', ciphers: `${ciphers}:@SECLEVEL=0` }), /HANDSHAKE_FAILURE$/, ciphers)
  assert.equal(await outcome({ maxVersion: 'TLSv1.2' }), 'TLSv1.2 ECDHE-ECDSA-AES128-GCM-SHA256')
  assert.equal(await outcome({}), 'TLSv1.3 TLS_AES_128_GCM_SHA256')
})

describe('session tickets', () => {
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const)
    test(`${maxVersion}: resumed, but not behind the hour in which its key was made (RFC 9325 section 3.4)`, async () => {
      const authority = await createTestAuthority()
      const listening = createServer(secureContextOptions(await authority.issue()), (socket) => {
        socket.on('error', () => undefined)
        socket.write('x')
      }).listen(0, '127.0.0.1')
      await once(listening, 'listening')
      const { port } = listening.address() as AddressInfo
      const visit = async (session?: Buffer) => {
        const options = { port, ca: authority.ca, servername: 'localhost', maxVersion, ...(session && { session }) }
        const socket = await shakeHands(options)
        let given: Buffer | undefined
        socket.on('session', (ticket) => (given = ticket))
        // Tickets of TLS 1.3 come before the first byte (RFC 8446 section 4.6.1).
        await once(socket, 'data')
        const isReused = socket.isSessionReused()
        const ticket = given ?? socket.getSession()
        socket.destroy()
        return { isReused, ticket }
      }
      const first = await visit()
      assert.deepEqual([first.isReused, (await visit(first.ticket)).isReused], [false, true])
      renewTicketKeys(listening)
      assert.equal((await visit(first.ticket)).isReused, false)
      const second = await visit()
      assert.equal((await visit(second.ticket)).isReused, true)
      listening.close()
    })
})

/** The start of a ClientHello of 248 bytes (RFC 8446 section 4.1.2). */
const halfHello = Buffer.from('16030100f8010000f40303', 'hex')

describe('what comes instead of a handshake', () => {
  test('[ASVS 12.2.1] plain HTTP on the TLS port gets no answer, and what it asked for is not done', async () => {
    const { text } = await sendRaw(server.port, 'GET /v1/films/1 HTTP/1.1\r\nHost: localhost\r\n\r\n')
    assert.doesNotMatch(text, /HTTP/)
    const votes = 'GET /?like=1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'
    assert.doesNotMatch((await sendRaw(server.port, votes)).text, /HTTP|recorded/)
  })

  test('HTTP/2 in plain text, noise, and nothing but half of a hello are ended', async () => {
    for (const bytes of [Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), Buffer.alloc(64, 0xff), halfHello])
      assert.doesNotMatch((await sendRaw(server.port, bytes)).text, /HTTP/)
  })

  test('a handshake that stalls is ended by the deadline for headers, whatever it said before', async () => {
    const silent = connectPlain({ port: server.port, host: '127.0.0.1' })
    const dripping = connectPlain({ port: server.port, host: '127.0.0.1' })
    await Promise.all([once(silent, 'connect'), once(dripping, 'connect')])
    const drip = setInterval(() => dripping.write(Buffer.from([0x16])), 100)
    for (const socket of [silent, dripping]) socket.on('error', () => undefined).resume()
    await within(20_000, 'both ended', Promise.all([once(silent, 'close'), once(dripping, 'close')]))
    clearInterval(drip)
  })

  test('a hundred handshakes that end in the middle leave the server as it was', async () => {
    const halves = Array.from({ length: 100 }, async () => {
      const plain = connectPlain({ port: server.port, host: '127.0.0.1' })
      await once(plain, 'connect')
      plain.write(halfHello)
      const closed = once(plain, 'close')
      plain.resetAndDestroy()
      await closed
    })
    await Promise.all(halves)
    assert.equal((await askHttp1({ port: server.port, ca })).status, 200)
  })
})

describe('which protocol, which name', () => {
  test('ALPN: h2 before http/1.1, http/1.1 for who knows no other, an end for who knows neither', async () => {
    for (const [offered, chosen] of [
      [['h2', 'http/1.1'], 'h2'],
      [['http/1.1', 'h2'], 'h2'],
      [['http/1.1'], 'http/1.1'],
    ] as const) {
      const socket = await shakeHands({ ...target(), ALPNProtocols: [...offered] })
      assert.equal(socket.alpnProtocol, chosen)
      socket.destroy()
    }
    assert.match(await outcome({ ALPNProtocols: ['spdy/3', 'h3'] }), /NO_APPLICATION_PROTOCOL/)
  })

  test('without ALPN: HTTP/1.1', async () => {
    const socket = await shakeHands(target())
    let text = ''
    socket.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
    socket.end('GET /v1/films/1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
    await once(socket, 'close')
    assert.match(text, /^HTTP\/1\.1 200 /)
  })

  test('SNI of a stranger: our own certificate, so its clients turn away; who goes on is refused by Host, 421', async () => {
    assert.equal(await outcome({ servername: 'evil.example' }), 'ERR_TLS_CERT_ALTNAME_INVALID')
    const inspect = await shakeHands({ ...target(), servername: 'evil.example', checkServerIdentity: () => undefined })
    assert.equal(inspect.getPeerCertificate().subject.CN, 'localhost')
    let text = ''
    inspect.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
    inspect.end('GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n')
    await once(inspect, 'close')
    assert.match(text, /^HTTP\/1\.1 421 /)
  })

  test('DNS rebinding and reused connections: HTTP/2 for a foreign authority is 421 on a session that is ours', async () => {
    await using session = await openHttp2({ port: server.port, ca })
    for (const authority of ['evil.example', `evil.example:${server.port}`, 'localhost.evil.example'])
      assert.equal((await session.ask({ fields: { ':authority': authority } })).status, 421, authority)
    assert.equal((await session.ask()).status, 200)
  })
})

const clientOf = (...args: readonly string[]) =>
  spawn('openssl', [
    's_client',
    '-connect',
    `127.0.0.1:${server.port}`,
    '-servername',
    'localhost',
    '-CAfile',
    join(server.dataDir, 'dev-ca.pem'),
    ...args,
  ])

/** Everything it said until the end. */
const session = async (...args: readonly string[]): Promise<string> => {
  const client = clientOf(...args)
  let said = ''
  for (const stream of [client.stdout, client.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (said += text))
  client.stdin.end()
  await once(client, 'close')
  return said
}

describeUnless(servicesMissing('openssl'), 'as openssl sees it', () => {
  test('the chain verifies, strictly', async () => {
    assert.match(await session('-x509_strict', '-verify_return_error', '-verify_hostname', 'localhost'), /Verify return code: 0 \(ok\)/)
    assert.match(await session('-verify_ip', '127.0.0.1', '-verify_return_error'), /Verify return code: 0 \(ok\)/)
  })

  test('no renegotiation (CVE-2009-3555, CVE-2011-1473), no compression, no early data', async () => {
    const client = clientOf('-tls1_2')
    let said = ''
    for (const stream of [client.stdout, client.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (said += text))
    const ended = once(client, 'close')
    while (!said.includes('Verify return code')) await once(client.stdout, 'data')
    // A line with R alone asks for a new handshake.
    client.stdin.write('R\n')
    await within(20_000, 'the connection ends', ended)
    assert.match(said, /no renegotiation|alert/i)
    assert.match(said, /Secure Renegotiation IS supported/)
    assert.match(said, /Compression: NONE/)
    assert.match(said, /TLS session ticket lifetime hint: 1800 \(seconds\)/)
    assert.doesNotMatch(await session('-tls1_3'), /Max Early Data: [1-9]/)
  })
})

test('nothing of all this made the server stumble', () => assertQuietLog(server))
