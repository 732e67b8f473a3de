import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

/** The database file of a data folder, read beside the server that writes it. */
export const openStored = (dataDir: string): DatabaseSync => new DatabaseSync(join(dataDir, 'filmgate.db'), { readOnly: true })

/** What holds of every database at every moment, whatever happened to the process before. */
export const assertConsistent = (stored: DatabaseSync): void => {
  const all = (sql: string): unknown[] =>
    stored
      .prepare(sql)
      .all()
      .map((row) => ({ ...row }))
  assert.deepEqual(all('pragma integrity_check'), [{ integrity_check: 'ok' }])
  assert.deepEqual(all('pragma foreign_key_check'), [])
  const miscounted = `
    select f.id, f.likes, f.dislikes, count(v.value) filter (where v.value = 1) as voted_up, count(v.value) filter (where v.value = -1) as voted_down
    from film f left join vote v on v.film_id = f.id group by f.id having f.likes <> voted_up or f.dislikes <> voted_down`
  assert.deepEqual(all(miscounted), [], 'counters are the sums of the votes')
  const slots =
    'select c.films, count(f.id) as rows, coalesce(min(f.slot), 1) as first, coalesce(max(f.slot), 0) as last, count(distinct f.slot) as slots from catalogue c left join film f'
  const [row] = all(slots) as { films: number }[]
  assert.deepEqual(
    row,
    { films: row?.films, rows: row?.films, first: 1, last: row?.films, slots: row?.films },
    'slots are 1 to n without a hole',
  )
}
