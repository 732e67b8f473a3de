import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import fc from 'fast-check'

import { assertMistakes, openConfigFolder } from '../../test/support/config-file.ts'
import { judgePreflight } from '../layers/cors/preflight.ts'
import { CorsPolicies } from '../layers/index.ts'
import { originsMistake } from './origins.ts'

const { load, mistakes } = openConfigFolder()
const listed = (...origins: readonly string[]): string => `[cors]\norigins = ${JSON.stringify(origins)}\n`

const right: readonly string[] = [
  'https://app.example.com',
  'https://app.example.com:8443',
  'http://intranet',
  'http://localhost:5173',
  'http://127.0.0.1:8080',
  'http://[::1]:8080',
  'https://[2001:db8::1]',
  'https://xn--bcher-kva.example',
  'https://*.example.com',
  'https://*.example.com:8443',
  'https://*.a.b.example.com',
  'https://*.xn--bcher-kva.example',
  'https://*.example.co.uk',
  'https://*.me.github.io',
]

/** What is wrong with one entry. */
const wrong: readonly (readonly [string, RegExp])[] = [
  ['', /must be an origin/],
  ['app.example.com', /must be an origin: scheme/],
  ['//app.example.com', /must be an origin: scheme/],
  ['null', /names nobody$/],
  ['NULL', /names nobody$/],
  ['file://', /must begin with https/],
  ['chrome-extension://abcdef', /must begin with https/],
  ['ftp://a.example.com', /must begin with https/],
  ['https://app.example.com/', /must not end in a slash/],
  ['https://app.example.com/films', /has a path/],
  ['https://app.example.com//', /has a path/],
  ['https://app.example.com?x', /has a path, a query/],
  ['https://app.example.com#x', /has a path, a query or a fragment/],
  [String.raw`https://app.example.com\x`, /has a path/],
  ['https://me@app.example.com', /has a user or a password/],
  ['https://me:secret@app.example.com', /has a user or a password/],
  ['https://App.example.com', /must be in lower case/],
  ['HTTPS://app.example.com', /must be in lower case/],
  ['https://app.example.com:443', /without the default port/],
  ['http://app.example.com:80', /without the default port/],
  ['https://app.example.com:', /no valid host or port/],
  ['https://app.example.com:0443', /no valid host or port/],
  ['https://app.example.com:65536', /no valid host or port/],
  ['https://app.example.com:x', /no valid host or port/],
  ['https://', /no valid host/],
  ['https://app..example.com', /no valid host/],
  ['https://app.example.com.', /dot at the end/],
  ['https://app.example.com.:8443', /dot at the end/],
  ['https://app example.com', /ASCII/],
  [' https://app.example.com', /must be an origin/],
  ['https://app.example.com ', /ASCII/],
  ['https://b\u00fccher.example', /punycode/],
  ['https://app\uff0eexample.com', /punycode/],
  ['http://127.1', /four numbers/],
  ['http://0x7f000001', /four numbers/],
  ['http://2130706433', /four numbers/],
  ['http://127.0.0.01', /four numbers/],
  ['http://[::0001]', /shortest form/],
  ['http://[0:0:0:0:0:0:0:1]:8080', /shortest form/],
  ['http://[::ffff:127.0.0.1]', /shortest form/],
  ['http://[::1', /no valid host/],
  ['http://::1', /no valid host/],
  ['https://*', /two labels|whole first label/],
  ['https://*.', /dot at the end|no valid host/],
  ['https://*.com', /two labels or more/],
  ['https://*.localhost', /two labels or more/],
  ['https://*.co.uk', /public suffix/],
  ['https://*.com.au', /public suffix/],
  ['https://*.github.io', /public suffix/],
  ['https://*.vercel.app:8443', /public suffix/],
  ['https://*.s3.amazonaws.com', /public suffix/],
  ['http://*.example.com', /only https/],
  ['https://a.*.example.com', /whole first label/],
  ['https://*app.example.com', /whole first label/],
  ['https://app*.example.com', /whole first label/],
  ['https://*.*.example.com', /whole first label/],
  ['https://example.*', /whole first label/],
  ['https://app.example.com:*', /whole first label/],
  ['*://app.example.com', /must be an origin/],
  ['*.example.com', /must be an origin/],
  ['**', /must be an origin/],
  ['https://*.Example.com', /lower case/],
  ['https://*.example.com/', /must not end in a slash/],
  ['https://*.example.com:443', /default port/],
  ['https://*.10.0.0.1', /before an address/],
  ['https://*.[::1]', /no valid host|before an address/],
  ['https://*.b\u00fccher.example', /punycode/],
  ['https://*._x.example.com', /letters, digits, hyphens/],
]

describe('cors.origins', () => {
  for (const origin of right)
    test(`${origin} is one`, () => {
      assert.deepEqual(load(listed(origin)).cors.origins, [origin])
      assert.ok(new CorsPolicies({ origins: [origin] }), 'the layer takes it, too')
    })

  for (const [entry, expected] of wrong)
    test(`${JSON.stringify(entry)} is none`, () => {
      const found = mistakes(listed('https://right.example.com', entry))
      assertMistakes(found, [expected])
      assert.match(found[0] ?? '', /^F:2: cors\.origins entry 2 /)
      if (entry.includes('secret')) assert.ok(!found.join('').includes('secret'))
    })

  test('"*" is everybody, alone', () => {
    assert.deepEqual(load(listed('*')).cors.origins, ['*'])
    for (const list of [
      ['*', 'https://app.example.com'],
      ['https://app.example.com', '*'],
      ['*', '*'],
    ])
      assertMistakes(mistakes(listed(...list)), [/^F:2: cors\.origins must have "\*" alone or not at all/])
  })

  test('several mistakes are all told, each with its entry', () => {
    assertMistakes(mistakes(listed('null', 'https://app.example.com', 'https://a.example.com/')), [
      /cors\.origins entry 1 is what sandboxed .*; entry 3 must not end in a slash/,
    ])
  })

  test('from the environment', () => {
    const { cors, origins } = load('', {
      FILMGATE_CORS_ORIGINS: 'https://a.example.com, https://*.b.example.com',
      FILMGATE_CORS_CREDENTIALS: 'true',
    })
    assert.deepEqual([cors.origins, cors.credentials], [['https://a.example.com', 'https://*.b.example.com'], true])
    assert.equal(origins.get('cors.origins'), 'FILMGATE_CORS_ORIGINS')
    assertMistakes(mistakes('', { FILMGATE_CORS_ORIGINS: 'null' }), [/^FILMGATE_CORS_ORIGINS: cors\.origins entry 1 /])
  })

  test('[ASVS 3.4.2] never credentials for everybody, nor for a page that anybody on the way can write', () => {
    assertMistakes(mistakes('[cors]\ncredentials = true\norigins = ["*"]\n'), [/^F:3: cors\.origins is "\*" with credentials/])
    assertMistakes(mistakes('[cors]\ncredentials = true\n', { FILMGATE_CORS_ORIGINS: '*' }), [
      /^FILMGATE_CORS_ORIGINS: cors\.origins is "\*"/,
    ])
    assertMistakes(mistakes(`${listed('http://app.example.com')}credentials = true\n`), [
      /^F:2: cors\.origins has an http:\/\/ origin with credentials/,
    ])
    assertMistakes(mistakes('[cors]\ncredentials = true\n[cors.routes]\n"GET /" = { origins = ["http://10.0.0.1"] }\n'), [
      /^F:4: cors\.routes\."GET \/" has an http:\/\/ origin with credentials/,
    ])
    for (const here of ['http://localhost:5173', 'http://127.0.0.1:5173', 'http://[::1]:5173'])
      assert.equal(load(`${listed(here)}credentials = true\n`).cors.credentials, true, here)
    const open = '[cors]\ncredentials = true\norigins = ["https://app.example.com"]\n[cors.routes]\n"GET /" = { origins = ["*"] }\n'
    assert.deepEqual(load(open).cors.routes, { 'GET /': { origins: ['*'] } }, 'a route open to everybody has none')
  })
})

describe('[cors.routes]', () => {
  test('origins of single routes, or none', () => {
    const toml =
      '[cors.routes]\n"GET /" = { origins = ["*"] }\n"POST /add_film" = { origins = [] }\n"GET /v1/films/:id" = { origins = ["https://*.example.com"] }\n'
    const { cors, origins } = load(toml)
    assert.deepEqual(cors.routes, {
      'GET /': { origins: ['*'] },
      'POST /add_film': { origins: [] },
      'GET /v1/films/:id': { origins: ['https://*.example.com'] },
    })
    assert.match(origins.get('cors.routes."POST /add_film"') ?? '', /:3$/)
  })

  const mistaken: readonly (readonly [string, RegExp])[] = [
    ['cors.routes = 1', /must be a table of routes/],
    ['cors.routes.home = { origins = [] }', /must be named by method and path/],
    ['cors.routes."OPTIONS /" = { origins = [] }', /must be named by method and path/],
    ['cors.routes."GET /" = ["*"]', /^F:1: cors\.routes\."GET \/" must have its origins/],
    ['cors.routes."GET /" = "*"', /must have its origins/],
    ['cors.routes."GET /" = { }', /must have its origins/],
    ['[cors.routes."GET /"]\norigins = "*"', /^F:2: cors\.routes\."GET \/"\.origins must be a list of strings$/],
    ['[cors.routes."GET /"]\norigins = [1]', /\.origins must be a list of strings$/],
    [
      '[cors.routes."GET /"]\n\norigins = ["https://a.example.com", "null"]',
      /^F:3: cors\.routes\."GET \/"\.origins entry 2 is what sandboxed/,
    ],
    [
      '[cors.routes."GET /"]\norigins = ["*"]\ncredentials = true',
      /^F:3: cors\.routes\."GET \/"\.credentials is not a known key; the nearest is origins$/,
    ],
    ['[cors.routes."GET /"]\norigins = ["*"]\n__proto__ = 1', /\.__proto__ is not a known key/],
  ]
  for (const [toml, expected] of mistaken) test(`refused: ${JSON.stringify(toml)}`, () => assertMistakes(mistakes(toml), [expected]))
})

describe('cors.allow_headers', () => {
  for (const name of ['*', '', 'a b', 'content-type:', 'x\u00e9', 'a,b', 'x'.repeat(65)])
    test(`${JSON.stringify(name)} is no header field`, () =>
      assertMistakes(mistakes(`[cors]\nallow_headers = ["content-type", ${JSON.stringify(name)}]\n`), [
        /^F:2: cors\.allow_headers entry 2 must be the name/,
      ]))
})

const names = (count: number): string =>
  JSON.stringify(Array.from({ length: count }, (_, i) => `x-${'n'.repeat(59)}-${String(i).padStart(2, '0')}`))

test('so many header fields that no preflight could ask for them all are refused', () => {
  assertMistakes(mistakes(`[cors]\nallow_headers = ${names(51)}\n`), [/^F:2: cors\.allow_headers must be at most 50$/])
  const { allowHeaders } = load(`[cors]\norigins = ["*"]\nallow_headers = ${names(50)}\n`).cors
  const policies = new CorsPolicies({ origins: ['*'], allowHeaders })
  policies.addRoute('GET', '/')
  const asked = { url: '/', origin: 'https://app.example.com', method: 'GET', headers: allowHeaders.join(', ') }
  assert.ok(!(judgePreflight(policies, asked) instanceof Error))
})

test('whatever the configuration takes the layer takes, and a browser can send', () => {
  const pieces = fc.constantFrom(
    'https://',
    'http://',
    '*.',
    'a',
    'example',
    '.',
    'com',
    ':',
    '443',
    '8443',
    '/',
    '@',
    '-',
    '_',
    '[::1]',
    '127.0.0.1',
    'X',
    '\u00fc',
    'xn--',
    ' ',
  )
  let taken = 0
  fc.assert(
    fc.property(fc.array(pieces, { minLength: 2, maxLength: 7 }), (parts) => {
      const origin = parts.join('')
      if (originsMistake([origin]) !== undefined) return
      taken++
      assert.ok(new CorsPolicies({ origins: [origin] }))
      assert.equal(new URL(origin.replace('*.', 'x.')).origin, origin.replace('*.', 'x.'))
    }),
    { numRuns: 20_000, seed: 42 },
  )
  assert.ok(taken > 50, String(taken))
})
