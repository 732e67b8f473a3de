import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Worker } from 'node:worker_threads'

import type { Database } from '../../src/db/open.ts'
import { statement, type Statement, type Unit } from '../../src/db/unit.ts'
import { databases } from '../support/databases.ts'
import { describeUnless } from '../support/services.ts'

const insertKey = ({ reader }: Database, id: string, rows?: number): Statement =>
  statement(
    reader
      .insertInto('api_key')
      .values({ id, subject: 's', name: 'n', secret_hash: 'h', scopes: '', created_at: 1, revoked_at: null })
      .compile(),
    rows,
  )

const renameKey = ({ reader }: Database, id: string, name: string, rows?: number): Statement =>
  statement(reader.updateTable('api_key').set({ name }).where('id', '=', id).compile(), rows)

const insertVote = ({ reader }: Database, value: number): Statement =>
  statement(reader.insertInto('vote').values({ film_id: 404, voter: 'v', value, previous: 0, voted_at: 1 }).compile())

const keysOf = async ({ reader }: Database): Promise<string[]> =>
  (await reader.selectFrom('api_key').select(['id', 'name']).orderBy('id').execute()).map(({ id, name }) => `${id}=${name}`)

const conflict = (index: number) => ({ result: 'conflict', statement: index })

const swapName = (on: Database, name: string) =>
  on.commit([statement(on.reader.updateTable('api_key').set({ name }).where('id', '=', 'a').where('name', '=', 'n').compile(), 1)])

const committed = { result: 'committed', rows: [[]] } as const

for (const kind of databases) {
  describeUnless(kind.missing, `units on ${kind.name}`, () => {
    test('all statements of a unit are stored, and it gives back what they returned', async () => {
      await using opened = await kind.open()
      const { database } = opened
      const returning = database.reader.updateTable('api_key').set({ name: 'x' }).returning(['id', 'name', 'created_at'])
      const outcome = await database.commit([insertKey(database, 'a', 1), insertKey(database, 'b', 1), statement(returning.compile(), 2)])
      assert.equal(outcome.result, 'committed')
      const rows = outcome.result === 'committed' ? outcome.rows.map((each) => each.map((row) => ({ ...row }))) : []
      assert.deepEqual(rows, [
        [],
        [],
        [
          { id: 'a', name: 'x', created_at: 1 },
          { id: 'b', name: 'x', created_at: 1 },
        ],
      ])
      assert.deepEqual(await keysOf(database), ['a=x', 'b=x'])
    })

    test('a wrong number of rows undoes the whole unit and names the statement', async () => {
      await using opened = await kind.open()
      const { database } = opened
      await database.commit([insertKey(database, 'a', 1)])
      const units: [Unit, number][] = [
        [[insertKey(database, 'b', 1), renameKey(database, 'nobody', 'x', 1)], 1],
        [[renameKey(database, 'a', 'x', 0), insertKey(database, 'b', 1)], 0],
        [[renameKey(database, 'a', 'x', 1), insertKey(database, 'b', 1), renameKey(database, 'b', 'x', 2)], 2],
      ]
      for (const [unit, index] of units) {
        assert.deepEqual(await database.commit(unit), { result: 'conflict', statement: index })
        assert.deepEqual(await keysOf(database), ['a=n'])
      }
    })

    test('a unit that fails hurts no other of its group, before or after it', async () => {
      await using opened = await kind.open()
      const { database } = opened
      await database.commit([insertKey(database, 'a', 1), insertKey(database, 'c', 1)])
      // Asked for in one turn of the event loop: SQLite writes them together, PostgreSQL side by side and in no order.
      const outcomes = await Promise.all([
        database.commit([insertKey(database, 'd', 1)]),
        database.commit([insertKey(database, 'x', 1), renameKey(database, 'nobody', 'x', 1)]),
        database.commit([insertKey(database, 'e', 1)]),
        database.commit([insertKey(database, 'a', 1)]),
        database.commit([renameKey(database, 'a', 'y', 1), insertKey(database, 'c', 1)]),
        database.commit([insertKey(database, 'f', 1)]),
      ])
      assert.deepEqual(outcomes, [committed, conflict(1), committed, conflict(0), conflict(1), committed])
      assert.deepEqual(await keysOf(database), ['a=n', 'c=n', 'd=n', 'e=n', 'f=n'])
    })

    test('every kind of broken constraint is a conflict, not a failure of the store', async () => {
      await using opened = await kind.open()
      const { database } = opened
      const { reader } = database
      await database.commit([insertKey(database, 'a', 1)])
      const broken: [string, Statement][] = [
        ['primary key', insertKey(database, 'a', 1)],
        ['foreign key', insertVote(database, 1)],
        ['check', insertVote(database, 7)],
        [
          'not null',
          statement(
            reader
              .updateTable('api_key')
              .set({ name: null as unknown as string })
              .compile(),
          ),
        ],
        [
          'type',
          statement(
            reader
              .updateTable('catalogue')
              .set({ films: 'many' as unknown as number })
              .compile(),
          ),
        ],
        ['check on a counter', statement(reader.updateTable('catalogue').set({ films: -1 }).compile())],
      ]
      for (const [what, each] of broken) assert.deepEqual(await database.commit([each]), { result: 'conflict', statement: 0 }, what)
      assert.deepEqual(await keysOf(database), ['a=n'])
    })

    test('what a unit stands on is seen as the units before it left it: compare and swap has one winner', async () => {
      await using opened = await kind.open()
      const { database } = opened
      const other = await opened.another()
      await database.commit([insertKey(database, 'a', 1)])
      const outcomes = await Promise.all(Array.from({ length: 40 }, (_, i) => swapName(i % 2 === 0 ? database : other, `winner ${i}`)))
      const winners = outcomes.flatMap(({ result }, i) => (result === 'committed' ? [i] : []))
      assert.equal(winners.length, 1)
      assert.deepEqual(await keysOf(other), [`a=winner ${winners[0]}`])
    })

    test('a parameter is a value whatever it holds, and one text serves many values', async () => {
      await using opened = await kind.open()
      const { database } = opened
      const hostile = ["x'); drop table api_key; --", '?', '$1', ':name', '\\', '%', '\u{1f3ac}']
      for (const id of hostile) assert.deepEqual(await database.commit([insertKey(database, id, 1)]), committed)
      const long = 'x'.repeat(1_000_000)
      assert.deepEqual(await database.commit([renameKey(database, '%', long, 1), renameKey(database, '%', 'n', 1)]), {
        ...committed,
        rows: [[], []],
      })
      const withNul = 'in the \0 middle'
      assert.deepEqual(await database.commit([insertKey(database, withNul, 1)]), kind.holdsNul ? committed : conflict(0))
      if (kind.holdsNul) hostile.push(withNul)
      assert.deepEqual((await keysOf(database)).toSorted(), hostile.map((id) => `${id}=n`).toSorted())
      assert.equal(new Set(hostile.map((id) => insertKey(database, id).sql)).size, 1)
    })

    test('the reader cannot write', async () => {
      await using opened = await kind.open()
      await assert.rejects(opened.database.reader.deleteFrom('film').execute())
    })

    test('an empty unit is committed, and a probe changes nothing', async () => {
      await using opened = await kind.open()
      assert.deepEqual(await opened.database.commit([]), { result: 'committed', rows: [] })
      const before = await opened.database.reader.selectFrom('catalogue').selectAll().execute()
      await opened.database.probe()
      assert.deepEqual(await opened.database.reader.selectFrom('catalogue').selectAll().execute(), before)
    })

    test('closing writes what was asked for before; what comes after it is refused', async () => {
      await using opened = await kind.open()
      const other = await opened.another()
      const asked = Array.from({ length: 50 }, (_, i) => other.commit([insertKey(other, `k${i}`, 1)]))
      const closed = other.close()
      // Meets the close half-way: either answer is right, as long as it is true.
      const between = await other.commit([insertKey(opened.database, 'between', 1)])
      await closed
      assert.ok((await Promise.all(asked)).every(({ result }) => result === 'committed'))
      assert.equal((await other.commit([insertKey(opened.database, 'late', 1)])).result, 'unavailable')
      assert.equal((await keysOf(opened.database)).length, between.result === 'committed' ? 51 : 50)
    })
  })
}

test('a writer thread that ends: what was under way is refused or stored, one new thread takes over, nothing hangs', async () => {
  const workers: Worker[] = []
  const remember = (worker: Worker): void => void workers.push(worker)
  process.on('worker', remember)
  const sqlite = databases.find(({ name }) => name === 'sqlite')
  assert.ok(sqlite)
  try {
    await using opened = await sqlite.open()
    const { database } = opened
    assert.equal(workers.length, 1)
    const write = (round: number, count: number) =>
      Promise.all(Array.from({ length: count }, (_, i) => database.commit([insertKey(database, `${round}-${i}`, 1)])))
    const underWay = write(0, 20)
    await workers[0]?.terminate()
    // While the new thread starts, more arrives, turn after turn.
    const meanwhile: ReturnType<typeof write>[] = []
    for (let turn = 1; turn <= 20; turn++) {
      meanwhile.push(write(turn, 2))
      await new Promise((resolve) => setImmediate(resolve))
    }
    const outcomes = (await Promise.all([underWay, ...meanwhile])).flat().map(({ result }) => result)
    assert.ok(outcomes.every((result) => result === 'committed' || result === 'unavailable'))
    assert.ok(
      (await write(99, 5)).every(({ result }) => result === 'committed'),
      'writes work again',
    )
    assert.equal(workers.length, 2, 'one thread ended, one came')
    // A refused one may still have been stored by the thread that ended, an acknowledged one must be.
    assert.ok((await keysOf(database)).length >= outcomes.filter((result) => result === 'committed').length + 5)
  } finally {
    process.off('worker', remember)
  }
})
