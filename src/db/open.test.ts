import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { promisify } from 'node:util'

import { CompiledQuery } from 'kysely'

import { type Database, openDatabase } from './open.ts'
import { openConnection } from './sqlite.ts'
import type { Unit } from './unit.ts'

let folder = ''
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'filmgate-open-'))))
afterEach(() => rmSync(folder, { recursive: true }))

const migrations = readdirSync(new URL('migrations/', import.meta.url)).length

const file = (): string => join(folder, 'filmgate.db')

/** Opens the database, hands it over, and closes it whatever happens. */
const withDatabase = async <T>(use: (database: Database) => Promise<T>): Promise<T> => {
  const database = await openDatabase({ url: 'sqlite', dataDir: folder })
  try {
    return await use(database)
  } finally {
    await database.close()
  }
}

const read = (sql: string): Record<string, unknown>[] => {
  using stored = new DatabaseSync(file(), { readOnly: true })
  return stored
    .prepare(sql)
    .all()
    .map((row) => ({ ...row }))
}

const run = (sql: string): void => {
  using stored = new DatabaseSync(file())
  stored.exec(sql)
}

const addKey: Unit = [
  {
    sql: "insert into api_key (id, subject, name, secret_hash, scopes, created_at) values ('k', 's', 'n', 'h', '', 1)",
    parameters: [],
    rows: 1,
  },
]

describe('migrations', () => {
  test('run once: later starts find the schema, its data and its history as they were', async () => {
    await withDatabase(async ({ commit }) => assert.equal((await commit(addKey)).result, 'committed'))
    const history = read('select name, timestamp from kysely_migration')
    const schema = read('select name, sql from sqlite_schema order by name')
    await withDatabase(async ({ reader }) => assert.equal((await reader.selectFrom('api_key').select('id').execute()).length, 1))
    assert.deepEqual(read('select name, timestamp from kysely_migration'), history)
    assert.deepEqual(read('select name, sql from sqlite_schema order by name'), schema)
    assert.equal(history.length, migrations)
  })

  test('two programs that start at once on a new database both find it ready', async () => {
    const script = `import { openDatabase } from ${JSON.stringify(new URL('./open.ts', import.meta.url).href)}
      const database = await openDatabase({ url: "sqlite", dataDir: ${JSON.stringify(folder)} })
      await database.probe()
      await database.close()`
    const program = join(folder, 'program.mjs')
    writeFileSync(program, script)
    const start = () => promisify(execFile)(process.execPath, [program])
    await Promise.all([start(), start(), start()])
    assert.equal(read('select name from kysely_migration').length, migrations)
  })

  test('one that fails leaves nothing behind, and the next start makes it good', async () => {
    run('create table api_key (x)')
    await assert.rejects(openDatabase({ url: 'sqlite', dataDir: folder }), /api_key/)
    assert.deepEqual(read("select name from sqlite_schema where name in ('film', 'vote', 'catalogue')"), [])
    run('drop table api_key')
    await withDatabase((database) => database.probe())
  })

  test('a database of a newer program is refused and left alone', async () => {
    await withDatabase((database) => database.probe())
    run("insert into kysely_migration (name, timestamp) values ('9999-later', '2030-01-01T00:00:00.000Z')")
    await assert.rejects(openDatabase({ url: 'sqlite', dataDir: folder }), /9999-later/)
    assert.equal(read('select name from kysely_migration').length, migrations + 1)
  })

  test('what is no database is refused', async () => {
    writeFileSync(file(), 'not a database, '.repeat(1000))
    await assert.rejects(openDatabase({ url: 'sqlite', dataDir: folder }), /not a database/)
  })
})

const refused = (error: unknown): boolean => error instanceof Error && /readonly|read-only/.test(String(error.cause))

describe('connections', () => {
  test('the reader cannot write, not even when it is asked to', async () => {
    await withDatabase(async ({ reader }) => {
      const attempts = [
        'delete from catalogue',
        'create table x (y)',
        'drop table film',
        'update catalogue set films = 1',
        'pragma user_version = 7',
        'vacuum',
      ]
      for (const sql of attempts) await assert.rejects(reader.executeQuery(CompiledQuery.raw(sql)), refused, sql)
      assert.deepEqual(await reader.selectFrom('catalogue').select('films').execute(), [{ films: 0 }])
    })
  })

  test('a commit is on the disk: write-ahead log, synchronous full, on the connection that writes', async () => {
    await withDatabase(async ({ commit }) => {
      const outcome = await commit(
        ['journal_mode', 'synchronous', 'foreign_keys', 'trusted_schema'].map((name) => ({ sql: `pragma ${name}`, parameters: [] })),
      )
      assert.ok(outcome.result === 'committed')
      const values = Object.assign({}, ...outcome.rows.flat()) as Record<string, unknown>
      assert.deepEqual(values, { journal_mode: 'wal', synchronous: 2, foreign_keys: 1, trusted_schema: 0 })
    })
  })

  test('foreign keys are on: a vote for a film that is not there is a conflict', async () => {
    await withDatabase(async ({ commit }) => {
      const vote = { sql: "insert into vote (film_id, voter, value, previous, voted_at) values (404, 'v', 1, 0, 1)", parameters: [] }
      assert.deepEqual(await commit([vote]), { result: 'conflict', statement: 0 })
    })
  })

  test('columns hold their type: a text is no number, a like is 1 or -1', async () => {
    await withDatabase(async ({ commit }) => {
      const film = "insert into film (slot, name) values (1, 'x')"
      for (const sql of [
        "insert into film (slot, name) values ('one', 'x')",
        "insert into film (slot, name) values (1, '')",
        "insert into film (slot, name, likes) values (1, 'x', -1)",
      ]) {
        assert.deepEqual(await commit([{ sql, parameters: [] }]), { result: 'conflict', statement: 0 }, sql)
      }
      const vote = "insert into vote (film_id, voter, value, previous, voted_at) values (1, 'v', 2, 0, 1)"
      assert.deepEqual(await commit([film, vote].map((sql) => ({ sql, parameters: [] }))), { result: 'conflict', statement: 1 })
    })
  })

  test('nobody rewrites the schema or the pages under it', () => {
    const connection = openConnection(file(), false)
    connection.exec('create table t (x)')
    assert.throws(() => connection.exec("pragma writable_schema = on; update sqlite_schema set sql = 'x'"), /may not be modified/)
    connection.close()
  })

  test('a reader sees what was committed, at once', async () => {
    await withDatabase(async ({ reader, commit }) => {
      await commit(addKey)
      assert.deepEqual(await reader.selectFrom('api_key').select(['id', 'revoked_at']).execute(), [{ id: 'k', revoked_at: null }])
    })
  })
})

test('the probe changes nothing that can be seen', async () => {
  await withDatabase(async (database) => {
    const { reader } = database
    const before = await reader.selectFrom('catalogue').selectAll().execute()
    await database.probe()
    assert.deepEqual(await reader.selectFrom('catalogue').selectAll().execute(), before)
  })
})

test('closing writes what is waiting, and refuses what comes after', async () => {
  const database = await openDatabase({ url: 'sqlite', dataDir: folder })
  const waiting = database.commit(addKey)
  await database.close()
  assert.equal((await waiting).result, 'committed')
  assert.equal(read('select id from api_key').length, 1)
  assert.deepEqual(await database.commit(addKey), { result: 'unavailable', reason: 'closing' })
})
