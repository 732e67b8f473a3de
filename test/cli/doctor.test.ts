import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmodSync, mkdirSync, readdirSync, rmSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, test } from 'node:test'

import { type CommandOptions, type CommandResult, runCommand, temporaryFolder } from '../support/command.ts'
import { databases } from '../support/databases.ts'
import { startPostgres } from '../support/postgres.ts'
import { startServer } from '../support/server.ts'
import { describeUnless, servicesMissing } from '../support/services.ts'

interface Finding {
  readonly check: string
  readonly status: 'ok' | 'warn' | 'fail'
  readonly detail: string
  readonly fix?: string
}

interface Diagnosis extends CommandResult {
  readonly findings: readonly Finding[]
  readonly of: (check: string) => Finding
}

const diagnose = async (options: CommandOptions = {}): Promise<Diagnosis> => {
  const result = await runCommand(['doctor', '--json'], options)
  const findings = JSON.parse(result.stdout) as Finding[]
  for (const { check, status, fix } of findings)
    assert.equal(fix === undefined, status === 'ok', `${check}: a fix where something is wrong, and only there`)
  assert.equal(result.code, findings.some(({ status }) => status === 'fail') ? 1 : 0)
  assert.equal(result.stderr, '')
  return {
    ...result,
    findings,
    of: (check) => {
      const found = findings.find((finding) => finding.check === check)
      assert.ok(found, `no finding about ${check} in ${result.stdout}`)
      return found
    },
  }
}

/** What a start leaves behind. */
const startedFolder = async (dataDir: string): Promise<void> => {
  await using server = await startServer({ dataDir })
  assert.equal(await server.kill('SIGTERM'), 0)
}

describe('doctor', () => {
  test('before the first start: nothing is wrong, nothing is made', async () => {
    using folder = temporaryFolder()
    const { code, findings } = await diagnose({ cwd: folder.path })
    assert.equal(code, 0)
    assert.deepEqual(
      findings.filter(({ check, status }) => status !== 'ok' && check !== 'user' && check !== 'disk'),
      [],
    )
    assert.deepEqual(readdirSync(folder.path), [])
  })

  test('for people: a line for each finding, and the sum', async () => {
    const { code, stdout, stderr } = await runCommand(['doctor'], { env: { FILMGATE_SERVER_PUBLIC_URL: 'https://films.example.com' } })
    assert.deepEqual([code, stderr], [1, ''])
    assert.match(stdout, /^ok {4}node {12}Node 26/)
    assert.match(stdout, /^fail {2}proxies .*\n +fix: server\.trusted_proxies = \["127\.0\.0\.1\/32"\]/m)
    assert.match(stdout, /\n\d+ ok, \d+ to look at, 1 to fix\n$/)
  })

  test('beside a running server: its ports are known as ours', async () => {
    await using server = await startServer()
    const env = { FILMGATE_SERVER_PORT: String(server.port), FILMGATE_OPS_PORT: new URL(server.opsUrl).port }
    const { code, of, stdout } = await diagnose({ dataDir: server.dataDir, env })
    assert.equal(code, 0, stdout)
    for (const check of ['API port', 'health port']) assert.match(of(check).detail, /is served by Filmgate$/)
    for (const check of ['data folder', 'master key', 'starter key', 'database', 'schema', 'writes'])
      assert.equal(of(check).status, 'ok', check)
    assert.ok(!stdout.includes(server.key()))
  })

  test('a port that another program has, and one that is not ours to take', async () => {
    const other = createServer((socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"status":"ok"}')).listen(
      0,
      '127.0.0.1',
    )
    await once(other, 'listening')
    const taken = String((other.address() as AddressInfo).port)
    const { code, of } = await diagnose({ env: { FILMGATE_OPS_PORT: taken } })
    other.close()
    assert.equal(code, 1)
    assert.equal(of('health port').status, 'fail')
    assert.match(of('health port').detail, new RegExp(`another program listens on 127\\.0\\.0\\.1:${taken}`))
    assert.match(of('health port').fix ?? '', /ops\.port/)
  })

  test('an address that this machine does not have', async () => {
    const { of } = await diagnose({ env: { FILMGATE_SERVER_HOST: '127.0.0.1', FILMGATE_OPS_HOST: '::1', FILMGATE_OPS_PORT: '0' } })
    assert.equal(of('bind').status, 'ok')
  })

  test('a configuration that is wrong is a finding, with its place', async () => {
    const { code, findings } = await diagnose({ env: { FILMGATE_SERVER_PROT: '1', FILMGATE_LOG_LEVEL: 'loud' } })
    assert.equal(code, 1)
    const wrong = findings.filter(({ check }) => check === 'configuration')
    assert.deepEqual(wrong.map(({ status, fix }) => `${status} ${fix}`).toSorted(), [
      'fail change it in FILMGATE_LOG_LEVEL',
      'fail change it in FILMGATE_SERVER_PROT',
    ])
  })

  const damages: readonly {
    readonly name: string
    readonly check: string
    readonly status: Finding['status']
    readonly fix: RegExp
    readonly damage: (dataDir: string) => void
  }[] = [
    { name: 'an open folder', check: 'data folder', status: 'fail', fix: /^chmod 700 /, damage: (dir) => chmodSync(dir, 0o755) },
    {
      name: 'an open key file',
      check: 'master key',
      status: 'fail',
      fix: /^chmod 600 /,
      damage: (dir) => chmodSync(join(dir, 'master.key'), 0o644),
    },
    {
      name: 'a damaged master key',
      check: 'master key',
      status: 'fail',
      fix: /backup/,
      damage: (dir) => truncateSync(join(dir, 'master.key'), 10),
    },
    {
      name: 'an open starter key',
      check: 'starter key',
      status: 'fail',
      fix: /^chmod 600 /,
      damage: (dir) => chmodSync(join(dir, 'starter.key'), 0o640),
    },
    {
      name: 'a damaged starter key',
      check: 'starter key',
      status: 'warn',
      fix: /start the server/,
      damage: (dir) => truncateSync(join(dir, 'starter.key'), 10),
    },
    {
      name: 'no starter key, as where there is an admin',
      check: 'starter key',
      status: 'ok',
      fix: /^$/,
      damage: (dir) => rmSync(join(dir, 'starter.key')),
    },
    {
      name: 'a damaged database',
      check: 'database',
      status: 'fail',
      fix: /backup/,
      damage: (dir) => writeFileSync(join(dir, 'filmgate.db'), 'x'.repeat(8192)),
    },
    {
      name: 'a clock that went back',
      check: 'clock',
      status: 'warn',
      fix: /set-ntp/,
      damage: (dir) => utimesSync(join(dir, 'starter.key'), 4_000_000_000, 4_000_000_000),
    },
  ]

  test('what is wrong with a data folder, one thing at a time', async (t) => {
    using folder = temporaryFolder()
    for (const { name, check, status, fix, damage } of damages) {
      await t.test(name, async () => {
        const dataDir = join(folder.path, name)
        await startedFolder(dataDir)
        damage(dataDir)
        const { of } = await diagnose({ dataDir })
        assert.deepEqual([of(check).status, fix.test(of(check).fix ?? '')], [status, true], JSON.stringify(of(check)))
      })
    }
  })

  test('a folder of somebody else', async () => {
    using folder = temporaryFolder()
    writeFileSync(join(folder.path, 'letters.txt'), 'x')
    const finding = (await diagnose({ dataDir: folder.path })).of('data folder')
    assert.equal(finding.status, 'fail')
    assert.match(finding.detail, /holds other files/)
  })

  test('the fix for a mode works as it is printed, whatever the path holds', async () => {
    using folder = temporaryFolder()
    const dataDir = join(folder.path, 'it\'s a "folder"')
    mkdirSync(dataDir, { mode: 0o755 })
    chmodSync(dataDir, 0o755)
    const fix = (await diagnose({ dataDir })).of('data folder').fix ?? ''
    const shell = await runCommand([], { wrap: () => ['sh', '-c', fix] })
    assert.equal(shell.code, 0, shell.stderr)
    assert.equal(statSync(dataDir).mode & 0o777, 0o700)
  })

  test('what stands in front: proxies and the public address', async () => {
    const cases: readonly [env: Readonly<Record<string, string>>, check: string, status: Finding['status']][] = [
      [{ FILMGATE_SERVER_PUBLIC_URL: 'https://films.example.com' }, 'proxies', 'fail'],
      [{ FILMGATE_SERVER_PUBLIC_URL: 'http://localhost:3000' }, 'proxies', 'ok'],
      [{ FILMGATE_SERVER_TRUSTED_PROXIES: '127.0.0.1/32' }, 'public URL', 'warn'],
      [{ FILMGATE_SERVER_TRUSTED_PROXIES: '127.0.0.1/32', FILMGATE_SERVER_PUBLIC_URL: 'http://films.example.com' }, 'public URL', 'warn'],
      [{ FILMGATE_SERVER_TRUSTED_PROXIES: '127.0.0.1/32', FILMGATE_SERVER_PUBLIC_URL: 'https://films.example.com' }, 'public URL', 'ok'],
    ]
    for (const [env, check, status] of cases) assert.equal((await diagnose({ env })).of(check).status, status, JSON.stringify(env))
  })

  test('a schema that is behind, before the server was started with this release', async () => {
    const sqlite = databases.find(({ name }) => name === 'sqlite')
    assert.ok(sqlite)
    await using place = await sqlite.place()
    writeFileSync(join(place.dataDir, 'filmgate.db'), '')
    assert.equal((await diagnose({ dataDir: place.dataDir })).of('schema').status, 'warn')
  })
})

describeUnless(servicesMissing('postgres'), 'doctor and PostgreSQL', () => {
  const key = 'a shared key of 32 characters or more'

  test('a good server: version, durability, TLS, clock', async () => {
    await using server = await startPostgres({ fsync: true })
    const env = { DATABASE_URL: await server.createDatabase(), FILMGATE_SECRETS_KEY: key }
    using folder = temporaryFolder()
    const options = { env, cwd: folder.path }
    assert.equal((await runCommand(['migrate'], options)).code, 0)
    const { code, of, stdout } = await diagnose(options)
    assert.equal(code, 0, stdout)
    for (const check of ['database', 'schema', 'writes', 'PostgreSQL', 'durability', 'database TLS', 'database clock'])
      assert.equal(of(check).status, 'ok', check)
    assert.ok(!stdout.includes(key))
  })

  test('a server that forgets: fsync and full_page_writes off', async () => {
    await using server = await startPostgres({ fsync: false, settings: { full_page_writes: 'off' } })
    const env = { DATABASE_URL: await server.createDatabase(), FILMGATE_SECRETS_KEY: key }
    using folder = temporaryFolder()
    await runCommand(['migrate'], { env, cwd: folder.path })
    const finding = (await diagnose({ env, cwd: folder.path })).of('durability')
    assert.equal(finding.status, 'fail')
    assert.match(finding.detail, /fsync and full_page_writes are off/)
    assert.match(finding.fix ?? '', /alter system set fsync = on; alter system set full_page_writes = on;/)
  })

  test('a server that is not there, and one that refuses: the host, never the password', async () => {
    await using server = await startPostgres({ tcp: {} })
    const good = server.tcpUrl(await server.createDatabase())
    const refused = Object.assign(new URL(good), { password: 'wr0ngsecret' }).href
    for (const url of ['postgres://me:hiddensecret@127.0.0.1:9/films', refused]) {
      const { code, of, stdout } = await diagnose({ env: { DATABASE_URL: url, FILMGATE_SECRETS_KEY: key } })
      assert.equal(code, 1)
      assert.equal(of('database').status, 'fail')
      assert.match(of('database').detail, / at (127\.0\.0\.1|localhost):\d+: /)
      assert.doesNotMatch(stdout, /hiddensecret|wr0ngsecret|a shared key/)
    }
  })
})
