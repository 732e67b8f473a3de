import assert from 'node:assert/strict'
import { chmodSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'

import type { PairPaths } from '../../src/tls/pair-files.ts'
import { goodPassword } from '../support/accounts.ts'
import { runCommand, temporaryFolder } from '../support/command.ts'
import { askHttp1, openHttp2, shakeHands } from '../support/secure-client.ts'
import { runToEnd, startServer } from '../support/server.ts'
import { createTestAuthority, type IssueOptions, tlsFiles, writePair } from '../support/tls-material.ts'

const authority = await createTestAuthority()

/** A folder with a pair, as FILMGATE_ variables. */
const placed = async (options?: IssueOptions) => {
  const folder = temporaryFolder()
  const paths = writePair(folder.path, await authority.issue(options))
  return { ...paths, env: tlsFiles(paths), [Symbol.dispose]: () => folder[Symbol.dispose]() }
}

describe('files that nobody should serve with: exit 2, every mistake with its key and its line, before a port opens', () => {
  const cases: readonly (readonly [name: string, IssueOptions, damage: (place: PairPaths) => void, told: readonly RegExp[]])[] = [
    [
      'neither is there',
      {},
      ({ cert, key }) => [cert, key].forEach((path) => rmSync(path)),
      [/filmgate\.toml:3: tls\.cert names no file/, /filmgate\.toml:4: tls\.key names no file/],
    ],
    [
      'a key that everybody can read',
      {},
      ({ key }) => chmodSync(key, 0o644),
      [/toml:4: tls\.key names a file that others .*\(mode 0644\): chmod 600/],
    ],
    ['a certificate that is over', { from: -9, to: -1 }, () => undefined, [/toml:3: tls\.cert expired on/]],
  ]
  for (const [name, options, damage, told] of cases)
    test(name, async () => {
      using place = await placed(options)
      damage(place)
      const toml = `[tls]\nmode = "files"\ncert = ${JSON.stringify(place.cert)}\nkey = ${JSON.stringify(place.key)}\n`
      const { code, stdout, stderr } = await runToEnd({ toml })
      assert.equal(code, 2, stderr)
      for (const words of told) assert.match(stderr, words)
      assert.doesNotMatch(stderr, /\n\s+at |PRIVATE/, 'no stack, nothing of what they hold')
      assert.doesNotMatch(stderr + stdout, /listens on|sys_startup/)
    })

  test("the key behind a link counts, not the link: certbot's links are open to all", async () => {
    using place = await placed()
    const link = `${place.key}.link`
    symlinkSync(place.key, link)
    {
      await using server = await startServer({ env: { ...place.env, FILMGATE_TLS_KEY: link } })
      assert.equal((await askHttp1({ port: server.port, ca: authority.ca })).status, 200)
    }
    chmodSync(place.key, 0o644)
    const { code, stderr } = await runToEnd({ env: { ...place.env, FILMGATE_TLS_KEY: link } })
    assert.equal(code, 2)
    assert.match(stderr, /FILMGATE_TLS_KEY: tls\.key names a file that others/)
  })

  test('a certificate for somebody else', async () => {
    using place = await placed({ names: ['other.example'] })
    const { code, stderr } = await runToEnd({
      env: { ...place.env, FILMGATE_SERVER_PUBLIC_URL: 'https://films.example', FILMGATE_SERVER_HOSTS: 'api.films.example:8443,localhost' },
    })
    assert.equal(code, 2)
    assert.match(stderr, /FILMGATE_TLS_CERT: tls\.cert is for none of the names of this server \(films\.example, api\.films\.example;/)
  })
})

describe('open to other machines', () => {
  test('over TLS without a proxy, once there is an admin; health too; under the names of the certificate', async () => {
    using place = await placed({ names: ['films.example', 'localhost'] })
    using folder = temporaryFolder()
    const dataDir = join(folder.path, 'data')
    const env = {
      ...place.env,
      FILMGATE_SERVER_HOST: '0.0.0.0',
      FILMGATE_OPS_HOST: '0.0.0.0',
      FILMGATE_SERVER_PUBLIC_URL: 'https://films.example',
    }
    const unclaimed = await runToEnd({ dataDir, env })
    assert.equal(unclaimed.code, 2)
    for (const key of ['server.host', 'ops.host'])
      assert.match(unclaimed.stderr, new RegExp(`${key} is not a loopback address, and there is no admin yet`))
    const added = await runCommand(['user', 'add', 'ada', '--role', 'admin', '--password-stdin'], { dataDir, input: goodPassword })
    assert.equal(added.code, 0, added.stderr)

    await using server = await startServer({ dataDir, env })
    const name = { ca: authority.ca, name: 'films.example' }
    assert.equal((await askHttp1({ ...name, port: server.port })).status, 200)
    const opsPort = Number(new URL(server.opsUrl).port)
    assert.match(server.opsUrl, /^https:/)
    const ready = await askHttp1({ ...name, port: opsPort }, { target: '/readyz' })
    assert.deepEqual([ready.status, ready.headers['strict-transport-security'] !== undefined], [200, true])
    await assert.rejects(fetch(`http://127.0.0.1:${opsPort}/livez`), 'no plain HTTP there')
    assert.match(server.stderr(), /curl https:\/\/films\.example\/\n/)
    // The calls name who is called, not where it listens.
    assert.doesNotMatch(server.stderr(), /curl [^\n]*0\.0\.0\.0/)

    const ports = { FILMGATE_SERVER_PORT: String(server.port), FILMGATE_OPS_PORT: String(opsPort) }
    const { stdout } = await runCommand(['doctor'], { dataDir, env: { ...env, ...ports } })
    assert.match(stdout, /^ok {4}bind {12}0\.0\.0\.0: other machines reach the API, over TLS$/m)
    assert.match(stdout, /^ok {4}API port {8}0\.0\.0\.0:\d+ is served by Filmgate$/m)
    assert.match(stdout, /^ok {4}health port {5}0\.0\.0\.0:\d+ is served by Filmgate$/m)
    assert.match(stdout, /^ok {4}certificate {5}for DNS:films\.example, DNS:localhost$/m)
    assert.match(stdout, /^warn {2}chain /m)
    const limits = await runCommand(['limits', '192.0.2.1'], { dataDir, env: { ...env, ...ports } })
    assert.match(limits.stdout, /^COUNTED OVER/, limits.stderr)
  })

  test('on loopback health stays plain', async () => {
    using place = await placed()
    await using server = await startServer({ env: place.env })
    assert.match(server.opsUrl, /^http:/)
    assert.equal((await fetch(`${server.opsUrl}/livez`)).status, 200)
  })
})

describe('the end is near', () => {
  test('two weeks before: in the log at the start, in /readyz, in doctor; the server serves', async () => {
    using place = await placed({ from: -80, to: 10 })
    await using server = await startServer({ env: place.env })
    assert.equal((await askHttp1({ port: server.port, ca: authority.ca })).status, 200)
    const said = /^The TLS certificate expires in 9 days \(/
    await server.logged((record) => record['level'] === 'warn' && said.test(record.msg))
    const { status, warnings } = (await (await fetch(`${server.opsUrl}/readyz`)).json()) as { status: string; warnings: string[] }
    assert.equal(status, 'ok')
    assert.match(warnings.join(), said)
    const { stdout } = await runCommand(['doctor'], { env: place.env })
    assert.match(stdout, /^warn {2}expiry {10}The TLS certificate expires in 9 days.*\n +fix: certbot renew/m)
  })

  test('doctor names what is wrong with the files, and the fix for a mode works as it is printed', async () => {
    using place = await placed({ names: ['films.example'] })
    chmodSync(place.key, 0o644)
    const env = { ...place.env, FILMGATE_SERVER_PUBLIC_URL: 'https://films.example', FILMGATE_SERVER_HOSTS: 'api.films.example' }
    const { code, stdout } = await runCommand(['doctor', '--json'], { env })
    assert.equal(code, 1)
    const findings = JSON.parse(stdout) as readonly { check: string; status: string; detail: string; fix?: string }[]
    const certificate = findings.find(({ check }) => check === 'certificate')
    assert.match(certificate?.detail ?? '', /^tls\.key names a file that others/)
    assert.equal((await runCommand([], { wrap: () => ['sh', '-c', certificate?.fix ?? 'false'] })).code, 0)
    const mended = await runCommand(['doctor'], { env })
    assert.equal(mended.code, 0, mended.stdout)
    assert.match(mended.stdout, /^warn {2}certificate names {2}it is not for api\.films\.example/m)
  })
})

test('a stop during TLS: what is in flight is answered, then every session ends, and the process with 0', async () => {
  using place = await placed()
  await using server = await startServer({ env: place.env })
  const target = { port: server.port, ca: authority.ca }
  const session = await openHttp2(target)
  const idle = await shakeHands({ ...target, servername: 'localhost', ALPNProtocols: ['http/1.1'] })
  assert.equal((await session.ask()).status, 200)
  assert.equal(await server.kill('SIGTERM'), 0)
  await session[Symbol.asyncDispose]()
  idle.destroy()
})
