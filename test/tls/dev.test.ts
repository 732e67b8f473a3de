import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { chmodSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'

import { openDevPair } from '../../src/tls/dev-pair.ts'
import { goodPassword } from '../support/accounts.ts'
import { runCommand, temporaryFolder } from '../support/command.ts'
import { askHttp1, openHttp2 } from '../support/secure-client.ts'
import { runToEnd, startServer, type TestServer } from '../support/server.ts'
import { createTestAuthority } from '../support/tls-material.ts'

const dayMs = 86_400_000

describe('a development certificate', () => {
  let server: TestServer
  before(async () => (server = await startServer({ env: { FILMGATE_TLS_MODE: 'dev' } })))
  after(() => server[Symbol.asyncDispose]())

  test('serves localhost and both loopback addresses to who trusts its authority, over both protocols, and nobody else', async () => {
    const ca = readFileSync(join(server.dataDir, 'dev-ca.pem'), 'utf8')
    assert.equal((await askHttp1({ port: server.port, ca })).status, 200)
    await using session = await openHttp2({ port: server.port, ca })
    assert.equal((await session.ask()).status, 200)
    const other = await createTestAuthority()
    await assert.rejects(askHttp1({ port: server.port, ca: other.ca }), { code: 'SELF_SIGNED_CERT_IN_CHAIN' })
    await assert.rejects(fetch(`https://localhost:${server.port}/`))
  })

  test('the key of the authority is nowhere: what is kept is one key, that of the certificate', () => {
    const kept = readFileSync(join(server.dataDir, 'dev-tls.pem'), 'utf8')
    const authority = new X509Certificate(readFileSync(join(server.dataDir, 'dev-ca.pem')))
    const leaf = new X509Certificate(kept)
    assert.equal(kept.match(/PRIVATE KEY/g)?.length, 2, 'one key, begin and end')
    const key = kept.slice(0, kept.indexOf('-----BEGIN CERTIFICATE'))
    assert.ok(!readFileSync(join(server.dataDir, 'dev-ca.pem'), 'utf8').includes('PRIVATE'))
    assert.ok(leaf.checkIssued(authority) && leaf.verify(authority.publicKey))
    assert.ok(leaf.publicKey.export({ type: 'spki', format: 'pem' }) !== authority.publicKey.export({ type: 'spki', format: 'pem' }))
    assert.match(key, /^-----BEGIN PRIVATE KEY/)
    assert.deepEqual([authority.ca, leaf.ca], [true, false])
  })

  test('only its owner reads the key; what is to be trusted is no secret', () => {
    const modes = ['dev-tls.pem', 'dev-ca.pem'].map((name) => statSync(join(server.dataDir, name)).mode & 0o777)
    assert.deepEqual(modes, [0o600, 0o644])
  })

  test('the calls that the start prints work as they stand', async () => {
    const lines = server.stderr().match(/^ {2}curl .*$/gm) ?? []
    assert.equal(lines.length, 3, server.stderr())
    const [, claim = ''] = /^ {2}read -rs password && (.*)$/m.exec(server.stderr()) ?? []
    const printed = [...lines.map((line) => line.trim()), `password='${goodPassword}'; ${claim.replace(/; unset password$/, '')}`]
    for (const line of printed) {
      const script = `${line} -sS -o /dev/null -w '%{http_code}'`
      const shell = await runCommand([], { cwd: join(server.dataDir, '..'), wrap: () => ['bash', '-c', script] })
      assert.match(shell.stdout, /^20[01]$/, `${line}\n${shell.stderr}`)
    }
    assert.match(server.stderr(), /clients trust it by data\/dev-ca\.pem/)
  })

  test('a second start keeps it, and loads nothing to make another', async () => {
    const kept = readFileSync(join(server.dataDir, 'dev-tls.pem'), 'utf8')
    const script = `
      const { openDevPair } = await import(${JSON.stringify(join(import.meta.dirname, '../../src/tls/dev-pair.ts'))})
      const { isNew } = await openDevPair(${JSON.stringify(server.dataDir)}, Date.now())
      console.log(JSON.stringify({ isNew, isLoaded: 'getMetadata' in Reflect }))`
    const { stdout, stderr } = await runCommand([], { wrap: () => [process.execPath, '--input-type=module', '-e', script] })
    assert.deepEqual(JSON.parse(stdout), { isNew: false, isLoaded: false }, stderr)
    assert.equal(readFileSync(join(server.dataDir, 'dev-tls.pem'), 'utf8'), kept)
  })
})

describe('what is kept of it is made anew', () => {
  const nowMs = Date.now()
  const damages: readonly (readonly [name: string, atMs: number, damage: (path: string, dir: string) => Promise<void> | void])[] = [
    ['when less than a month is left', nowMs + 61 * dayMs, () => undefined],
    ['when it has expired', nowMs + 91 * dayMs, () => undefined],
    ['when the clock went back behind its beginning', nowMs - 2 * dayMs, () => undefined],
    ['when it was cut off', nowMs, (path) => writeFileSync(path, readFileSync(path, 'utf8').slice(0, 700))],
    ['when it is empty', nowMs, (path) => writeFileSync(path, '')],
    ['when it holds something else', nowMs, (path) => writeFileSync(path, 'no PEM at all')],
    ['when others could read it: they have its key', nowMs, (path) => chmodSync(path, 0o640)],
    ['when it is gone', nowMs, (path) => rmSync(path)],
    [
      'when it lacks the authority that clients are told to trust',
      nowMs,
      (path) =>
        writeFileSync(path, readFileSync(path, 'utf8').replace(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----\s*$/, '')),
    ],
    [
      'when it is for other names',
      nowMs,
      async (path) => {
        const { cert, key } = await (await (await createTestAuthority()).intermediate()).issue({ names: ['localhost', 'films.example'] })
        writeFileSync(path, key + cert)
      },
    ],
  ]
  for (const [name, atMs, damage] of damages)
    test(name, async () => {
      using folder = temporaryFolder()
      const first = await openDevPair(folder.path, nowMs)
      assert.equal((await openDevPair(folder.path, nowMs)).isNew, false, 'kept while nothing is wrong')
      await damage(join(folder.path, 'dev-tls.pem'), folder.path)
      const second = await openDevPair(folder.path, atMs)
      assert.equal(second.isNew, true)
      assert.notEqual(second.pair.leaf.serialNumber, first.pair.leaf.serialNumber)
      assert.equal(statSync(join(folder.path, 'dev-tls.pem')).mode & 0o777, 0o600)
      const authority = new X509Certificate(readFileSync(second.caPath))
      assert.ok(second.pair.leaf.verify(authority.publicKey), 'the file to trust is that of the new one')
    })

  test('a file to trust that is gone or wrong comes back, without a new certificate', async () => {
    using folder = temporaryFolder()
    const { caPath, pair } = await openDevPair(folder.path, nowMs)
    for (const damage of [() => rmSync(caPath), () => writeFileSync(caPath, 'nothing'), () => chmodSync(caPath, 0o600)]) {
      damage()
      const again = await openDevPair(folder.path, nowMs)
      assert.equal(again.isNew, false)
      assert.ok(pair.leaf.verify(new X509Certificate(readFileSync(caPath)).publicKey))
      assert.equal(statSync(caPath).mode & 0o777, 0o644)
    }
  })
})

test('other machines are not served by it: every address that is not in it is refused, whatever else is configured', async () => {
  for (const env of [
    { FILMGATE_SERVER_HOST: '0.0.0.0' },
    { FILMGATE_SERVER_HOST: '127.0.0.2' },
    { FILMGATE_OPS_HOST: '::' },
    { FILMGATE_SERVER_HOST: '0.0.0.0', FILMGATE_SERVER_TRUSTED_PROXIES: '10.0.0.0/8' },
  ]) {
    const { code, stderr, stdout } = await runToEnd({ env: { FILMGATE_TLS_MODE: 'dev', ...env } })
    assert.equal(code, 2, stderr)
    assert.match(stderr, /FILMGATE_(SERVER|OPS)_HOST: (server|ops)\.host is no address of a development certificate/)
    assert.doesNotMatch(stderr + stdout, /listens on|sys_startup/)
  }
})
