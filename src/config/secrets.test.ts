import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { ConfigError, describeConfig, loadConfig, type Config } from '../config.ts'

const folder = mkdtempSync(join(tmpdir(), 'filmgate-secrets-'))
after(() => rmSync(folder, { recursive: true }))

const secret = 'f3a9b27c-Key-That-Nobody-May-See-51d0'
const password = 'hunter2/with@signs'

const load = (env: Record<string, string>, toml?: string): Config => {
  if (toml !== undefined) writeFileSync(join(folder, 'filmgate.toml'), toml)
  else rmSync(join(folder, 'filmgate.toml'), { force: true })
  return loadConfig({ env, cwd: folder, checkLimits: () => undefined })
}

function refusal(env: Record<string, string>, toml?: string): ConfigError {
  try {
    load(env, toml)
  } catch (error) {
    if (error instanceof ConfigError) return error
    throw error
  }
  throw new Error('not refused')
}

const reasonOf = (env: Record<string, string>): string =>
  refusal(env)
    .errors.map(({ source, message }) => `${source} ${message}`)
    .join()

const everythingOf = (error: ConfigError): string =>
  [error.message, error.stack, String(error.cause), JSON.stringify(error), JSON.stringify(error.errors)].join('\n')

test('a secret comes from the file, a variable or a file that a variable names; never shown, its origin is', () => {
  writeFileSync(join(folder, 'key'), `${secret}\n`)
  const ways = [
    load({}, `[secrets]\nkey = "${secret}"`),
    load({ FILMGATE_SECRETS_KEY: secret }),
    load({ FILMGATE_SECRETS_KEY_FILE: 'key' }),
  ]
  assert.deepEqual(
    ways.map(({ secrets, origins }) => [secrets.key, origins.get('secrets.key')]),
    [
      [secret, 'filmgate.toml:2'],
      [secret, 'FILMGATE_SECRETS_KEY'],
      [secret, 'FILMGATE_SECRETS_KEY_FILE'],
    ],
  )
  for (const config of ways) {
    const described = describeConfig(config)
    assert.ok(!JSON.stringify(described).includes(secret))
    assert.equal(described.find(({ key }) => key === 'secrets.key')?.value, '"***"')
  }
  assert.equal(describeConfig(load({})).find(({ key }) => key === 'secrets.key')?.value, '""')
})

test('what holds fewer than 32 bytes, or is easily guessed, is refused', () => {
  const hex = 'b7e151628aed2a6abf7158809cf4f3c7'
  const weak = ['short', secret.slice(0, 31), hex, 'changeme'.repeat(5), ` ${secret}`, `${secret}\n`, `${secret}\0${secret}`]
  for (const key of weak) {
    const { errors } = refusal({ FILMGATE_SECRETS_KEY: key })
    assert.deepEqual([errors.length, errors[0]?.key], [1, 'secrets.key'], key)
    assert.ok(!JSON.stringify(errors).includes(key))
  }
  for (const key of [hex + hex, Buffer.from(hex + hex, 'hex').toString('base64url'), 'four words of a passphrase, here']) {
    assert.equal(load({ FILMGATE_SECRETS_KEY: key }).secrets.key, key)
  }
})

test('a secret file is refused when it is missing, empty, a folder, or one of two sources', () => {
  writeFileSync(join(folder, 'empty'), '\n')
  const variable = 'FILMGATE_SECRETS_KEY_FILE'
  assert.equal(reasonOf({ [variable]: 'absent' }), `${variable} names a file that cannot be read: no such file`)
  assert.equal(reasonOf({ [variable]: '.' }), `${variable} names a file that cannot be read: it is a folder`)
  assert.equal(reasonOf({ [variable]: 'empty' }), `${variable} names a file that is empty`)
  assert.match(reasonOf({ [variable]: 'key', FILMGATE_SECRETS_KEY: secret }), /is set twice/)
})

test('no error repeats a secret or a password, however it went astray', () => {
  const astray: readonly (readonly [Record<string, string>, string?])[] = [
    [{ FILMGATE_SECRETS_KEY_FILE: secret }],
    [{ DATABASE_URL: `postgres://user:${password}@db/films?sslmode=require` }],
    [{ FILMGATE_DATABASE_URL: `postgresql://user:${password}@db/films/more` }],
    [{ FILMGATE_DATABASE_URL: `postgres://user:${password}` }],
    [{ FILMGATE_DATABASE_URL: `postgres://user:p%@db/films?password=${password}` }],
    [{ FILMGATE_DATABASE_URL_FILE: `postgres://user:${password}@db/films` }],
    [{ DATABASE_URL: `mysql://user:${password}@db/films` }],
    [{ REDIS_URL: `rediss://:${password}@cache` }],
    [{ REDIS_URL: `redis://${secret}@cache` }],
    [{ FILMGATE_LIMITS_STORE: `valkey://:${secret}@cache/${secret}` }],
    [{ FILMGATE_LIMITS_STORE: `redis://:${secret}#@cache` }],
    [{ FILMGATE_LIMITS_STORE: `redis://:${secret}?@cache` }],
    [{ FILMGATE_LIMITS_STORE: secret }],
    [{ FILMGATE_LIMITS_STORE_FILE: `redis://:${secret}@cache` }],
    [{ FILMGATE_SERVER_PUBLIC_URL: `https://user:${password}@films.example.com` }],
    [{ FILMGATE_SERVER_HOSTS: `https://user:${password}@films.example.com` }],
    [{ FILMGATE_SERVER_TRUSTED_PROXIES: secret, FILMGATE_LOG_LEVEL: secret, FILMGATE_SERVER_PORT: secret, FILMGATE_SERVER_HOST: secret }],
    [{ FILMGATE_SECRET_KEY: secret, FILMGATE_TLS_KEY: secret }],
    [{}, `[secrets]\nkey = ${secret}`],
    [{}, `[secrets]\nkey = "${secret}\n`],
    [{}, `[secrets]\nkey = ["${secret}"]`],
    [{}, `[secret]\nkey = "${secret}"`],
    [{}, `database.url = "postgres://user:${password}@db/films?passwort=${password}"`],
  ]
  for (const [env, toml] of astray) {
    const text = everythingOf(refusal(env, toml))
    assert.ok(!text.includes(secret) && !text.includes(password) && !text.includes('hunter2'), text)
  }
})

test('passwords in URLs are not shown', () => {
  const config = load({})
  const shown = (url: string): string | undefined =>
    describeConfig({ ...config, database: { url } }).find(({ key }) => key === 'database.url')?.value
  assert.equal(shown(`postgres://user:${password}@db:5432/films`), '"postgres://user:***@db:5432/films"')
  assert.equal(shown(`postgres://db/films?user=u&password=${password}`), '"postgres://db/films?***"')
  assert.equal(shown(`redis://:${password}@cache`), '"redis://:***@cache"')
  assert.equal(shown('postgres://db:5432/films'), '"postgres://db:5432/films"')
})

test('the address of the limiter store may be in a file, and is shown without its password', () => {
  writeFileSync(join(folder, 'redis'), `rediss://films:${secret}@cache/1\n`)
  const config = load({ FILMGATE_LIMITS_STORE_FILE: 'redis' })
  assert.equal(config.limits.store, `rediss://films:${secret}@cache/1`)
  assert.deepEqual(
    describeConfig(config).find(({ key }) => key === 'limits.store'),
    { key: 'limits.store', value: '"rediss://films:***@cache/1"', origin: 'FILMGATE_LIMITS_STORE_FILE' },
  )
  assert.match(reasonOf({ FILMGATE_LIMITS_STORE_FILE: 'redis', REDIS_URL: 'redis://cache' }), /is set twice/)
})

test('the description has every key once, in TOML, with its origin', () => {
  const toml = `[limits.routes]
"GET /" = { only = "1 per day" }
"POST /add_film" = "exempt"
[limits.keys]
Ab3dEf6hIj9k = "7 per day"
[throttle.routes]
"GET /" = { pace = "1 per second" }
[cors.routes]
"GET /" = { origins = ["*"] }
`
  const config = load({ PORT: '0' }, toml)
  const described = describeConfig(config)
  assert.equal(new Set(described.map(({ key }) => key)).size, described.length)
  assert.deepEqual(new Set(described.map(({ key }) => key)), new Set(config.origins.keys()))
  assert.deepEqual(
    described.find(({ key }) => key === 'server.port'),
    { key: 'server.port', value: '0', origin: 'PORT' },
  )
  const first = described.findIndex(({ key }) => key.startsWith('limits.routes'))
  const named = described.slice(first).filter(({ key }) => /[.](?:routes|keys)[.]/.test(key))
  assert.deepEqual(named, [
    { key: 'limits.routes."GET /"', value: '{ only = "1 per day" }', origin: 'filmgate.toml:2' },
    { key: 'limits.routes."POST /add_film"', value: '"exempt"', origin: 'filmgate.toml:3' },
    { key: 'limits.keys.Ab3dEf6hIj9k', value: '"7 per day"', origin: 'filmgate.toml:5' },
    { key: 'cors.routes."GET /"', value: '{ origins = ["*"] }', origin: 'filmgate.toml:9' },
    {
      key: 'throttle.routes."GET /"',
      value: '{ pace = "1 per second", burst = 1, max_wait_ms = 8000, max_waiting = 2 }',
      origin: 'filmgate.toml:7',
    },
  ])
})
