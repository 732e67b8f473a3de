import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'

import { type Answer, type Ask, ask, assertProblem, assertQuietLog, assertSafe, exchange, requestBytes } from '../support/attack.ts'
import { databases, type DatabaseKind, type Place } from '../support/databases.ts'
import { payloads } from '../support/payloads.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { describeUnless } from '../support/services.ts'
import { assertConsistent } from '../support/stored.ts'

/** Everything that a target cannot hold as it is; letters and digits stay readable. */
const escaped = (text: string): string => encodeURIComponent(text).replaceAll("'", '%27')
/** As it is, but for what would break the request line itself. */
const bare = (text: string): string => text.replaceAll(/[\s#?%]/g, (c) => escaped(c))

/** Everything that may not change but for the films that are added. */
interface Inside {
  readonly schema: unknown
  readonly keys: unknown
  readonly films: number
}

const schemaSql: Readonly<Record<DatabaseKind['name'], readonly string[]>> = {
  sqlite: ['select type, name, tbl_name, sql from sqlite_master order by type, name'],
  postgres: [
    "select table_name, column_name, data_type, column_default, is_nullable from information_schema.columns where table_schema = 'public' order by 1, 2",
    "select indexdef from pg_indexes where schemaname = 'public' order by 1",
    'select conname, pg_get_constraintdef(oid) as definition from pg_constraint order by 1, 2',
    'select rolname, rolsuper, rolcreaterole, rolcanlogin from pg_roles order by 1',
    "select proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace where nspname = 'public' order by 1",
  ],
}

const inside = async (place: Place): Promise<Inside> => {
  const schema = await Promise.all(schemaSql[place.kind].map((sql) => place.query(sql)))
  const [row] = await place.query('select count(*) as films from film')
  // When a key was used last is written a moment later, and to the hour.
  const keys = await place.query('select * from api_key')
  return { schema, keys: keys.map((key) => ({ ...key, last_used_at: null })), films: Number(row?.['films']) }
}

const attackAll = (kind: DatabaseKind): void => {
  let place: Place
  let server: TestServer
  let beforeAll: Inside
  let filmsAdded = 0

  before(async () => {
    place = await kind.place()
    server = await startServer({ dataDir: place.dataDir, env: place.env })
    beforeAll = await inside(place)
  })
  after(async () => {
    await server[Symbol.asyncDispose]()
    await place[Symbol.asyncDispose]()
  })

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

  test('afterwards the schema, the counts, the keys and the file are what they were', async () => {
    assert.deepEqual(await inside(place), { ...beforeAll, films: beforeAll.films + filmsAdded })
    assert.deepEqual(await place.query('select * from vote'), [])
    assert.deepEqual(await place.query('select sum(likes) as likes, sum(dislikes) as dislikes from film'), [{ likes: 0, dislikes: 0 }])
    await assertConsistent(place)
  })

  test('the log is quiet: one line each, no error, and each is one line', () => assertQuietLog(server))
}

for (const kind of databases) describeUnless(kind.missing, `injection on ${kind.name}`, () => attackAll(kind))
