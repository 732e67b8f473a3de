import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { loadConfig, type Config, type LoadOptions } from './config.ts'
import { assertMistakes, mistakesOf } from '../test/support/config-file.ts'

const folder = mkdtempSync(join(tmpdir(), 'filmgate-config-'))
after(() => rmSync(folder, { recursive: true }))

let count = 0
const fileWith = (content: string | Uint8Array): string => {
  const name = `${++count}.toml`
  writeFileSync(join(folder, name), content)
  return name
}

// Stands in for the notation of the limits, which belongs to a layer.
const checkLimits = (text: string): string | undefined => (/^\d+ per \w+(?:; \d+ per \w+)*$/.test(text) ? undefined : 'is not a limit')

interface Given extends Partial<LoadOptions> {
  readonly toml?: string | Uint8Array
}

function load({ toml, ...options }: Given = {}): Config {
  const configPath = toml === undefined ? undefined : fileWith(toml)
  return loadConfig({ env: {}, cwd: folder, configPath, checkLimits, ...options })
}

const assertRefused = (given: Given, expected: readonly RegExp[]): void =>
  assertMistakes(
    mistakesOf(() => load(given), /^\d+\.toml/),
    expected,
  )

describe('values', () => {
  test('without a file and variables everything is the default of the contract', () => {
    const { origins, ...values } = load()
    assert.deepEqual(values, {
      server: {
        host: '127.0.0.1',
        port: 3000,
        publicUrl: '',
        hosts: [],
        trustedProxies: [],
        bodyLimitBytes: 16_384,
        headerTimeoutMs: 5000,
        requestTimeoutMs: 10_000,
        maxConnections: 10_000,
        maxConnectionsPerClient: 256,
      },
      ops: { host: '127.0.0.1', port: 3001 },
      data: { dir: join(folder, 'filmgate-data') },
      database: { url: 'sqlite' },
      secrets: { key: '' },
      tls: { mode: 'off', cert: '', key: '', redirectPort: 0 },
      limits: {
        store: 'memory',
        onStoreFailure: 'local',
        storeTimeoutMs: 50,
        maxTrackedClients: 1_000_000,
        mode: 'enforce',
        default: '200 per day; 50 per hour',
        authenticated: '20000 per day; 2000 per hour',
        total: '20 per second; 3000 per hour',
        exempt: [],
        routes: {},
        keys: {},
      },
      cors: {
        origins: [],
        credentials: false,
        allowHeaders: ['authorization', 'content-type', 'if-match', 'if-none-match', 'idempotency-key'],
        maxAgeS: 600,
        routes: {},
      },
      throttle: { routes: {} },
      concurrency: { perClient: 20, total: 2000 },
      auth: {
        issuer: 'urn:filmgate:<installation id>',
        audience: 'urn:filmgate:<installation id>',
        accessTokenTtl: '5m',
        sessionMaxAge: '30d',
        sessionIdle: '14d',
        registration: 'closed',
        requireMfaFor: [],
        loginFailures: '10 per 15 minutes',
        accountFailures: '100 per hour',
        issuers: [],
      },
      votes: { anonymous: true },
      log: { level: 'info', format: 'json' },
      monitor: { mode: 'enforce', allow: [], webhookUrl: '', webhookSecret: '', webhookAllowPrivate: false, rules: {} },
      page: { enabled: true },
    })
    assert.deepEqual(new Set(origins.values()), new Set(['default']))
    assert.equal(load({ isTTY: true }).log.format, 'pretty')
    assert.equal(load({ isTTY: true, toml: 'log.format = "json"' }).log.format, 'json')
  })

  test('the file wins over defaults, the customary variable over the file, the FILMGATE_ one over both', () => {
    const toml = '[server]\nport = 4000\n\n[ops]\nport = 4001\n'
    const { server, ops, origins } = load({ toml, env: { PORT: '5000', FILMGATE_OPS_PORT: '5001' } })
    assert.deepEqual([server.port, ops.port], [5000, 5001])
    assert.equal(origins.get('server.port'), 'PORT')
    assert.equal(load({ toml, env: { PORT: '5000', FILMGATE_SERVER_PORT: '6000' } }).server.port, 6000)
    assert.match(load({ toml }).origins.get('ops.port') ?? '', /^\d+\.toml:5$/)
    assert.equal(load({ env: { DATABASE_URL: 'postgres://elsewhere', FILMGATE_DATABASE_URL: 'sqlite' } }).database.url, 'sqlite')
  })

  test('every kind of value reads from the environment', () => {
    const { server, votes, log, limits } = load({
      env: {
        FILMGATE_SERVER_TRUSTED_PROXIES: '10.0.0.0/8, fd00::/8',
        FILMGATE_SERVER_HOSTS: '',
        FILMGATE_SERVER_PUBLIC_URL: 'https://Films.Example.com/',
        FILMGATE_VOTES_ANONYMOUS: 'false',
        FILMGATE_LOG_LEVEL: 'debug',
        FILMGATE_LIMITS_MODE: 'observe',
        FILMGATE_LIMITS_EXEMPT: '192.0.2.0/24,2001:db8::/48',
        FILMGATE_LIMITS_ON_STORE_FAILURE: 'deny',
        FILMGATE_LIMITS_STORE_TIMEOUT_MS: '5',
        REDIS_URL: 'valkeys://:p%40ss@cache:6380/2',
      },
    })
    assert.deepEqual(server.trustedProxies, ['10.0.0.0/8', 'fd00::/8'])
    assert.deepEqual(server.hosts, [])
    assert.equal(server.publicUrl, 'https://films.example.com')
    assert.equal(votes.anonymous, false)
    assert.equal(log.level, 'debug')
    assert.deepEqual([limits.mode, limits.onStoreFailure, limits.storeTimeoutMs], ['observe', 'deny', 5])
    assert.deepEqual(limits.exempt, ['192.0.2.0/24', '2001:db8::/48'])
    assert.equal(limits.store, 'valkeys://:p%40ss@cache:6380/2')
  })

  test('the file is found by option, by FILMGATE_CONFIG, or as filmgate.toml', () => {
    const cwd = mkdtempSync(join(folder, 'cwd-'))
    writeFileSync(join(cwd, 'filmgate.toml'), '\ufeffserver.port = 1')
    assert.equal(load({ cwd }).server.port, 1)
    assert.equal(load({ cwd }).origins.get('server.port'), 'filmgate.toml:1')
    const env = { FILMGATE_CONFIG: join(folder, fileWith('server.port = 2')) }
    assert.equal(load({ cwd, env }).server.port, 2)
    assert.equal(load({ cwd, env, configPath: join(folder, fileWith('server.port = 3')) }).server.port, 3)
  })

  test('nothing of it can be changed', () => {
    const config = load({ toml: 'limits.routes = { "GET /" = { only = "1 per day" } }' })
    const parts = [config, config.server, config.server.hosts, config.limits.routes, config.limits.routes['GET /'], config.origins]
    for (const part of parts) assert.ok(Object.isFrozen(part))
    // Nor does one configuration share anything with the next.
    assert.notEqual(load().server.hosts, load().server.hosts)
  })
})

describe('mistakes', () => {
  test('ten at once are ten, each with its line', () => {
    const toml = `
[server]
port = "3000"
hosts = ["https://films.example.com"]
header_timeout_ms = 20000   # longer than the whole request
trusted_proxies = true
publik_url = "https://films.example.com"

[ops]
host = "10.0.0.0/8"

[tls]
mode = "on"

[limits]
default = "many per day"
store_timeout_ms = 4
`
    assertRefused({ toml, env: { FILMGATE_LOG_LEVEL: 'loud' } }, [
      /^F:3: server\.port must be an integer from 0 to 65535, but is a string$/,
      /^F:4: server\.hosts entry 1 must be a host .* without a scheme$/,
      /^F:5: server\.header_timeout_ms .*\(20000\) longer than server\.request_timeout_ms \(10000\)/,
      /^F:6: server\.trusted_proxies .* true would let anyone forge/,
      /^F:7: server\.publik_url is not a known key; the nearest is server\.public_url$/,
      /^F:10: ops\.host is not an address or a name of this machine/,
      /^F:13: tls\.mode must be one of "off", "dev", "files"$/,
      /^F:16: limits\.default is not a limit$/,
      /^F:17: limits\.store_timeout_ms must be an integer from 5 to 10000$/,
      /^FILMGATE_LOG_LEVEL: log\.level must be one of "trace", "debug", "info", "warn", "error", "fatal"$/,
    ])
  })

  const inFile: readonly (readonly [string, RegExp])[] = [
    ['server.port = 65536', /F:1: server\.port must be an integer from 0 to 65535$/],
    ['server.port = 3000.0', /must be an integer .* but is a float/],
    ['server.port = 99999999999999999999', /must be an integer from 0 to 65535$/],
    ['server.header_timeout_ms = 0', /from 100 to 600000$/],
    ['server.hosts = "a"', /must be a list of strings, but is a string/],
    ['server.hosts = ["a", 1]', /must be a list of strings$/],
    ['server.trusted_proxies = 1', /a hop count believes/],
    ['server.trusted_proxies = ["loopback"]', /entry 1 is not a network in CIDR notation/],
    ['server.trusted_proxies = ["10.0.0.0/8", "::/0"]', /entry 2 would believe the X-Forwarded-For of everybody/],
    ['server.public_url = "ftp://films.example.com"', /must be an http or https URL/],
    ['server.public_url = "https://films.example.com/api"', /no path/],
    ['server.host = ""', /is not an address or a name of this machine/],
    ['server.host = "http://127.0.0.1"', /is not an address or a name of this machine/],
    ['server.host = "192.168.1.5"', /is not a loopback address.* without TLS.* server\.trusted_proxies$/],
    ['ops.host = "::"', /is not a loopback address.* without TLS.* server\.trusted_proxies$/],
    ['server.host = "films.example.com"', /is not a loopback address/],
    ['data.dir = " "', /path of a folder/],
    ['database.url = "mysql://x"', /must be "sqlite"/],
    ['limits.store = "redis://h/x"', /^F:1: limits\.store may have nothing behind the host but the number of a database/],
    ['limits.on_store_failure = "fallback"', /must be one of "local", "deny", "allow"$/],
    ['limits.mode = "off"', /must be one of "enforce", "observe"$/],
    ['limits.exempt = ["10.0.0.0/8", "0.0.0.0/0"]', /entry 2 would free everybody of every limit/],
    [
      'limits.exempt = ["::ffff:0:0/96", "*", "10.0.0.1", "1"]',
      /entry 1 covers IPv4.*; entry 2 would free.*; entry 3 is an address.*; entry 4 is not a network/,
    ],
    ['limits.max_tracked_clients = 999', /from 1000 to 16000000$/],
    ['votes.anonymous = "yes"', /must be true or false, but is a string/],
    ['votes.anonymous = 2026-01-01', /but is a date/],
    ['log.level = "silent"', /must be one of/],
    ['log.format = {}', /must be one of "json", "pretty", but is a table/],
    ['concurrency.per_client = 0', /from 1 to 100000$/],
    ['concurrency.total = 19', /^F:1: concurrency\.total makes concurrency\.per_client \(20\) more than concurrency\.total \(19\)/],
    [`[keys]\n${'s'.repeat(43)} = "exempt"`, /^F:2: keys\.\*{3} is not a known key/],
    ['port = 1', /^F:1: port is not a known key; the nearest is server\.port$/],
    ['servr.port = 1', /^F:1: servr\.port is not a known key; the nearest is server\.port$/],
    ['[servr]', /^F:1: servr is not a known section; the nearest is \[server\]$/],
    ['server = 1', /must be a table: \[server\]/],
    ['[[server]]\nport = 1', /must be a table/],
    ['__proto__.port = 1', /^F:1: __proto__\.port is not a known key/],
    ['[server]\nport = 1\n__proto__ = { port = 2 }', /^F:3: server\.__proto__ is not a known key/],
    ['constructor = 1', /constructor is not a known key/],
    ['"\\u001b[31m" = 1', /^F:1: "\\u001b\[31m" is not/],
    ['[server]\nport = 1\nport = 2', /^F:3: +not valid TOML: trying to redefine/],
    ['[server]\n\nport = = 1', /^F:3: +not valid TOML/],
  ]
  for (const [toml, expected] of inFile) test(`in the file: ${JSON.stringify(toml)}`, () => assertRefused({ toml }, [expected]))

  const inEnvironment: readonly (readonly [string, string, RegExp])[] = [
    ...['', '3000 ', '+1', '3e3', '0x10', '1_000', '03', '1.0', '-1', '65536', '٣'].map(
      (port) => ['FILMGATE_SERVER_PORT', port, /^FILMGATE_SERVER_PORT: server\.port must be an integer .* in decimal digits$/] as const,
    ),
    ['PORT', 'x', /^PORT: server\.port must be/],
    ['FILMGATE_VOTES_ANONYMOUS', '1', /must be true or false$/],
    ['FILMGATE_SERVER_HOSTS', 'a,,b', /entry 2 is not a host/],
    ['FILMGATE_SERVER_TRUSTED_PROXIES', 'true', /everybody/],
    ['FILMGATE_SERVER_TRUSTED_PROXIES', '2', /a hop count believes/],
    ['FILMGATE_SERVR_PORT', '1', /not a known variable; the nearest is FILMGATE_SERVER_PORT$/],
    ['FILMGATE_SECRET_KEY_FILE', '1', /the nearest is FILMGATE_SECRETS_KEY_FILE$/],
    ['FILMGATE_LIMITS_STORE_FILE', '1', /names a file that cannot be read: no such file$/],
    ['FILMGATE_LIMITS_STORE_TIMEOUT_MS_FILE', '1', /not a known variable/],
    ['DATABASE_URL', 'mysql://h/films', /FILMGATE_DATABASE_URL wins over a DATABASE_URL that is meant for something else/],
    ['DATABASE_URL', 'postgres://h/films', /^DATABASE_URL: database\.url is PostgreSQL, which needs secrets\.key/],
    ['FILMGATE_TLS_MODE', 'on', /must be one of "off", "dev", "files"$/],
    ['FILMGATE_TLS_REDIRECT_PORT', '65536', /must be an integer from 0 to 65535/],
    ['FILMGATE_CORS_ORIGINS', '*,https://app.example', /must have "\*" alone/],
    ['FILMGATE_CORS_ROUTES', 'x', /\[cors\.routes\] are set in filmgate\.toml only$/],
    ['FILMGATE_LIMITS_ON_STORE_FAILURE', '', /must be one of "local", "deny", "allow"$/],
    ['FILMGATE_LIMITS_STORE_TIMEOUT_MS', '10001', /must be an integer from 5 to 10000, in decimal digits$/],
    ['FILMGATE_LIMITS_EXEMPT', '::/0', /entry 1 would free everybody/],
    ['FILMGATE_LIMITS_ROUTES', 'x', /\[limits\.routes\] are set in filmgate\.toml only$/],
    ['FILMGATE_LIMITS_KEYS', 'x', /\[limits\.keys\] are set in filmgate\.toml only$/],
    ['FILMGATE_THROTTLE_ROUTES', 'x', /\[throttle\.routes\] are set in filmgate\.toml only$/],
    ['REDIS_URL', 'http://h', /^REDIS_URL: limits\.store .*FILMGATE_LIMITS_STORE wins over a REDIS_URL that is meant for something else/],
    ['FILMGATE_CONFIG', 'absent.toml', /^FILMGATE_CONFIG: +cannot read "absent\.toml": no such file$/],
    ['FILMGATE_CONFIG', '', /cannot read "": it is a folder$/],
  ]
  for (const [name, value, expected] of inEnvironment) {
    test(`in the environment: ${name}=${JSON.stringify(value)}`, () => assertRefused({ env: { [name]: value } }, [expected]))
  }

  test('variables of the test suite and of others are left alone', () => {
    assert.doesNotThrow(() =>
      load({ env: { FILMGATE_TEST_REDIS_URL: 'x', FILMGATE_REQUIRE_SERVICES: '1', FILMGAT: 'x', HOST: 'x', FILMGATE_X: undefined } }),
    )
  })

  test('a named file that cannot be used is one; a default one that is there but broken too', () => {
    assertRefused({ configPath: 'absent.toml' }, [/^absent\.toml: +cannot read "absent\.toml": no such file$/])
    assertRefused({ configPath: 'a\0b' }, [/cannot read/])
    assertRefused({ toml: new Uint8Array([0x61, 0x20, 0x3d, 0x20, 0x22, 0xff, 0x22]) }, [/it is not UTF-8$/])
    const cwd = mkdtempSync(join(folder, 'cwd-'))
    symlinkSync('.', join(cwd, 'filmgate.toml'))
    assertRefused({ cwd }, [/^filmgate\.toml: .*it is a folder$/])
  })

  test('a file that is not TOML hides no mistake of the environment, and no combination is guessed', () => {
    assertRefused({ toml: '[', env: { FILMGATE_OPS_PORT: '3000', PORT: 'x' } }, [/^F:1: +not valid TOML/, /^PORT: server\.port/])
  })

  test('server and ops cannot have the same port of a host', () => {
    assertRefused({ env: { PORT: '3001' } }, [/^PORT: server\.port leaves server and ops the same port 3001/])
    assertRefused({ toml: 'ops = { host = "localhost", port = 3000 }' }, [/^F:1: ops\.port leaves/])
    assert.equal(load({ toml: 'ops = { host = "127.0.0.2", port = 3000 }' }).ops.port, 3000)
    assert.equal(load({ toml: 'server.port = 0\nops.port = 0' }).ops.port, 0)
  })
})
