import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { stringify } from 'smol-toml'
import { ConfigError, describeConfig, loadConfig, type Config } from '../config.ts'
import { nearest } from './errors.ts'
import { fields } from './keys.ts'

const folder = mkdtempSync(join(tmpdir(), 'filmgate-arbitrary-'))
after(() => rmSync(folder, { recursive: true }))

/** A configuration, or its refusal; whatever else is thrown fails the test. */
function outcome(env: Record<string, string | undefined>, toml: string | Uint8Array): Config | ConfigError {
  writeFileSync(join(folder, 'filmgate.toml'), toml)
  try {
    const config = loadConfig({ env, cwd: folder, checkLimits: (text) => (text.includes('per') ? undefined : 'is not a limit') })
    assert.ok(describeConfig(config).length >= fields.length)
    return config
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error))
    assert.ok(error.errors.length > 0)
    // One line each: nothing of the input can forge another.
    assert.equal(error.message.split('\n').length, error.errors.length + 1)
    return error
  }
}

const variable = fc.oneof(
  fc.constantFrom(
    ...fields.flatMap(({ variables }) => variables),
    'FILMGATE_SECRETS_KEY_FILE',
    'FILMGATE_LIMITS_STORE_FILE',
    'FILMGATE_CONFIG',
    '__proto__',
  ),
  fc.string().map((name) => `FILMGATE_${name}`),
)
const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom(
    '',
    '0',
    '3000',
    'true',
    '127.0.0.1',
    '10.0.0.0/8',
    '::/0,::ffff:1.2.3.4/128',
    'https://[::1',
    'a,b:1,[::]',
    '.',
    'redis://',
    'redis://:%00@cache/0',
    'observe',
  ),
)
const name = fc.oneof(
  fc.constantFrom(
    'server',
    'port',
    'hosts',
    'trusted_proxies',
    'limits',
    'routes',
    'keys',
    'throttle',
    'concurrency',
    'GET /',
    'Ab3dEf6hIj9k',
    'only',
    'pace',
    'burst',
    'tls',
    '__proto__',
    'constructor',
    '',
  ),
  fc.string({ unit: 'binary-ascii' }),
)
const { tree } = fc.letrec((tie) => ({
  tree: fc.dictionary(name, tie('value'), { maxKeys: 5, noNullPrototype: true }),
  value: fc.oneof(
    { depthSize: 'small' },
    fc.string(),
    fc.integer(),
    fc.double(),
    fc.boolean(),
    fc.date({ noInvalidDate: true }),
    fc.array(fc.string()),
    tie('tree'),
  ),
}))

test('any environment is a configuration or a ConfigError', () => {
  fc.assert(fc.property(fc.dictionary(variable, text, { maxKeys: 6 }), (env) => void outcome(env, '')))
})

test('any text or bytes as the file are a configuration or a ConfigError', () => {
  const fragment = fc.constantFrom(
    '[server]\n',
    'port = 1\n',
    '__proto__ = 1\n',
    '[limits.routes]\n',
    '"GET /" = "exempt"\n',
    '[limits.keys]\n',
    'Ab3dEf6hIj9k = "exempt"\n',
    '[[auth.issuers]]\n',
    '[auth.issuers.roles]\n',
    'url = "https://id.example.com"\n',
    'audience = "films"\n',
    '[throttle.routes]\n',
    '"GET /" = { pace = "1 per day" }\n',
    '[',
    '= ',
    '"""',
    '{ a = 1 }\n',
    '\n',
  )
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.array(fragment).map((parts) => parts.join('')),
      ),
      (toml) => void outcome({}, toml),
    ),
  )
  fc.assert(fc.property(fc.uint8Array(), (bytes) => void outcome({}, bytes)))
})

test('any TOML document is a configuration or a ConfigError', () => {
  fc.assert(fc.property(tree, (document) => void outcome({}, stringify(document))))
})

test('any entry of a table is read as it stands or refused', () => {
  const value = fc.oneof(
    tree,
    fc.string(),
    fc.integer(),
    fc.record(
      {
        pace: fc.constantFrom('1 per day', '1 per day; 2 per hour', 'often', '1 per day burst 2'),
        burst: fc.integer({ min: -1, max: 1001 }),
        max_wait_ms: fc.integer({ min: 0, max: 11_000 }),
        max_waiting: fc.integer({ min: 0, max: 1001 }),
        only: fc.string(),
      },
      { requiredKeys: [], noNullPrototype: true },
    ),
  )
  const entryNames = fc.constantFrom('GET /', 'POST /add_film', 'Ab3dEf6hIj9k', '__proto__', 'fg_Ab3dEf6hIj9k', 'constructor')
  const table = fc.dictionary(entryNames, value, { maxKeys: 3, noNullPrototype: true })
  const document = fc.record(
    { limits: fc.record({ routes: table, keys: table }, { requiredKeys: [] }), throttle: fc.record({ routes: table }) },
    { requiredKeys: [] },
  )
  fc.assert(
    fc.property(document, (given) => {
      const config = outcome({}, stringify(given))
      if (config instanceof ConfigError) return
      assert.deepEqual(Object.keys(config.limits.keys), Object.keys(given.limits?.keys ?? {}))
      for (const [route, throttle] of Object.entries(config.throttle.routes)) {
        const { pace, burst = 1, max_wait_ms: maxWaitMs = 8000, max_waiting: maxWaiting = 2 } = given.throttle!.routes[route] as never
        assert.deepEqual(throttle, { pace, burst, maxWaitMs, maxWaiting })
      }
    }),
  )
})

test('no tables too deep, no name too long', () => {
  for (const toml of [
    `a = ${'['.repeat(100_000)}`,
    `${'a.'.repeat(50_000)}b = 1`,
    `[${'a.'.repeat(50_000)}b]`,
    `[[${'a.'.repeat(50_000)}b]]`,
    '[[auth.issuers]]\n'.repeat(20_000),
    `${'k'.repeat(200_000)} = 1`,
    `server.hosts = ["${'a.'.repeat(100_000)}"]`,
  ]) {
    assert.ok(outcome({}, toml) instanceof ConfigError)
  }
})

test('a port is accepted from the environment exactly as from the file', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: -10, max: 70_000 }).filter((port) => port !== 3001),
      (port) => {
        const [fromVariable, fromFile] = [outcome({ PORT: String(port) }, ''), outcome({}, `server.port = ${port}`)]
        assert.equal(fromVariable instanceof ConfigError, port < 0 || port > 65_535)
        assert.equal(fromFile instanceof ConfigError, port < 0 || port > 65_535)
      },
    ),
  )
})

test('the nearest name of a known one is itself, and of one with a letter changed too', () => {
  // server.hosts less its last letter is as near to server.host.
  const names = fields.map((field) => field.name).filter((known) => known !== 'server.hosts')
  fc.assert(
    fc.property(fc.constantFrom(...names), fc.nat(60), (known, at) => {
      assert.equal(nearest(known, names), known)
      const section = known.slice(0, known.indexOf('.') + 1)
      const position = section.length + (at % (known.length - section.length))
      assert.equal(nearest(`${known.slice(0, position)}~${known.slice(position + 1)}`, names), known)
    }),
  )
})
