import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import type { RequestListener } from 'node:http'
import { after, describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'

import { Problem } from '../../src/core/errors.ts'
import type { SecurityEvent } from '../../src/core/events.ts'
import { createExternalIssuers } from '../../src/layers/index.ts'
import { createManualClock } from '../support/manual-clock.ts'
import { claimsOf, discoveryPath, json, keysPath, type OwnIssuer, signToken, startOwnIssuer } from '../support/own-issuer.ts'

const audience = 'films'

const stateOf = (issuer: OwnIssuer) => {
  const clock = createManualClock(Date.now())
  const events: SecurityEvent[] = []
  const one = { url: issuer.url, audience, roleClaim: '', roles: {}, allowPrivate: true }
  const issuers = createExternalIssuers({ issuers: [one], clock, timers: clock, observe: (event) => void events.push(event) })
  const verify = () => issuers.verify(signToken(issuer, claimsOf(issuer, audience, clock.epochMs())))
  return { clock, events, issuers, verify }
}

/** The token is neither taken nor refused, the caller is told when to try again, and the log says why. */
const assertUnverifiable = async (verifying: Promise<unknown>, events: readonly SecurityEvent[], reason: RegExp): Promise<void> => {
  await assert.rejects(verifying, (error) => {
    assert.ok(error instanceof Problem, String(error))
    assert.deepEqual([error.code, error.options.retryAfterSeconds], ['store_unavailable', 30])
    assert.doesNotMatch(error.message, /127\.0\.0\.1|localhost/)
    return true
  })
  assert.equal(events.length, 1)
  assert.match(JSON.stringify(events[0]), reason)
}

/** The seconds after which to try again. */
const assertUnverifiableLater = async (verifying: Promise<unknown>): Promise<number | undefined> => {
  const error: unknown = await verifying.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof Problem, String(error))
  assert.equal(error.code, 'store_unavailable')
  return error.options.retryAfterSeconds
}

/** What an issuer answers, at its discovery document and again at its keys. */
const hostileAnswers: readonly (readonly [string, RequestListener, RegExp])[] = [
  ...[301, 302, 303, 307, 308].map((status): readonly [string, RequestListener, RegExp] => [
    `a redirect to another server, ${status}`,
    (_request, response) => void response.writeHead(status, { location: bystander.url }).end(),
    new RegExp(`the answer has status ${status}`),
  ]),
  ['a page of HTML', (_, response) => void response.writeHead(200, { 'content-type': 'text/html' }).end('{}'), /is not JSON/],
  ['no type', (_, response) => void response.writeHead(200).end('{}'), /is not JSON/],
  [
    'JSON in its name only',
    (_, response) => void response.writeHead(200, { 'content-type': 'application/jsonp' }).end('{}'),
    /is not JSON/,
  ],
  [
    'half a document',
    (_, response) => void response.writeHead(200, { 'content-type': 'application/json' }).end('{"issuer":'),
    /is not JSON/,
  ],
  ['a list', json([]), /is not a JSON object/],
  ['null', json(null), /is not a JSON object/],
  [
    'bytes that are no UTF-8',
    (_, response) => void response.writeHead(200, { 'content-type': 'application/json' }).end(Buffer.from('{"a":"\xff"}', 'latin1')),
    /is not JSON/,
  ],
  ['an error', json({}, 500), /status 500/],
  ['nothing, with success', (_, response) => void response.writeHead(204).end(), /status 204/],
  [
    '5 MB',
    (_, response) => void response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ x: 'x'.repeat(5_000_000) })),
    /larger than 262144 bytes/,
  ],
  [
    'a promise of 5 MB',
    (_, response) => response.writeHead(200, { 'content-type': 'application/json', 'content-length': '5000000' }).flushHeaders(),
    /larger than 262144 bytes/,
  ],
  [
    'a body without an end',
    (_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      const more = (error?: Error | null): void => {
        // Ends when the other side has gone.
        if (error === undefined || error === null) response.write(Buffer.alloc(65_536, 0x20), more)
      }
      more()
    },
    /larger than 262144 bytes/,
  ],
  [
    'a bomb of gzip',
    (_, response) =>
      void response
        .writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' })
        .end(gzipSync(Buffer.alloc(10_000_000, 0x20))),
    /is compressed/,
  ],
  [
    'JSON a hundred thousand levels deep',
    (_, response) =>
      void response.writeHead(200, { 'content-type': 'application/json' }).end(`{"keys":${'['.repeat(100_000)}${']'.repeat(100_000)}}`),
    /is not JSON|has no keys|another issuer|fit to verify/,
  ],
  [
    'header fields without an end',
    (_, response) => {
      response.socket?.write('HTTP/1.1 200 OK\r\n')
      for (let i = 0; i < 2000; i++) response.socket?.write(`x-${i}: ${'x'.repeat(100)}\r\n`)
    },
    /Header overflow/,
  ],
  [
    'less than it promised',
    (_, response) => void response.socket?.end('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{'),
    /aborted/,
  ],
  ['a connection that it closes', (request) => void request.socket.destroy(), /socket hang up|ECONNRESET/],
  ['what is not HTTP', (request) => void request.socket.end('hello\r\n\r\n'), /Parse Error|Expected HTTP/],
  [
    'another protocol',
    (request) => void request.socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'),
    /without an answer/,
  ],
]

const bystander = await startOwnIssuer()
after(() => bystander[Symbol.asyncDispose]())

describe('an issuer that answers with', () => {
  for (const [name, answer, reason] of hostileAnswers) {
    for (const path of [discoveryPath, keysPath]) {
      test(`${name}, at ${path}: refused, and asked once`, async () => {
        await using issuer = await startOwnIssuer()
        const { events, verify } = stateOf(issuer)
        issuer.answers.set(path, answer)
        await assertUnverifiable(verify(), events, reason)
        assert.deepEqual(issuer.asked, path === keysPath ? [discoveryPath, keysPath] : [discoveryPath])
        await assert.rejects(verify(), Problem)
        assert.equal(issuer.asked.filter((one) => one === path).length, 1, 'it is left alone')
        assert.equal(bystander.connections(), 0)
      })
    }
  }
})

describe('an issuer that', () => {
  const slow: readonly (readonly [string, RequestListener])[] = [
    ['hangs', () => undefined],
    ['says that it will be with us in a moment, and is not', (_, response) => response.writeProcessing()],
    ['begins and hangs', (_, response) => void response.writeHead(200, { 'content-type': 'application/json' }).write('{')],
    [
      'sends a byte now and then',
      (_, response) => {
        response.writeHead(200, { 'content-type': 'application/json' }).write('{')
        const timer = setInterval(() => response.write(' '), 10)
        response.on('close', () => clearInterval(timer))
      },
    ],
  ]
  for (const [name, answer] of slow) {
    for (const path of [discoveryPath, keysPath]) {
      test(`${name}, at ${path}: let go after five seconds in all`, async () => {
        await using issuer = await startOwnIssuer()
        const { clock, events, verify } = stateOf(issuer)
        const begun = new Promise<{ closed: Promise<unknown> }>((resolve) => {
          issuer.answers.set(path, (request, response) => {
            answer(request, response)
            resolve({ closed: new Promise((closed) => request.socket.on('close', closed)) })
          })
        })
        const verifying = assertUnverifiableLater(verify())
        const { closed } = await begun
        clock.advance(4999)
        assert.equal(events.length, 0)
        clock.advance(1)
        assert.equal(await verifying, 25)
        assert.match(JSON.stringify(events), /no answer within 5000 ms/)
        await closed
        assert.equal(clock.timers, 0)
      })
    }
  }

  const otherNames: readonly (readonly [string, (url: string) => unknown])[] = [
    ['with a slash behind it', (url) => `${url}/`],
    ['in capitals', (url) => url.toUpperCase()],
    ['of somebody else', () => 'https://accounts.example.com'],
    ['in a list', (url) => [url]],
    ['left out', () => undefined],
  ]
  for (const [name, other] of otherNames) {
    test(`has another name in its document, ${name}: not the one that was configured`, async () => {
      await using issuer = await startOwnIssuer()
      const { events, verify } = stateOf(issuer)
      issuer.document['issuer'] = other(issuer.url)
      await assertUnverifiable(verify(), events, /is of another issuer/)
      assert.deepEqual(issuer.asked, [discoveryPath])
    })
  }

  const places: readonly (readonly [unknown, RegExp])[] = [
    ['http://169.254.169.254/latest/meta-data/', /not allowed/],
    ['https://169.254.169.254/', /not allowed/],
    ['https://2852039166/', /not allowed/],
    ['https://0xa9.0xfe.0xa9.0xfe/', /not allowed/],
    ['https://[::ffff:169.254.169.254]/', /not allowed/],
    ['https://[::ffff:a9fe:a9fe]/', /not allowed/],
    ['https://[64:ff9b::a9fe:a9fe]/', /not allowed/],
    ['https://[fe80::1]/', /not allowed/],
    ['https://0/', /not allowed/],
    ['http://10.0.0.1/', /not allowed/],
    ['http://8.8.8.8/', /not allowed/],
    ['file:///etc/passwd', /not https/],
    ['data:application/json,{"keys":[]}', /not https/],
    ['ftp://127.0.0.1/keys', /not https/],
    ['https://user:password@127.0.0.1/', /names a user/],
    ['/keys', /no jwks_uri/],
    ['', /no jwks_uri/],
    [['https://127.0.0.1/'], /no jwks_uri/],
    [undefined, /no jwks_uri/],
    [`https://127.0.0.1/${'k'.repeat(2048)}`, /no jwks_uri/],
  ]
  for (const [place, reason] of places) {
    test(`says that its keys are at ${String(place).slice(0, 60)}: nobody asks there`, async () => {
      await using issuer = await startOwnIssuer()
      const { events, verify } = stateOf(issuer)
      issuer.document['jwks_uri'] = place
      await assertUnverifiable(verify(), events, reason)
      assert.deepEqual(issuer.asked, [discoveryPath])
    })
  }

  test('keeps its keys on another server, under the same rules', async () => {
    await using issuer = await startOwnIssuer()
    await using other = await startOwnIssuer()
    const { verify } = stateOf(issuer)
    issuer.document['jwks_uri'] = `${other.url}${keysPath}`
    other.keys.splice(0, 1, ...issuer.keys)
    assert.ok(await verify())
    assert.deepEqual([issuer.asked, other.asked], [[discoveryPath], [keysPath]])
  })

  const weakSets: readonly (readonly [string, (good: Record<string, unknown>) => unknown])[] = [
    ['no keys', () => []],
    ['a symmetric key alone', () => [{ kty: 'oct', k: 'c2VjcmV0', kid: 'key-1', alg: 'HS256' }]],
    ['its private key', (good) => [{ ...good, d: 'AAAA' }]],
    ['a thousand keys', (good) => Array.from({ length: 1000 }, (_, i) => ({ ...good, kid: `key-${i}` }))],
    ['one name for two keys', (good) => [good, good]],
    ['no list', () => 'key-1'],
  ]
  for (const [name, keys] of weakSets) {
    test(`publishes ${name}: none of it is believed`, async () => {
      await using issuer = await startOwnIssuer()
      const { events, verify } = stateOf(issuer)
      issuer.answers.set(keysPath, json({ keys: keys(issuer.keys[0]!) }))
      await assertUnverifiable(verify(), events, /the key set has/)
    })
  }
})

test('kid flood: thousands of key ids that nobody has cost the issuer one question in thirty seconds', async () => {
  await using issuer = await startOwnIssuer()
  const attacker = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { clock, issuers } = stateOf(issuer)
  const flood = async (count: number): Promise<void> => {
    const claims = claimsOf(issuer, audience, clock.epochMs())
    const tokens = Array.from({ length: count }, (_, i) => signToken({ pair: attacker }, claims, { kid: `kid-${i}` }))
    const found = await Promise.all(tokens.map((token) => issuers.verify(token)))
    assert.ok(found.every((one) => one === undefined))
  }
  await flood(1000)
  await flood(1000)
  assert.deepEqual(issuer.asked, [discoveryPath, keysPath])
  clock.advance(30_000)
  await flood(1000)
  assert.equal(issuer.asked.length, 4)
})
