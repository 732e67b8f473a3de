import assert from 'node:assert/strict'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'

import { ask } from '../support/attack.ts'
import { type CommandOptions, runCommand, temporaryFolder } from '../support/command.ts'
import { freePort } from '../support/free-port.ts'
import { startRedis } from '../support/redis.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { servicesMissing } from '../support/services.ts'

interface Policy {
  readonly name: string
  readonly limit: number
  readonly source: string
  readonly origin: string
}

interface Listed {
  readonly mode: string
  readonly items: readonly { readonly route: string; readonly anonymous: readonly Policy[]; readonly authenticated: readonly Policy[] }[]
  readonly total: readonly Policy[]
}

const toml = `[limits]
authenticated = "77 per hour"
[limits.routes]
"GET /v1/films/:id" = "5 per minute"
`

const list = async (options: CommandOptions, ...args: readonly string[]) => {
  using folder = temporaryFolder()
  writeFileSync(join(folder.path, 'filmgate.toml'), toml)
  const result = await runCommand(['limits', ...args], { cwd: folder.path, ...options })
  assert.equal(result.code, 0, result.stderr)
  assert.deepEqual(readdirSync(folder.path), ['filmgate.toml'], 'nothing is made')
  return result.stdout
}

const origins = (policies: readonly Policy[]) => policies.map(({ source, origin }) => [source, origin.replace(/^.*\//, '')])

describe('filmgate limits', () => {
  test('as JSON: each limit with its origin: file and line, variable, default, or the program', async () => {
    const stdout = await list({ env: { FILMGATE_LIMITS_TOTAL: '9 per second' } }, '--json')
    const { mode, items, total } = JSON.parse(stdout) as Listed
    assert.equal(mode, 'enforce')
    const { anonymous = [], authenticated = [] } = items.find(({ route }) => route === 'GET /v1/films/:id') ?? {}
    assert.deepEqual(origins(anonymous), [
      ['limits.routes."GET /v1/films/:id"', 'filmgate.toml:4'],
      ['limits.default', 'default'],
      ['limits.default', 'default'],
    ])
    assert.deepEqual(origins(authenticated), [
      ['limits.routes."GET /v1/films/:id"', 'filmgate.toml:4'],
      ['limits.authenticated', 'filmgate.toml:2'],
    ])
    assert.deepEqual(new Set(total.map(({ origin }) => origin)), new Set(['FILMGATE_LIMITS_TOTAL']))
    const home = items.find(({ route }) => route === 'GET /')
    assert.deepEqual(home?.anonymous[0], { ...home?.anonymous[0], limit: 1, source: 'route', origin: 'built in' })
  })

  test('as a table, with a word on observe mode', async () => {
    const stdout = await list({ env: { FILMGATE_LIMITS_MODE: 'observe' } })
    assert.match(stdout, /^ROUTE +WHO +LIMIT +COUNTED OVER +FROM +SET IN\n/)
    assert.match(
      stdout,
      /^GET \/v1\/films\/:id +anonymous +5 in 60 s +route GET \/v1\/films\/:id +limits\.routes\."GET \/v1\/films\/:id" +\S*filmgate\.toml:4$/m,
    )
    assert.match(stdout, /^GET \/v1\/films\/:id +subject +77 in 3600 s +subject +limits\.authenticated +\S*filmgate\.toml:2$/m)
    assert.match(stdout, /^everything +client +20 in 1 s +total +limits\.total +default$/m)
    assert.match(stdout, /limits\.mode is "observe": everything is counted, nobody is refused\.\n$/)
  })

  test('what is said of single API keys', async () => {
    using folder = temporaryFolder()
    writeFileSync(
      join(folder.path, 'filmgate.toml'),
      '[limits.keys]\nAb3dEf6hIj9k = "7 per minute"\nBb3dEf6hIj9k = { only = "9 per day" }\nCb3dEf6hIj9k = "exempt"\n',
    )
    const { stdout } = await runCommand(['limits'], { cwd: folder.path })
    assert.match(
      stdout,
      /^any +key:Ab3dEf6hIj9k \(add\) +7 in 60 s +key key:Ab3dEf6hIj9k +limits\.keys\.Ab3dEf6hIj9k +\S*filmgate\.toml:2$/m,
    )
    assert.match(stdout, /^any +key:Bb3dEf6hIj9k \(only\) +9 in 86400 s .*filmgate\.toml:3$/m)
    assert.match(stdout, /^any +key:Cb3dEf6hIj9k +none/m)
  })

  test('a limit for a route that there is not is an error', async () => {
    using folder = temporaryFolder()
    writeFileSync(join(folder.path, 'filmgate.toml'), '[limits.routes]\n"GET /flims" = "1 per day"\n')
    const { code, stdout, stderr } = await runCommand(['limits'], { cwd: folder.path })
    assert.deepEqual([code, stdout], [2, ''])
    assert.match(stderr, /filmgate\.toml:2: limits\.routes\."GET \/flims" names no limited route/)
  })
})

const onServer = ({ dataDir, port }: TestServer): CommandOptions => ({ dataDir, env: { FILMGATE_SERVER_PORT: String(port) } })
const film = { target: '/v1/films/1' }

interface Usage {
  readonly identity: string
  readonly items: readonly { readonly counted_over: string; readonly remaining: number; readonly limit: number }[]
}

const stores: Readonly<Record<string, () => Promise<{ readonly url: string } & AsyncDisposable>>> = {
  memory: () => Promise.resolve({ url: 'memory', [Symbol.asyncDispose]: () => Promise.resolve() }),
  Redis: startRedis,
}

for (const [store, open] of Object.entries(stores)) {
  describe(`filmgate limits IDENTITY, counted in ${store}`, { skip: store === 'Redis' && servicesMissing('redis') }, () => {
    test('what a client has left, and a fresh start', async () => {
      await using place = await open()
      await using server = await startServer({ toml: '[limits]\ndefault = "2 per hour"\n', env: { FILMGATE_LIMITS_STORE: place.url } })
      const options = onServer(server)
      const left = async (): Promise<number | undefined> => {
        const { code, stdout, stderr } = await runCommand(['limits', '127.0.0.1', '--json'], options)
        assert.deepEqual([code, stderr], [0, ''])
        return (JSON.parse(stdout) as Usage).items.find((item) => item.counted_over === 'route GET /v1/films/:id')?.remaining
      }
      assert.equal(await left(), 2)
      assert.deepEqual([(await ask(server, film)).status, (await ask(server, film)).status], [200, 200])
      assert.equal((await ask(server, film)).status, 429)
      assert.equal(await left(), 0)
      const table = await runCommand(['limits', '127.0.0.1'], options)
      assert.match(table.stdout, /^COUNTED OVER +LIMIT +LEFT +NO MORE FOR\n/)
      assert.match(table.stdout, /^route GET \/v1\/films\/:id +hour +0 of 2 +3[56]\d\d s$/m)

      assert.deepEqual(await runCommand(['limits', '127.0.0.1', '--reset'], options), {
        code: 0,
        stdout: '127.0.0.1 starts anew.\n',
        stderr: '',
      })
      assert.equal((await ask(server, film)).status, 200)
      const again = await runCommand(['limits', '@starter', '--reset', '--json'], options)
      assert.deepEqual([again.code, JSON.parse(again.stdout)], [0, { identity: '@starter', reset: true }])
      await server.logged((record) => record['event'] === 'authz_admin' && record['target'] === '@starter')
    })
  })
}

describe('filmgate limits IDENTITY', () => {
  test('an IPv6 prefix goes as it is written, and --url names the server', async () => {
    await using server = await startServer()
    const { dataDir } = server
    const asked = await runCommand(['limits', '2001:db8::/64', '--json', '--url', `${server.url}/`], { dataDir })
    assert.deepEqual([asked.code, (JSON.parse(asked.stdout) as Usage).identity], [0, '2001:db8::/64'])
    const network = await runCommand(['limits', '2001:db8::/48', '--json', `--url=${server.url}`], { dataDir })
    assert.equal((JSON.parse(network.stdout) as Usage).identity, '2001:db8::/48')
    assert.match((await runCommand(['limits', '::1'], { dataDir })).stderr, /server\.port is 0, any free one: name the server with --url/)
  })

  test('whom nobody can be: what the server says of it, exit 1', async () => {
    await using server = await startServer()
    for (const identity of ['frozen', '999.1.1.1', '2001:db8::1/64', '@Starter', '../films/1', '192.0.2.1?x=1', ' ', '%2e%2e']) {
      for (const more of [[], ['--reset']]) {
        const { code, stdout, stderr } = await runCommand(['limits', identity, ...more], onServer(server))
        assert.deepEqual([code, stdout], [1, ''], identity)
        assert.match(stderr, /^filmgate: the server says 40[04]: /, identity)
      }
    }
    assert.equal(
      server.log().some((record) => record['event'] === 'authz_admin'),
      false,
    )
  })

  test('no server there; another program there', async () => {
    await using server = await startServer()
    const port = await freePort()
    const { code, stderr } = await runCommand(['limits', '::1'], { ...onServer(server), env: { FILMGATE_SERVER_PORT: String(port) } })
    assert.equal(code, 1)
    assert.match(stderr, new RegExp(`^filmgate: no server answers at http://127\\.0\\.0\\.1:${port}: start it, or name it with --url\n`))
    const ops = await runCommand(['limits', '::1', '--url', server.opsUrl], { dataDir: server.dataDir })
    assert.deepEqual([ops.code, ops.stdout], [1, ''])
    assert.match(ops.stderr, /the server says 404/)
  })

  test('a data folder that no server was started with has no key, and none is made', async () => {
    await using server = await startServer()
    using folder = temporaryFolder()
    const dataDir = join(folder.path, 'other')
    const { code, stderr } = await runCommand(['limits', '::1'], { ...onServer(server), dataDir })
    assert.equal(code, 1)
    assert.match(stderr, /there is no master\.key in .*other: no server was ever started with this data folder/)
    assert.equal(existsSync(dataDir), false)
  })

  test('the key of another installation is refused', async () => {
    await using server = await startServer()
    await using other = await startServer()
    const { code, stdout, stderr } = await runCommand(['limits', '::1', '--reset'], { ...onServer(server), dataDir: other.dataDir })
    assert.deepEqual([code, stdout], [1, ''])
    assert.match(stderr, /^filmgate: the server says 401: /)
  })

  test('--reset and --url want IDENTITY', async () => {
    for (const args of [['--reset'], ['--url', 'http://127.0.0.1:3000']])
      assert.deepEqual([(await runCommand(['limits', ...args])).code], [2], args.join(' '))
  })
})
