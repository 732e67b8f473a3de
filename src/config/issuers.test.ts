import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { stringify } from 'smol-toml'
import { describeConfig, reloadable } from '../config.ts'
import { assertMistakes, openConfigFolder } from '../../test/support/config-file.ts'

const { load, mistakes } = openConfigFolder()

const two = `[auth]
registration = "closed"

[[auth.issuers]]
url = "https://id.example.com/realms/films"
audience = "https://films.example.com"
role_claim = "realm_access.roles"
roles = { "film-editor" = "editor", boss = "admin" }

[[auth.issuers]]
url = "http://127.0.0.1:8080/"
audience = "films"
allow_private = true
`

const entry = (lines: string): string => `[[auth.issuers]]\n${lines}\naudience = "films"`

const entries = (count: number): string =>
  Array.from({ length: count }, (_, i) => `[[auth.issuers]]\nurl = "https://i${i}.example.com"\naudience = "films"\n`).join('')

describe('external issuers in the configuration', () => {
  test('none unless they are named', () => assert.deepEqual(load('').auth.issuers, []))

  test('each with what was said and defaults for the rest, and the line where it begins', () => {
    const config = load(two)
    assert.deepEqual(config.auth.issuers, [
      {
        url: 'https://id.example.com/realms/films',
        audience: 'https://films.example.com',
        roleClaim: 'realm_access.roles',
        roles: { 'film-editor': 'editor', boss: 'admin' },
        allowPrivate: false,
      },
      { url: 'http://127.0.0.1:8080/', audience: 'films', roleClaim: '', roles: {}, allowPrivate: true },
    ])
    assert.deepEqual(
      [config.origins.get('auth.issuers[0]'), config.origins.get('auth.issuers[1]')],
      ['filmgate.toml:4', 'filmgate.toml:10'],
    )
    assert.ok(Object.isFrozen(config.auth.issuers) && Object.isFrozen(config.auth.issuers[0]?.roles))
    assert.deepEqual(
      describeConfig(config).filter(({ key }) => key.startsWith('auth.issuers')),
      [
        {
          key: 'auth.issuers[0]',
          value:
            '{ url = "https://id.example.com/realms/films", audience = "https://films.example.com", ' +
            'role_claim = "realm_access.roles", roles = { "film-editor" = "editor", "boss" = "admin" }, allow_private = false }',
          origin: 'filmgate.toml:4',
        },
        {
          key: 'auth.issuers[1]',
          value: '{ url = "http://127.0.0.1:8080/", audience = "films", role_claim = "", roles = {}, allow_private = true }',
          origin: 'filmgate.toml:10',
        },
      ],
    )
  })

  test('what is printed reads back as the same', () => {
    const shown = describeConfig(load(two)).filter(({ key }) => key.startsWith('auth.issuers'))
    const again = load(`[auth]\nissuers = [${shown.map(({ value }) => value).join(', ')}]`)
    assert.deepEqual(again.auth.issuers, load(two).auth.issuers)
  })

  test('all that is wrong with all of them, each with its key and line', () => {
    const toml = `[[auth.issuers]]
url = "https://a.example.com"
audience = ""
roles = { x = "king", y = 1 }

[[auth.issuers]]
ulr = "https://b.example.com"
audience = "films"
allow_private = "yes"

[[auth.issuers]]
url = "https://a.example.com"
audience = "films"

[auth.issuers.roles]
boss = "owner"
`
    assertMistakes(mistakes(toml), [
      /^F:1: auth\.issuers\[0\]\.role_claim must be set too: /,
      /^F:3: auth\.issuers\[0\]\.audience must not be empty/,
      /^F:4: auth\.issuers\[0\]\.roles\.x must be one of viewer, editor, moderator, admin$/,
      /^F:4: auth\.issuers\[0\]\.roles\.y must be one of/,
      /^F:6: auth\.issuers\[1\]\.url must be set$/,
      /^F:7: auth\.issuers\[1\]\.ulr is not a known key; the nearest is url$/,
      /^F:9: auth\.issuers\[1\]\.allow_private must be true or false, but is a string$/,
      /^F:11: auth\.issuers\[2\]\.role_claim must be set too/,
      /^F:12: auth\.issuers\[2\]\.url is that of another entry/,
      /^F:16: auth\.issuers\[2\]\.roles\.boss must be one of/,
    ])
  })

  const wrongUrls: readonly (readonly [string, RegExp])[] = [
    ['', /must be an https URL/],
    ['films', /must be an https URL/],
    ['ftp://id.example.com', /must be an https URL/],
    ['javascript:alert(1)', /must be an https URL/],
    ['https:id.example.com', /must be an https URL/],
    ['https://id.example.com?realm=films', /must be an https URL/],
    ['https://id.example.com/#films', /must be an https URL/],
    ['https://user:password@id.example.com', /must be an https URL/],
    ['https://id.example.com\\\\@evil.example', /must be an https URL/],
    ['https://id.example.com/a b', /must be an https URL/],
    [`https://id.example.com/${'a'.repeat(2048)}`, /must be an https URL/],
    ['HTTPS://id.example.com', /must be an https URL/],
    ['https://ID.example.com', /must be spelled in the one usual way/],
    ['https://id.example.com:443', /must be spelled in the one usual way/],
    ['https://id.example.com/a/../b', /must be spelled in the one usual way/],
    ['https://2130706433', /must be spelled in the one usual way/],
    ['https://0x7f.1/', /must be spelled in the one usual way/],
    ['http://id.example.com', /must be https/],
    ['http://10.0.0.1', /must be https/],
    ['http://127.0.0.1.example.com', /must be https/],
    ['https://localhost', /is on this machine: say allow_private = true/],
    ['https://127.0.0.1:8443/', /is on this machine/],
    ['http://[::1]:8080', /is on this machine/],
  ]
  for (const [url, expected] of wrongUrls) {
    test(`refuses the url ${url.slice(0, 60)}`, () => assertMistakes(mistakes(entry(`url = "${url}"`)), [expected]))
  }
  test('plain http stays refused beyond this machine, whatever allow_private says', () => {
    assertMistakes(mistakes(entry('url = "http://10.0.0.1"\nallow_private = true')), [/must be https/])
    assert.equal(load(entry('url = "https://10.0.0.1"\nallow_private = true')).auth.issuers.length, 1)
  })

  const wrong: readonly (readonly [string, readonly RegExp[]])[] = [
    ['auth.issuers = 1', [/^F:1: auth\.issuers must be tables, each under \[\[auth\.issuers\]\]$/]],
    ['auth.issuers = ["https://id.example.com"]', [/must be tables/]],
    ['[auth.issuers]\nurl = "https://id.example.com"', [/must be tables/]],
    ['auth.issuers = [{ url = "https://a.example.com" }]', [/^F:1: auth\.issuers\[0\]\.audience must be set$/]],
    [entry('url = 7'), [/^F:2: auth\.issuers\[0\]\.url must be a string, but is an integer$/]],
    [entry('url = "https://a.example.com"\nrole_claim = "groups"'), [/^F:1: auth\.issuers\[0\]\.roles must be set too/]],
    [entry('url = "https://a.example.com"\nrole_claim = "a..b"\nroles.x = "editor"'), [/^F:3: .*\.role_claim must be the name of a claim/]],
    [entry('url = "https://a.example.com"\nrole_claim = "groups"\nroles."" = "editor"'), [/roles must not name an empty role/]],
    [
      entry('url = "https://a.example.com"\nrole_claim = "groups"\nroles = ["editor"]'),
      [/^F:4: auth\.issuers\[0\]\.roles must be a table/],
    ],
    [entry('url = "https://a.example.com"\n__proto__ = 1'), [/^F:3: auth\.issuers\[0\]\.__proto__ is not a known key/]],
    ['[[auth.isuers]]\nurl = "x"', [/^F:1: auth\.isuers is not a known key; the nearest is auth\.issuers?$/]],
  ]
  for (const [toml, expected] of wrong) test(`refuses ${JSON.stringify(toml)}`, () => assertMistakes(mistakes(toml), expected))

  test('a role may have any name, that of an object member too', () => {
    const { roles } = load(
      entry('url = "https://a.example.com"\nrole_claim = "groups"\nroles = { __proto__ = "admin", constructor = "editor" }'),
    ).auth.issuers[0]!
    assert.deepEqual(Object.entries(roles), [
      ['__proto__', 'admin'],
      ['constructor', 'editor'],
    ])
  })

  test('at most twenty', () => {
    assert.equal(load(entries(20)).auth.issuers.length, 20)
    assertMistakes(mistakes(entries(21)), [/^F:1: auth\.issuers must be at most 20, but are 21$/])
  })

  test('none has the name of this server itself', () => {
    assertMistakes(mistakes(`auth.issuer = "https://a.example.com"\n${entry('url = "https://a.example.com"')}`), [
      /^F:2: auth\.issuers\[0\]\.url is auth\.issuer, the name of this server itself/,
    ])
  })

  test('there is no variable for them', () => {
    assertMistakes(mistakes('', { FILMGATE_AUTH_ISSUERS: 'https://id.example.com' }), [
      /\[\[auth\.issuers\]\] are set in filmgate\.toml only/,
    ])
  })

  test('they wait for a restart: a reload tells which have changed, and changes none', () => {
    const current = load(two)
    const next = load(`${two.replace('"films"', '"movies"')}\n[[auth.issuers]]\nurl = "https://c.example.com"\naudience = "films"`)
    const { config, ignored } = reloadable(current, next)
    assert.deepEqual(
      ignored.map(({ key, message, source }) => `${source}: ${key} ${message}`),
      [
        'filmgate.toml:10: auth.issuers[1] has changed, but only a restart can apply that',
        'filmgate.toml:15: auth.issuers[2] has changed, but only a restart can apply that',
      ],
    )
    assert.deepEqual(config.auth, current.auth)
    assert.equal(config.origins.get('auth.issuers[1]'), 'filmgate.toml:10')
    assert.equal(config.origins.has('auth.issuers[2]'), false)
    assert.deepEqual(
      reloadable(current, load(''))
        .ignored.map(({ key }) => key)
        .slice(-2),
      ['auth.issuers[0]', 'auth.issuers[1]'],
    )
    assert.deepEqual(reloadable(current, load(two)).ignored, [])
  })

  test('any entry is read as it stands or refused, and nothing else is thrown', () => {
    const value = fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.array(fc.string()), fc.dictionary(fc.string(), fc.string()))
    const table = fc.record(
      {
        url: fc.oneof(fc.webUrl({ validSchemes: ['https'] }), value),
        audience: fc.oneof(fc.constant('films'), value),
        role_claim: value,
        roles: fc.oneof(fc.dictionary(fc.string(), fc.constantFrom('viewer', 'editor', 'king')), value),
        allow_private: value,
        unknown: value,
      },
      { requiredKeys: [], noNullPrototype: true },
    )
    fc.assert(
      fc.property(fc.array(table, { maxLength: 3 }), (issuers) => {
        const toml = stringify({ auth: { issuers } })
        const found = mistakes(toml)
        if (found.length === 0)
          assert.deepEqual(
            load(toml).auth.issuers.map(({ url }) => url),
            issuers.map(({ url }) => url),
          )
        for (const line of found) assert.match(line, /^F(?::\d+)?: auth\.issuers/)
      }),
    )
  })
})
