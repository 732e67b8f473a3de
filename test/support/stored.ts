import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

import { queryUrl, type Row } from './postgres-client.ts'

/** What is really stored, read past the program. */
export interface Stored {
  readonly kind: 'sqlite' | 'postgres'
  /** What was configured; empty where the key is the one in the data folder. */
  readonly secretsKey: string
  readonly dataDir: string
  /** SQL that both databases know. */
  query(sql: string): Promise<Row[]>
}

/** The database file of a data folder, read beside the server that writes it. */
const openStored = (dataDir: string): DatabaseSync => new DatabaseSync(join(dataDir, 'filmgate.db'), { readOnly: true })

export const storedInFolder = (dataDir: string): Stored => ({
  kind: 'sqlite',
  secretsKey: '',
  dataDir,
  query: async (sql) => {
    using stored = openStored(dataDir)
    return stored
      .prepare(sql)
      .all()
      .map((row) => ({ ...row }))
  },
})

export const storedAt = (url: string, dataDir: string, secretsKey: string): Stored => ({
  kind: 'postgres',
  secretsKey,
  dataDir,
  query: (sql) => queryUrl(url, sql),
})

/** What holds of every database at every moment, whatever happened to the process before. */
export const assertConsistent = async (stored: Stored): Promise<void> => {
  if (stored.kind === 'sqlite') assert.deepEqual(await stored.query('pragma integrity_check'), [{ integrity_check: 'ok' }])
  assert.deepEqual(await stored.query('select film_id from vote where film_id not in (select id from film)'), [], 'votes for no film')
  const miscounted = `
    select f.id, f.likes, f.dislikes, count(v.value) filter (where v.value = 1) as voted_up, count(v.value) filter (where v.value = -1) as voted_down
    from film f left join vote v on v.film_id = f.id group by f.id
    having f.likes <> count(v.value) filter (where v.value = 1) or f.dislikes <> count(v.value) filter (where v.value = -1)`
  assert.deepEqual(await stored.query(miscounted), [], 'counters are the sums of the votes')
  const slots = `
    select c.films, count(f.id) as found, coalesce(min(f.slot), 1) as first, coalesce(max(f.slot), 0) as last,
      count(distinct f.slot) as slots
    from catalogue c left join film f on true group by c.films`
  const [row] = await stored.query(slots)
  const films = row?.['films']
  assert.deepEqual(row, { films, found: films, first: 1, last: films, slots: films }, 'slots are 1 to n without a hole')
}
