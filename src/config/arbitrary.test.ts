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
  fc.constantFrom(...fields.flatMap(({ variables }) => variables), 'FILMGATE_SECRETS_KEY_FILE', 'FILMGATE_CONFIG', '__proto__'),
  fc.string().map((name) => `FILMGATE_${name}`),
)
const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom('', '0', '3000', 'true', '127.0.0.1', '10.0.0.0/8', '::/0,::ffff:1.2.3.4/128', 'https://[::1', 'a,b:1,[::]', '.'),
)
const name = fc.oneof(
  fc.constantFrom('server', 'port', 'hosts', 'trusted_proxies', 'limits', 'routes', 'GET /', 'only', 'tls', '__proto__', 'constructor', ''),
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

test('no tables too deep, no name too long', () => {
  for (const toml of [
    `a = ${'['.repeat(100_000)}`,
    `${'a.'.repeat(50_000)}b = 1`,
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
