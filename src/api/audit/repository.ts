import { type Expression, type Kysely, sql } from 'kysely'

import type { Database } from '../../db/open.ts'
import type { Tables } from '../../db/tables.ts'
import type { AuditRow } from './chain.ts'

/** What narrows the trail. Times in epoch milliseconds: from `since` on, before `until`. */
export interface AuditFilters {
  readonly actor?: string | undefined
  readonly action?: string | undefined
  readonly target?: string | undefined
  readonly since?: number | undefined
  readonly until?: number | undefined
}

/** A place in the list: times come from several clocks, so the number decides between equal ones. */
export interface AuditPlace {
  readonly at: number
  readonly seq: number
}

export interface AuditPage {
  readonly rows: readonly AuditRow[]
  /** Where the next page begins behind; undefined where nothing is left. */
  readonly next: AuditPlace | undefined
}

export interface AuditRepository {
  /** Newest first by their times, behind `after`. A page may have fewer rows than `limit` though more follow: see `next`. */
  list(filters: AuditFilters, limit: number, after?: AuditPlace): Promise<AuditPage>
}

/** One index finds what one filter and the time leave. Where several are given, so many rows are looked at for one page, and no more. */
const maxLooked = 5000
const batch = 500

export const createAuditRepository = ({ reader }: Pick<Database, 'reader'>): AuditRepository => ({
  list: async (filters, limit, after) => {
    const { first, others } = splitFilters(filters)
    const atOnce = others.length === 0 ? limit + 1 : batch
    const rows: AuditRow[] = []
    let place = after
    for (let looked = 0; looked < maxLooked; looked += atOnce) {
      const found = await pageQuery(reader, first, filters, atOnce, place).execute()
      for (const row of found) {
        if (!others.every(([column, value]) => row[column] === value)) continue
        if (rows.length === limit) return { rows, next: place }
        rows.push(row)
        place = placeOf(row)
      }
      if (found.length < atOnce) return { rows, next: undefined }
      const last = found.at(-1)
      place = last && placeOf(last)
    }
    return { rows, next: place }
  },
})

const placeOf = ({ at, seq }: AuditPlace): AuditPlace => ({ at, seq })

type Named = readonly [column: 'actor' | 'action' | 'target', value: string]

/** The filter that leaves fewest goes by its index, the others look at what that finds. */
const splitFilters = (filters: AuditFilters): { readonly first: Named | undefined; readonly others: readonly Named[] } => {
  const given = (['target', 'actor', 'action'] as const).flatMap((column): Named[] => {
    const value = filters[column]
    return value === undefined ? [] : [[column, value]]
  })
  return { first: given[0], others: given.slice(1) }
}

const pageQuery = (db: Kysely<Tables>, first: Named | undefined, { since, until }: AuditFilters, limit: number, after?: AuditPlace) => {
  let query = db
    .selectFrom('audit')
    .select(['seq', 'at', 'actor', 'action', 'target', 'details', 'request_id', 'client'])
    // What only somebody who writes past the program can store: SQLite's driver would refuse to read the others with it.
    .where((e) => e.and([isReadable(e.ref('seq')), isReadable(e.ref('at'))]))
    .orderBy('at', 'desc')
    .orderBy('seq', 'desc')
    .limit(limit)
  if (first !== undefined) query = query.where(first[0], '=', first[1])
  if (since !== undefined) query = query.where('at', '>=', since)
  if (until !== undefined) query = query.where('at', '<', until)
  if (after !== undefined) query = query.where(sql<boolean>`(at, seq) < (${after.at}, ${after.seq})`)
  return query
}

const isReadable = (number: Expression<number>) =>
  sql<boolean>`${number} between ${sql.lit(Number.MIN_SAFE_INTEGER)} and ${sql.lit(Number.MAX_SAFE_INTEGER)}`
