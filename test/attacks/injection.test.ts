import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, describe, test } from 'node:test'

import {
  type Answer,
  type Ask,
  ask,
  assertProblem,
  assertQuietLog,
  assertSafe,
  countFilms,
  query,
  requestBytes,
  exchange,
} from '../support/attack.ts'
import { startServer } from '../support/server.ts'

const server = await startServer()
after(() => server[Symbol.asyncDispose]())

const schema = (): unknown => query(server, 'select type, name, tbl_name, sql from sqlite_master order by type, name')
const schemaBefore = schema()
const filmsBefore = countFilms(server)
const keysBefore = query(server, 'select * from api_key')
let filmsAdded = 0

const payloads: Readonly<Record<string, string>> = {
  'a real title': 'Amateur Night; or, Get the Hook',
  'another real title': 'What\'s Up, Tiger Lily? -- "Kokusai himitsu keisatsu"; 100%',
  'a quote': "'",
  'a double quote': '"',
  'a backtick': '`',
  'a backslash and a quote': "\\'",
  'two quotes': "''",
  'a typographic quote': '\u2019',
  'a full-width quote': '\uff07',
  'always true': "1' OR '1'='1",
  'always true, numeric': '1 OR 1=1',
  'a line comment': "x'--",
  'a hash comment': "x'#",
  'a block comment': "x'/**/OR/**/1=1/*",
  'a dropped table': "'; DROP TABLE film; --",
  'a dropped table without a quote': '1; DROP TABLE film; --',
  'stacked statements': "'); DELETE FROM film; INSERT INTO vote VALUES (1,'x',1,0,0); --",
  'a stacked update': "x', 0, 0); UPDATE film SET likes = 999 WHERE ('1'='1",
  'a union': "' UNION SELECT id, secret_hash FROM api_key --",
  'a union with blanks as comments': "'/**/UNION/**/SELECT/**/sql/**/FROM/**/sqlite_master--",
  'a sub-query': "'||(SELECT secret_hash FROM api_key)||'",
  'a blind condition': "' AND (SELECT count(*) FROM api_key) > 0 --",
  'a slow query': "' OR 1=randomblob(1000000000) --",
  'a slow query (PostgreSQL)': "'; SELECT pg_sleep(10) --",
  'an attached database': "'; ATTACH DATABASE '/tmp/evil.db' AS evil; --",
  'a loaded extension': "' AND load_extension('/tmp/evil.so') --",
  'a pragma': "'; PRAGMA writable_schema = 1; --",
  'a transaction end': "'; COMMIT; --",
  'a savepoint': "'; ROLLBACK TO unit; --",
  'LIKE wildcards': '%_%',
  'GLOB wildcards': '*?[a-z]',
  'a numbered parameter': '?1',
  'a named parameter': ':name $name @name',
  'a dollar parameter (PostgreSQL)': '$1',
  'a dollar quote (PostgreSQL)': '$$;DROP TABLE film;$$',
  'JSON operators': '{"$gt":""}',
  'a JSON path (CVE-2026-44635)': "$.a'||(select 1)||'",
  'a template': '{{7*7}}${7*7}<%= 7*7 %>',
  'a shell': '$(id)`id`|id;id&&id',
  'a script': '<script>alert(1)</script>',
  'an XML entity': '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>&b;',
  'a format string': '%s%s%n%x',
  'a Log4Shell lookup': '${jndi:ldap://evil.example/a}',
  'a formula (CSV)': "=cmd|' /C calc'!A0",
  'a path': '../../../../etc/passwd',
  'NUL in words': '\\0\\x00\\u0000',
  null: 'null',
  undefined: 'undefined',
  NaN: 'NaN',
  __proto__: '__proto__',
  'the name of a column': 'likes',
  'one blank short of a statement': 'film;',
}

const post = (film: object): Promise<Answer> =>
  ask(server, {
    method: 'POST',
    target: '/add_film',
    fields: { Authorization: `Bearer ${server.key()}`, 'Content-Type': 'application/json' },
    body: JSON.stringify(film),
  })

/** Adds a film, and holds the answer and what GET tells of it against what was sent. */
const addAndCompare = async (film: Readonly<Record<string, unknown>>): Promise<void> => {
  const answer = await post(film)
  assert.equal(answer.status, 201, answer.body)
  filmsAdded++
  const { id, ...rest } = answer.json()
  assert.deepEqual({ ...rest, ...film }, rest)
  const again = await ask(server, { target: `/v1/films/${String(id)}` })
  assert.equal(again.status, 200)
  assert.deepEqual(again.json(), answer.json())
}

/** Everything that a target cannot hold as it is; letters and digits stay readable. */
const escaped = (text: string): string => encodeURIComponent(text).replaceAll("'", '%27')
/** As it is, but for what would break the request line itself. */
const bare = (text: string): string => text.replaceAll(/[\s#?%]/g, (c) => escaped(c))

describe('injection in the query', { concurrency: 8 }, () => {
  for (const [attack, payload] of Object.entries(payloads)) {
    test(attack, async () => {
      for (const text of [escaped(payload), `1${escaped(payload)}`]) {
        assertProblem(await ask(server, { target: `/?like=${text}` }), { status: 400, code: 'validation_failed', pointer: '/query/like' })
        assertProblem(await ask(server, { target: `/?${text}=1` }), { status: 400, code: 'validation_failed' })
      }
    })
  }
})

describe('injection in the path', { concurrency: 8 }, () => {
  for (const [attack, payload] of Object.entries(payloads)) {
    test(attack, async () => {
      assertProblem(await ask(server, { target: `/v1/films/${escaped(payload)}` }), {
        status: 400,
        code: 'validation_failed',
        pointer: '/path/id',
      })
      for (const target of [`/v1/films/1${bare(payload)}`, `/${escaped(payload)}`, `/v1/${bare(payload)}`]) {
        const answer = await ask(server, { target })
        assert.ok([400, 404].includes(answer.status), `${target} ${answer.status}`)
        assertSafe(answer)
      }
    })
  }
})

describe('injection in header fields', { concurrency: 8 }, () => {
  const names = [
    'User-Agent',
    'Referer',
    'Origin',
    'Cookie',
    'X-Forwarded-For',
    'X-Request-Id',
    'traceparent',
    'If-None-Match',
    'Accept-Language',
    'X-HTTP-Method-Override',
  ]
  for (const [attack, payload] of Object.entries(payloads)) {
    test(attack, async () => {
      const answer = await ask(server, { fields: Object.fromEntries(names.map((name) => [name, payload])) })
      assert.equal(answer.status, 200)
      assertSafe(answer)
      assertProblem(await ask(server, { fields: { Authorization: `Bearer ${payload}` } }), { status: 401, code: 'unauthenticated' })
      const vote = await ask(server, { target: '/?like=1', fields: { Origin: payload } })
      assert.deepEqual(vote.json()['vote'], { film_id: 1, value: 'like', recorded: false })
    })
  }
})

describe('injection in the body: text is text, whatever it looks like', { concurrency: 4 }, () => {
  for (const [attack, payload] of Object.entries(payloads)) {
    test(attack, async () => {
      await addAndCompare({ name: payload, studio: payload, genre: payload, director: payload })
      for (const field of ['year', 'runtime_min', 'rating']) {
        assertProblem(await post({ name: 'x', [field]: payload }), { status: 400, code: 'validation_failed', pointer: `/${field}` })
      }
      const answer = await post({ name: 'x', [`year ${payload}`]: 1 })
      assertProblem(answer, { status: 400, code: 'validation_failed' })
    })
  }

  test('a condition object in place of a value', async () => {
    for (const value of [{ $ne: null }, { $gt: '' }, { $where: 'sleep(10000)' }, ["x' OR 1=1"], { toString: 'x' }]) {
      assertProblem(await post({ name: value }), { status: 400, code: 'validation_failed', pointer: '/name' })
    }
  })
})

describe('1 MB of it', () => {
  const long = "'; DROP TABLE film; --".repeat(48_000)
  const attacks: Readonly<Record<string, readonly [request: Ask, status: number]>> = {
    'in the query': [{ target: `/?like=${escaped(long)}` }, 431],
    'in the path': [{ target: `/v1/films/${escaped(long)}` }, 431],
    'in a field': [{ fields: { 'X-A': long } }, 431],
    'in Authorization': [{ fields: { Authorization: `Bearer ${long}` } }, 431],
  }
  for (const [attack, [request, status]] of Object.entries(attacks)) {
    test(attack, async () => {
      const { answers } = await exchange(server.port, requestBytes(request), { answers: 1 })
      assert.equal(answers[0]?.status, status)
      if (answers[0]) assertProblem(answers[0], { status, code: 'headers_too_large' })
    })
  }
  test('in the body', async () => {
    const request: Ask = {
      method: 'POST',
      target: '/add_film',
      fields: { Authorization: `Bearer ${server.key()}`, 'Content-Type': 'application/json', Connection: null },
      body: JSON.stringify({ name: long }),
    }
    assertProblem(await ask(server, request), { status: 413, code: 'payload_too_large' })
  })
})

test('real titles that look like attacks come back as they are', async () => {
  const catalogue = readFileSync(new URL('../../data/starter-films.ndjson', import.meta.url), 'utf8')
    .trimEnd()
    .split('\n')
  const films = catalogue.map((line) => JSON.parse(line) as { readonly name: string })
  const suspicious = films.map((film, i) => ({ film, id: i + 1 })).filter(({ film }) => /['"&;%_$#]|\.\.|--/.test(film.name))
  assert.ok(suspicious.length > 150, `${suspicious.length}`)
  for (let at = 0; at < suspicious.length; at += 8) {
    await Promise.all(
      suspicious.slice(at, at + 8).map(async ({ film, id }) => {
        const stored = await ask(server, { target: `/v1/films/${id}` })
        assert.deepEqual(stored.json(), { id, ...film, likes: 0, dislikes: 0 })
        await addAndCompare(film)
      }),
    )
  }
})

test('afterwards the schema, the counts, the keys and the file are what they were', () => {
  assert.deepEqual(schema(), schemaBefore)
  assert.equal(countFilms(server), filmsBefore + filmsAdded)
  assert.deepEqual(query(server, 'select films from catalogue'), [{ films: filmsBefore + filmsAdded }])
  assert.deepEqual(query(server, 'select * from vote'), [])
  assert.deepEqual(query(server, 'select sum(likes) as likes, sum(dislikes) as dislikes from film'), [{ likes: 0, dislikes: 0 }])
  assert.deepEqual(query(server, 'select * from api_key'), keysBefore)
  assert.deepEqual(query(server, 'pragma integrity_check'), [{ integrity_check: 'ok' }])
  assert.deepEqual(query(server, 'pragma foreign_key_check'), [])
})

test('the log is quiet: one line each, no error, and each is one line', () => assertQuietLog(server))
