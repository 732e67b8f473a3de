import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { describe, test } from 'node:test'

import { describeUnless, servicesMissing } from '../../test/support/services.ts'
import { createTestAuthority, type Issued } from '../../test/support/tls-material.ts'
import { expiryWarning, isChainWhole, isFor, judgePair, type Pair } from './pair.ts'

const authority = await createTestAuthority()
const dayMs = 86_400_000
const nowMs = Date.now()

const mistakesOf = (pair: Issued, names: readonly string[] = []): string[] => {
  const judged = judgePair(pair, { names, nowMs: Date.now() })
  return 'mistakes' in judged ? judged.mistakes.map(({ key, message }) => `${key} ${message}`) : []
}

const pairOf = (issued: Issued, atMs = nowMs): Pair => {
  const judged = judgePair(issued, { names: [], nowMs: atMs })
  assert.ok('pair' in judged)
  return judged.pair
}

const encrypted = (type: 'pkcs8' | 'pkcs1'): string =>
  generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type, format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' },
  }).privateKey

describe('certificates that no client would get through with are refused, each for its reason', () => {
  test('good ones: P-256, RSA of 2048 bits, with a chain', async () => {
    const intermediate = await authority.intermediate()
    for (const issued of [await authority.issue(), await authority.issue({ keys: 'RSA-2048' }), await intermediate.issue()])
      assert.deepEqual(mistakesOf(issued, ['localhost']), [])
  })

  test('dates: over, and not yet', async () => {
    assert.match(mistakesOf(await authority.issue({ from: -9, to: -1 })).join(), /^tls\.cert expired on \d{4}-/)
    assert.match(mistakesOf(await authority.issue({ from: 1, to: 9 })).join(), /^tls\.cert is not valid before \d{4}-.*clock/)
  })

  test('the key of another certificate', async () => {
    const [{ cert }, { key }] = await Promise.all([authority.issue(), authority.issue()])
    assert.deepEqual(mistakesOf({ cert, key }), ['tls.key is not the key of the certificate in tls.cert'])
  })

  test('no PEM, empty files, files swapped, a broken block, an encrypted key: never a word of what they hold', async () => {
    const { cert, key } = await authority.issue()
    const cases: readonly (readonly [Issued, RegExp])[] = [
      [{ cert: '', key: '' }, /tls\.cert holds no certificate in PEM.*tls\.key holds no private key in PEM/],
      [{ cert: key, key: cert }, /tls\.cert holds no certificate in PEM.*tls\.key holds no private key in PEM/],
      [{ cert: cert.replace(/\n.{9}/, '\nAAAAAAAAA'), key }, /tls\.cert holds no certificate in PEM/],
      [{ cert: cert.slice(0, 200), key }, /tls\.cert holds no certificate in PEM/],
      [{ cert, key: key.slice(0, 80) }, /tls\.key holds no private key in PEM/],
      [{ cert, key: encrypted('pkcs8') }, /tls\.key is encrypted/],
      [{ cert, key: encrypted('pkcs1') }, /tls\.key is encrypted/],
    ]
    for (const [material, expected] of cases) {
      const told = mistakesOf(material).join(' ')
      assert.match(told, expected)
      assert.doesNotMatch(told, /[A-Za-z0-9+/]{40}/)
    }
  })

  test('a key that OpenSSL itself cannot read is a mistake, never an exception that would end a server', async () => {
    const { cert, key } = await authority.issue()
    const der = Buffer.from(cert.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64')
    // id-ecPublicKey (RFC 5480 section 2.1.1) becomes an algorithm that nobody knows.
    const at = der.indexOf(Buffer.from('06072a8648ce3d0201', 'hex'))
    assert.ok(at > 0)
    der[at + 8] = 0x7f
    const unknown = `-----BEGIN CERTIFICATE-----\n${der.toString('base64')}\n-----END CERTIFICATE-----\n`
    assert.match(mistakesOf({ cert: unknown, key }).join(), /^tls\.cert cannot be used: \w+$/)
  })

  test('names: one of them is enough, none is refused, and the common name is no name', async () => {
    const issued = await authority.issue({ names: ['films.example', '*.films.example', '192.0.2.7', '2001:db8::7'] })
    for (const name of ['films.example', 'api.films.example', '192.0.2.7', '2001:db8::7', '2001:DB8:0::7'])
      assert.deepEqual(mistakesOf(issued, ['other.example', name]), [], name)
    for (const name of ['other.example', 'a.b.films.example', 'films.example.evil', '192.0.2.8', '2001:db8::8', 'a test'])
      assert.match(mistakesOf(issued, [name]).join(), /^tls\.cert is for none of the names of this server/, name)
    assert.deepEqual([isFor(pairOf(issued).leaf, 'films.example'), isFor(pairOf(issued).leaf, 'a test')], [true, false])
  })

  test('weak: an RSA key of 1024 bits, a SHA-1 signature, a certificate for something else than servers', async () => {
    assert.match(
      mistakesOf(await authority.issue({ keys: 'RSA-1024' })).join(),
      /^tls\.cert has a certificate with an RSA key of 1024 bits/,
    )
    const old = await createTestAuthority('P-256/SHA-1')
    assert.match(mistakesOf(await old.issue()).join(), /^tls\.cert has a certificate that is signed with a broken digest \(.*SHA1\)/i)
    const weakChain = await (await old.intermediate()).issue()
    assert.match(mistakesOf(weakChain).join(), /broken digest/)
    const client = await authority.issue({ usage: '1.3.6.1.5.5.7.3.2' as never })
    assert.match(mistakesOf(client).join(), /^tls\.cert is not for servers/)
  })
})

const selfSigned = (...args: readonly string[]): Issued => {
  const pem = execFileSync('openssl', ['req', '-x509', '-nodes', '-subj', '/CN=a test', '-days', '30', '-keyout', '-', ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  return { cert: pem, key: pem }
}

describeUnless(servicesMissing('openssl'), 'what only openssl makes', () => {
  test('self-signed, key and certificate in one file', () => {
    assert.deepEqual(mistakesOf(selfSigned('-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-384')), [])
    assert.deepEqual(mistakesOf(selfSigned('-newkey', 'ed25519')), [])
  })

  test('keys that no browser takes', () => {
    for (const curve of ['secp256k1', 'brainpoolP256r1', 'secp224r1', 'SM2'])
      assert.match(mistakesOf(selfSigned('-newkey', 'ec', '-pkeyopt', `ec_paramgen_curve:${curve}`)).join(), /^tls\.(cert|key) /, curve)
  })
})

test('two weeks before its end there is a warning; a short-lived certificate warns in the last third of its life', async () => {
  const issued = await authority.issue({ from: -1, to: 90 })
  const endMs = pairOf(issued).leaf.validToDate.getTime()
  for (const [leftDays, said] of [
    [15, undefined],
    [14.01, undefined],
    [13.9, /^The TLS certificate expires in 13 days \(/],
    [1.5, /expires in 1 day \(/],
    [0.5, /expires within a day/],
  ] as const) {
    const warning = expiryWarning(pairOf(issued), endMs - leftDays * dayMs)
    if (said === undefined) assert.equal(warning, undefined)
    else assert.match(warning ?? '', said)
  }
  assert.match(expiryWarning(pairOf(issued), endMs + 2 * dayMs) ?? '', /has expired/)
  const short = pairOf(await authority.issue({ from: -1, to: 5 }))
  assert.equal(expiryWarning(short, nowMs), undefined)
  assert.match(expiryWarning(short, nowMs + 3.5 * dayMs) ?? '', /expires in 1 day/)
})

test('a chain that leads on is told from the certificate alone, and from one in the wrong order', async () => {
  const intermediate = await authority.intermediate()
  const deep = await (await intermediate.intermediate()).issue()
  assert.equal(isChainWhole(pairOf(deep)), true)
  const [leaf = '', ...chain] = deep.cert.match(/-----BEGIN[^-]*-----[^-]*-----END[^-]*-----/g) ?? []
  assert.equal(chain.length, 2)
  assert.equal(isChainWhole(pairOf({ cert: leaf, key: deep.key })), false)
  assert.equal(isChainWhole(pairOf({ cert: [leaf, ...chain.toReversed()].join('\n'), key: deep.key })), false)
})
