import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { openDatabase } from './open.ts'
import { createTimed, queryName } from './timed.ts'

test('a query is called by what it reads first, never by its text or a value', () => {
  assert.equal(queryName('select "id" from "film" where "id" = ?'), 'select film')
  assert.equal(queryName('select count(*) as "n"\n from "account" inner join "session" on 1 = 1'), 'select account')
  assert.equal(queryName('with "x" as (select 1 from "audit") select * from "x"'), 'select audit')
  for (const text of ['select 1', 'pragma data_version', '', 'select * from "film""x"'.replace('film', 'F'.repeat(50))])
    assert.equal(queryName(text), 'other', text)
})

test('names stay few, however many texts there are', () => {
  const names = new Set(
    Array.from({ length: 5000 }, (_, i) => queryName(`select 1 from "t_${String.fromCharCode(97 + (i % 26))}${'x'.repeat(i % 40)}"`)),
  )
  assert.ok(names.size <= 51, `${names.size}`)
})

test('what fails took its time, too, and fails as before', async () => {
  const told: [string, number][] = []
  const timed = createTimed((query, seconds) => told.push([query, seconds]))
  const fails = timed.sync('select 1 from "film"', (): number => {
    throw new Error('broken')
  })
  assert.throws(fails, /broken/)
  await assert.rejects(timed.async('commit', () => Promise.reject(new Error('full')))(), /full/)
  assert.deepEqual(
    told.map(([query]) => query),
    ['select film', 'commit'],
  )
  for (const [, seconds] of told) assert.ok(seconds >= 0 && seconds < 5)
  assert.equal(createTimed(undefined).sync('select 1', queryName), queryName, 'nobody asks: nothing is put around')
})

test('reads, commits and the probe of a database are told', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'filmgate-timed-'))
  const told: string[] = []
  const database = await openDatabase({ url: 'sqlite', dataDir: folder, onQuery: (query) => told.push(query) })
  await database.reader.selectFrom('film').select('id').execute()
  await database.commit([])
  await database.probe()
  await database.close()
  rmSync(folder, { recursive: true })
  assert.deepEqual(told, ['select film', 'commit', 'select film', 'probe'])
})
