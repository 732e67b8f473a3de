import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'

import { type Answer, ask, assertProblem, assertQuietLog, assertSafe, countFilms, query } from '../support/attack.ts'
import { startServer } from '../support/server.ts'

const server = await startServer()
after(() => server[Symbol.asyncDispose]())
const filmsBefore = countFilms(server)

const post = (body: string | Buffer): Promise<Answer> =>
  ask(server, {
    method: 'POST',
    target: '/add_film',
    fields: { Authorization: `Bearer ${server.key()}`, 'Content-Type': 'application/json' },
    body,
  })

const nested = (depth: number): string => `{"name":"x","studio":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`

/** Documents that a lenient parser takes, or that two parsers read differently. */
const broken: Readonly<Record<string, string | Buffer>> = {
  'a duplicate key': '{"name":"a","name":"b"}',
  'a duplicate key with the same value': '{"name":"a","name":"a"}',
  'a duplicate key spelt with an escape': String.raw`{"name":"x","n\u0061me":"y"}`,
  'a duplicate key in a nested object': '{"name":"x","studio":{"a":1,"a":1}}',
  'a duplicate key behind a string full of quotes and colons': String.raw`{"name":"\":\\\":","year":2000,"year":2001}`,
  '__proto__ as a member': '{"name":"x","__proto__":{"year":1}}',
  '__proto__ spelt with an escape': String.raw`{"name":"x","__pr\u006fto__":{"admin":true}}`,
  '__proto__ twice': '{"name":"x","__proto__":1,"__proto__":2}',
  'constructor.prototype as members': '{"name":"x","constructor":{"prototype":{"admin":true}}}',
  'prototype as a member': '{"name":"x","prototype":{}}',
  '33 levels': nested(33),
  '8,000 levels within the size limit': nested(8000),
  '8,000 objects that never close': '{"a":'.repeat(3000),
  'half a surrogate pair, escaped': String.raw`{"name":"x\ud800"}`,
  'the other half, escaped': String.raw`{"name":"\udfffx"}`,
  'two halves in the wrong order': String.raw`{"name":"\udf00\ud83d"}`,
  'a surrogate as raw bytes (CESU-8)': Buffer.from([...Buffer.from('{"name":"'), 0xed, 0xa0, 0x80, ...Buffer.from('"}')]),
  'an overlong slash': Buffer.from([...Buffer.from('{"name":"'), 0xc0, 0xaf, ...Buffer.from('"}')]),
  'a lone continuation byte': Buffer.from([...Buffer.from('{"name":"'), 0x80, ...Buffer.from('"}')]),
  'Latin-1': Buffer.from('{"name":"Amélie"}', 'latin1'),
  'a byte order mark': '\ufeff{"name":"x"}',
  'UTF-16 with a byte order mark': Buffer.from('\ufeff{"name":"x"}', 'utf16le'),
  'UTF-16 without one': Buffer.from('{"name":"x"}', 'utf16le'),
  'a raw control character in a string': '{"name":"a\u0001b"}',
  'a raw line feed in a string': '{"name":"a\nb"}',
  'a NUL behind the document': '{"name":"x"}\0',
  'truncated JSON': '{"name":"x","studio":"y',
  'two documents': '{"name":"x"}{"name":"y"}',
  'two lines of NDJSON': '{"name":"x"}\n{"name":"y"}',
  'a trailing comma': '{"name":"x",}',
  'a comment': '{"name":"x"/* y */}',
  'single quotes': "{'name':'x'}",
  'a form that was called JSON': 'name=x&studio=y',
  'white space alone': ' \n\t ',
  'an empty body': '',
  'year NaN': '{"name":"x","year":NaN}',
  'year Infinity': '{"name":"x","year":-Infinity}',
  'year in hexadecimal': '{"name":"x","year":0x7dd}',
  'year with a leading zero': '{"name":"x","year":02013}',
  'year with a plus': '{"name":"x","year":+2013}',
}

describe('a body that is not strict JSON', { concurrency: 8 }, () => {
  for (const [attack, body] of Object.entries(broken)) {
    test(attack, async () => {
      assertProblem(await post(body), { status: 400, code: 'bad_request' })
      assert.equal(countFilms(server), filmsBefore)
    })
  }
})

const film = (members: object): string => JSON.stringify({ name: 'x', ...members })
const named = (name: unknown): string => JSON.stringify({ name })

const texts: Readonly<Record<string, string>> = {
  'an escaped NUL': 'a\0b',
  'an escaped line feed (log injection)': 'a\r\nSet-Cookie: b',
  'a tab': 'a\tb',
  'an ANSI escape (terminal injection)': '\u001b[2Ja',
  DEL: 'a\u007fb',
  'a C1 control': 'a\u009bb',
  'next line (C1)': 'a\u0085b',
  'a leading blank': ' a',
  'a trailing blank': 'a ',
  'a leading no-break space': '\u00a0a',
  'a trailing ideographic space': 'a\u3000',
  'blanks alone': '   ',
  nothing: '',
  '201 characters': 'a'.repeat(201),
  '201 characters beyond the BMP': '🎬'.repeat(201),
  'a byte order mark inside': 'a\ufeffb',
  'a line separator': 'a\u2028b',
  'a paragraph separator': 'a\u2029b',
  // Each is one code point that NFC turns into two, so 200 that pass a check made before are 400 when stored.
  '200 characters that NFC makes 400': '\u0958'.repeat(200),
  ...Object.fromEntries(
    [0x61c, 0x200e, 0x200f, 0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x2066, 0x2067, 0x2068, 0x2069].map((point) => [
      `the bidirectional control U+${point.toString(16).toUpperCase().padStart(4, '0')}`,
      `a${String.fromCodePoint(point)}b`,
    ]),
  ),
}

describe('a text that would not show as what it is', { concurrency: 8 }, () => {
  for (const [attack, text] of Object.entries(texts)) {
    test(attack, async () => {
      assertProblem(await post(named(text)), { status: 400, code: 'validation_failed', pointer: '/name' })
      for (const field of ['studio', 'genre', 'director']) {
        assertProblem(await post(film({ [field]: text })), { status: 400, code: 'validation_failed', pointer: `/${field}` })
      }
      assert.equal(countFilms(server), filmsBefore)
    })
  }
})

/** What a coercing, stripping or clamping validator would let in; the field that must be named. */
const wrong: Readonly<Record<string, readonly [body: string, pointer: string]>> = {
  'a number as name (1776)': [named(1776), '/name'],
  'null as name': [named(null), '/name'],
  'true as name': [named(true), '/name'],
  'a list of one as name': [named(['x']), '/name'],
  'an object as name': [named({ $ne: null }), '/name'],
  'no name': ['{"studio":"x"}', '/name'],
  'an empty object': ['{}', '/name'],
  'digits as text for year': [film({ year: '12' }), '/year'],
  'a good year as text': [film({ year: '2013' }), '/year'],
  'an empty text for year': [film({ year: '' }), '/year'],
  'year true': [film({ year: true }), '/year'],
  'year in a list': [film({ year: [2013] }), '/year'],
  'year 1e400': ['{"name":"x","year":1e400}', '/year'],
  'year -1e400': ['{"name":"x","year":-1e400}', '/year'],
  'year -0': ['{"name":"x","year":-0}', '/year'],
  'year 1.5': [film({ year: 1.5 }), '/year'],
  'year 2013.5': [film({ year: 2013.5 }), '/year'],
  'year 1869': [film({ year: 1869 }), '/year'],
  'year 2201': [film({ year: 2201 }), '/year'],
  'year 9007199254740993': ['{"name":"x","year":9007199254740993}', '/year'],
  'runtime 0': [film({ runtime_min: 0 }), '/runtime_min'],
  'runtime -1': [film({ runtime_min: -1 }), '/runtime_min'],
  'runtime 100001': [film({ runtime_min: 100_001 }), '/runtime_min'],
  'rating 10.1': [film({ rating: 10.1 }), '/rating'],
  'rating -0.1': [film({ rating: -0.1 }), '/rating'],
  'rating as text': [film({ rating: '7' }), '/rating'],
  'rating 1e400': ['{"name":"x","rating":1e400}', '/rating'],
  'studio a number': [film({ studio: 1 }), '/studio'],
  'likes given by the client (mass assignment)': [film({ likes: 1_000_000 }), '/likes'],
  'id given by the client': [film({ id: 1 }), '/id'],
  'slot given by the client': [film({ slot: 1 }), '/slot'],
  'an unknown member': [film({ colour: 'red' }), '/colour'],
  'a known member in upper case': [film({ Year: 2013 }), '/Year'],
  'toString as a member': [film({ toString: 1 }), '/toString'],
  'hasOwnProperty as a member': [film({ hasOwnProperty: 1 }), '/hasOwnProperty'],
  'a member whose name is a JSON pointer': [film({ 'a/b~c': 1 }), '/a~1b~0c'],
  '32 levels, which are allowed, of what is not': [nested(32), '/studio'],
  'a list': ['[{"name":"x"}]', ''],
  'an empty list': ['[]', ''],
  'a text': ['"name"', ''],
  'a number': ['1', ''],
  true: ['true', ''],
  null: ['null', ''],
}

describe('a film that does not fit the schema', { concurrency: 8 }, () => {
  for (const [attack, [body, pointer]] of Object.entries(wrong)) {
    test(attack, async () => {
      assertProblem(await post(body), { status: 400, code: 'validation_failed', pointer })
      assert.equal(countFilms(server), filmsBefore)
    })
  }

  test('200 unknown members: the answer stays small', async () => {
    const answer = await post(film(Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`m${i}`, i]))))
    assertProblem(answer, { status: 400, code: 'validation_failed' })
    assert.ok(answer.body.length < 4096, `${answer.body.length} bytes`)
  })
})

test('nothing of all that was stored, no id was used up', () => {
  assert.equal(countFilms(server), filmsBefore)
  assert.deepEqual(query(server, 'select films from catalogue'), [{ films: filmsBefore }])
  assert.deepEqual(query(server, 'select max(id) as last from film'), [{ last: filmsBefore }])
})

describe('good films are stored as they are', () => {
  const good: Readonly<Record<string, readonly [body: string, stored: Readonly<Record<string, unknown>>]>> = {
    'decomposed letters become NFC': [
      film({ name: 'Ame\u0301lie', director: 'A\u030angstro\u0308m' }),
      { name: 'Am\u00e9lie', director: '\u00c5ngstr\u00f6m' },
    ],
    '200 characters beyond the BMP': [named('🎬'.repeat(200)), { name: '🎬'.repeat(200) }],
    'null for what is not known': [
      film({ studio: null, year: null, genre: null, director: null, runtime_min: null, rating: null }),
      { studio: null, year: null },
    ],
    'blanks inside': [named('2001:  A Space  Odyssey'), { name: '2001:  A Space  Odyssey' }],
    'Arabic and Hebrew without overrides': [named('جدایی נפרד'), { name: 'جدایی נפרד' }],
    'the word __proto__ as text': [named('__proto__'), { name: '__proto__' }],
  }
  for (const [what, [body, stored]] of Object.entries(good)) {
    test(what, async () => {
      const answer = await post(body)
      assert.equal(answer.status, 201, answer.body)
      assertSafe(answer)
      const { id, ...shown } = answer.json()
      const [row] = query(
        server,
        'select name, studio, year, genre, director, runtime_min, rating, likes, dislikes from film where id = ?',
        Number(id),
      )
      assert.deepEqual(row, shown)
      assert.deepEqual({ ...row, ...stored }, row)
      const again = await ask(server, { target: answer.field('location') ?? '' })
      assert.deepEqual(again.json(), answer.json())
    })
  }

  test('the log is quiet: one line each, no error', () => assertQuietLog(server))
})
