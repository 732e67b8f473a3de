import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'

import fc from 'fast-check'
import { Kysely, sql } from 'kysely'

import { createSqliteDialect, openConnection } from './sqlite.ts'
import type { Tables } from './tables.ts'
import { type Parameter, statement, template } from './unit.ts'

const db = new Kysely<Tables>({ dialect: createSqliteDialect(openConnection(':memory:', false)) })
after(() => db.destroy())

const injections = ["'; drop table film; --", '" or 1=1', '?', '?1', ':id', '$1', '\0', '\0template:name', '\0template:id', '%', '', 'null']
const anyText = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom(...injections))

type Args = { id: number; name: string | null; studio: string | null }
const names = ['id', 'name', 'studio'] as const
const filmsLike = template<Args>(names, ({ id, name, studio }) =>
  db
    .selectFrom('film')
    .select('id')
    .where('id', '>', id)
    .where('name', '=', name)
    .where('studio', 'is', studio)
    .where('genre', '=', 'Drama')
    .where('id', '<>', id)
    .limit(10),
)

describe('template', () => {
  test('values never become SQL, whatever they are', () => {
    const { sql: text } = filmsLike({ id: 1, name: 'a', studio: null })
    fc.assert(
      fc.property(fc.integer(), anyText, fc.option(anyText), (id, name, studio) => {
        const query = filmsLike({ id, name, studio })
        assert.equal(query.sql, text)
        assert.deepEqual(query.parameters, [id, name, studio, 'Drama', id, 10])
      }),
    )
  })

  test('a database gets back what was given, byte for byte', async () => {
    const echo = template<{ value: Parameter }>(['value'], ({ value }) => db.selectNoFrom(sql<Parameter>`${value}`.as('value')))
    const values = fc.oneof(
      fc.string({ unit: 'binary' }).filter((text) => !text.includes('\0')),
      fc.constantFrom(...injections.filter((text) => !text.includes('\0'))),
      fc.integer(),
      fc.constant(null),
    )
    await fc.assert(
      fc.asyncProperty(values, async (value) =>
        assert.deepEqual((await db.executeQuery<{ value: Parameter }>(echo({ value }))).rows, [{ value }]),
      ),
    )
  })

  test('an argument may stand several times, and another value be equal to a stand-in', () => {
    const query = template<{ a: string; b: string }>(['a', 'b'], ({ a, b }) =>
      db.selectFrom('film').select('id').where('name', 'in', [a, b, a, '\0template:c']),
    )
    assert.deepEqual(query({ a: '\0template:b', b: 'x' }).parameters, ['\0template:b', 'x', '\0template:b', '\0template:c'])
  })

  test('null is a value like any other', () => {
    const insert = template<{ studio: string | null }>(['studio'], ({ studio }) =>
      db.insertInto('film').values({ slot: 1, name: 'x', studio }),
    )
    assert.equal(insert({ studio: null }).sql, insert({ studio: 'x' }).sql)
    assert.ok(insert({ studio: null }).parameters.includes(null))
  })

  test('the query is built and compiled once', () => {
    let built = 0
    const query = template<{ id: number }>(['id'], ({ id }) => {
      built++
      return db.selectFrom('film').select('id').where('id', '=', id)
    })
    const queries = [1, 2, 3].map((id) => query({ id }))
    assert.equal(built, 1)
    assert.equal(new Set(queries.map((one) => one.query)).size, 1)
    assert.deepEqual(
      queries.map((one) => one.parameters),
      [[1], [2], [3]],
      'one result does not change another',
    )
  })
})

test('a statement is SQL, parameters, and the rows it must touch where that matters', () => {
  const query = db.deleteFrom('film').where('id', '=', 7).compile()
  assert.deepEqual(statement(query), { sql: 'delete from "film" where "id" = ?', parameters: [7] })
  assert.deepEqual(statement(query, 1), { sql: 'delete from "film" where "id" = ?', parameters: [7], rows: 1 })
  assert.equal(statement(query, 0).rows, 0)
})
