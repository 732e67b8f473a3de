import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ConfigError, describeConfig, reloadable } from '../config.ts'
import { openConfigFolder } from '../../test/support/config-file.ts'
import { fields } from './keys.ts'

const { load } = openConfigFolder()

const before = `[limits]
total = "9 per second"
[limits.routes]
"GET /" = "1 per second"
"POST /add_film" = "exempt"
[limits.keys]
Ab3dEf6hIj9k = "7 per day"
`

test('limits, throttles, concurrency and the log change; each key with its new origin', () => {
  const { config, ignored } = reloadable(
    load(before),
    load(`[limits]
mode = "observe"
exempt = ["10.0.0.0/8"]
routes = { "GET /" = { only = "2 per second" } }
[throttle.routes]
"GET /" = { pace = "1 per second" }
[cors]
origins = ["https://app.example"]
routes = { "GET /" = { origins = ["*"] } }
[concurrency]
per_client = 3
[log]
level = "warn"
`),
  )
  assert.deepEqual(ignored, [])
  assert.deepEqual(
    [config.limits.mode, config.limits.exempt, config.limits.total],
    ['observe', ['10.0.0.0/8'], '20 per second; 3000 per hour'],
  )
  assert.deepEqual([config.limits.routes, config.limits.keys], [{ 'GET /': { only: '2 per second' } }, {}])
  assert.deepEqual(Object.keys(config.throttle.routes), ['GET /'])
  assert.deepEqual([config.concurrency, config.log.level], [{ perClient: 3, total: 2000 }, 'warn'])
  assert.deepEqual([config.cors.origins, config.cors.routes], [['https://app.example'], { 'GET /': { origins: ['*'] } }])
  assert.equal(config.origins.get('cors.routes."GET /"'), 'filmgate.toml:9')
  assert.equal(config.origins.get('limits.routes."GET /"'), 'filmgate.toml:4')
  assert.equal(config.origins.has('limits.routes."POST /add_film"'), false)
  assert.equal(config.origins.has('limits.keys.Ab3dEf6hIj9k'), false)
  assert.equal(config.origins.get('limits.total'), 'default')
})

test('what needs a restart stays, and is named with its place, never with its value', () => {
  const current = load('[server]\nhosts = ["a"]\n')
  const next = load(
    '[server]\nhosts = ["b"]\nport = 3000\n[limits]\non_store_failure = "deny"\nstore_timeout_ms = 9\nmax_tracked_clients = 5000\nmode = "observe"\n',
    { REDIS_URL: 'redis://:secret@cache' },
  )
  const { config, ignored } = reloadable(current, next)
  assert.deepEqual(
    ignored.map(({ key, source }) => [key, source]),
    [
      ['server.hosts', 'filmgate.toml:2'],
      ['limits.store', 'REDIS_URL'],
      ['limits.on_store_failure', 'filmgate.toml:5'],
      ['limits.store_timeout_ms', 'filmgate.toml:6'],
      ['limits.max_tracked_clients', 'filmgate.toml:7'],
    ],
  )
  assert.ok(!JSON.stringify(ignored).includes('secret'))
  assert.deepEqual(config.server, current.server)
  assert.deepEqual([config.limits.store, config.limits.onStoreFailure, config.limits.mode], ['memory', 'local', 'observe'])
  assert.deepEqual([config.origins.get('limits.store'), config.origins.get('server.hosts')], ['default', 'filmgate.toml:2'])
})

test('which keys can change', () => {
  assert.deepEqual(
    fields.filter(({ reload }) => reload).map(({ name }) => name),
    [
      'limits.mode',
      'limits.default',
      'limits.authenticated',
      'limits.total',
      'limits.exempt',
      'cors.origins',
      'cors.credentials',
      'cors.allow_headers',
      'cors.max_age_s',
      'concurrency.per_client',
      'concurrency.total',
      'log.level',
      'log.format',
      'monitor.mode',
      'monitor.allow',
      'monitor.webhook_url',
      'monitor.webhook_secret',
      'monitor.webhook_allow_private',
    ],
  )
})

test('two good configurations that do not go together are refused', () => {
  const waits = '[throttle.routes]\n"GET /" = { pace = "1 per second", max_wait_ms = 20000 }\n'
  const next = load(waits, { FILMGATE_SERVER_REQUEST_TIMEOUT_MS: '30000' })
  assert.throws(
    () => reloadable(load(''), next),
    (error) => {
      assert.ok(error instanceof ConfigError)
      assert.match(error.message, /filmgate\.toml:2: throttle\.routes\."GET \/" lets requests wait for 20000 ms/)
      return true
    },
  )
})

test('any configuration may follow any other: nothing is lost, all is frozen, and a second time changes nothing', () => {
  const entry = fc.constantFrom(
    'server.port = 1',
    'data.dir = "elsewhere"',
    'log.format = "pretty"',
    'limits.default = "1 per day"',
    'limits.exempt = ["10.0.0.0/8"]',
    'limits.store = "redis://cache"',
    'limits.routes."GET /" = "1 per day"',
    'limits.keys.Ab3dEf6hIj9k = "exempt"',
    'throttle.routes."GET /".pace = "1 per day"',
    'concurrency.per_client = 1',
    'votes.anonymous = false',
  )
  const document = fc.uniqueArray(entry).map((lines) => load(lines.join('\n')))
  fc.assert(
    fc.property(document, document, (current, next) => {
      const { config, ignored } = reloadable(current, next)
      const described = describeConfig(config)
      assert.deepEqual(new Set(described.map(({ key }) => key)), new Set(config.origins.keys()))
      const [old, wanted] = [current, next].map((one) => new Map(describeConfig(one).map((line) => [line.key, line])))
      const stays = new Set(fields.filter(({ reload }) => !reload).map(({ name }) => name as string))
      for (const line of described) assert.deepEqual(line, (stays.has(line.key) ? old : wanted)?.get(line.key))
      for (const { key } of ignored) assert.notEqual(old?.get(key)?.value, wanted?.get(key)?.value)
      for (const part of [config, config.limits, config.throttle.routes, config.origins]) assert.ok(Object.isFrozen(part))
      assert.deepEqual(reloadable(config, next), { config, ignored })
      assert.deepEqual(reloadable(current, current), { config: current, ignored: [] })
    }),
  )
})
