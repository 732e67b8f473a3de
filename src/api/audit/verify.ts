import { sql } from 'kysely'

import type { Database } from '../../db/open.ts'
import { template } from '../../db/unit.ts'
import { type AuditRow, type Head, isOurHead, type Link, macMatches, macOf, root } from './chain.ts'

/**
 * The first link that does not hold. `changed`: a row is not the one that was written there, in content or place, or not with this key.
 * `missing`: a row is gone. `added`: a row that the head knows nothing of. `head`: the head is not the last row. `anchor`: the trail is not
 * the one that was seen before. `empty`: there is no trail where there must be one.
 */
export interface Break {
  readonly seq: number
  readonly kind: 'changed' | 'missing' | 'added' | 'head' | 'anchor' | 'empty'
  readonly detail: string
}

export type Verification =
  | { readonly holds: true; readonly rows: number; readonly head: Link }
  | { readonly holds: false; readonly rows: number; readonly broken: Break }

/** `SEQ:MAC`, as `formatLink` writes it; undefined for anything else. */
export const parseLink = (text: string): Link | undefined => {
  const [, seq, mac] = /^([1-9][0-9]{0,14}):([A-Za-z0-9_-]{43})$/.exec(text) ?? []
  return seq === undefined || mac === undefined ? undefined : { seq: Number(seq), mac }
}

export const formatLink = ({ seq, mac }: Link): string => `${seq}:${mac}`

/** What is in memory at once. */
const pageRows = 1000

/**
 * Walks the whole chain from its first row to its head as it was at the beginning; what is added meanwhile is not looked at. `key` is the master
 * key's label `audit`. `expected`: a link of an earlier verification, without which nobody can see that the database as a whole is an older one.
 */
export const verifyTrail = async (reader: Database['reader'], key: Buffer, expected?: Link): Promise<Verification> => {
  const { head, oldest, behind, hasHistory } = await readEnds(reader)
  const walk = createWalk(key, expected)
  const broken = (seq: number, kind: Break['kind'], detail: string): Verification => ({
    holds: false,
    rows: walk.rows(),
    broken: { seq, kind, detail },
  })
  if (head === undefined) return broken(0, 'head', 'the row of audit_head is gone')
  if (oldest !== undefined && oldest < 1) return broken(oldest, 'added', 'it stands before the first row')
  for await (const page of pagesUpTo(reader, head.seq)) {
    for (const row of page) {
      const found = walk.step(row)
      if (found) return broken(found.seq, found.kind, found.detail)
    }
  }
  const { seq, mac } = walk.last()
  if (seq < head.seq) return broken(seq + 1, 'missing', `${spanned(seq + 1, head.seq)} gone from the end: the head is row ${head.seq}`)
  if (!macMatches(mac, head.mac)) return broken(head.seq, 'head', `the head has another MAC than row ${head.seq}`)
  if (behind !== undefined) return broken(behind, 'added', `it stands behind the head, which is row ${head.seq}`)
  if (head.seq === 0 && hasHistory)
    return broken(1, 'empty', 'the trail is empty, but there are accounts: none was ever made without a row')
  if (!isOurHead(key, head, hasHistory))
    return broken(head.seq, 'head', `row ${head.seq} was made the head by somebody who has not the key: rows behind it may be gone`)
  if (expected !== undefined && expected.seq > head.seq)
    return broken(
      expected.seq,
      'anchor',
      `the trail ends at row ${head.seq}, and once had row ${expected.seq}: it is an older one, or was cut`,
    )
  return { holds: true, rows: walk.rows(), head: { seq, mac } }
}

const spanned = (from: number, to: number): string => (from === to ? `row ${from} is` : `rows ${from} to ${to} are`)

/** Holds each row against the one before it. */
const createWalk = (key: Buffer, expected: Link | undefined) => {
  let last: Link = root
  let rows = 0
  return {
    step: (row: StoredRow): Break | undefined => {
      if (row.seq > last.seq + 1) {
        const detail = `${spanned(last.seq + 1, row.seq - 1)} gone: row ${row.seq} follows ${last.seq === 0 ? 'the beginning' : `row ${last.seq}`}`
        return { seq: last.seq + 1, kind: 'missing', detail }
      }
      if (!macMatches(row.mac, macOf(key, last.mac, row))) {
        const other = row.seq === 1 ? ', or the key is not the one that the trail was made with' : ''
        return { seq: row.seq, kind: 'changed', detail: `it is not what was written there${other}` }
      }
      if (expected?.seq === row.seq && !macMatches(expected.mac, row.mac))
        return {
          seq: row.seq,
          kind: 'anchor',
          detail: 'it is not the row that was there before: the trail was taken back and went on from there',
        }
      last = { seq: row.seq, mac: row.mac }
      rows++
      return undefined
    },
    last: () => last,
    rows: () => rows,
  }
}

type StoredRow = AuditRow & { readonly mac: string }

/** One statement, so that all of it is of one moment. */
const readEnds = async (db: Database['reader']) => {
  const [row] = await db
    .selectNoFrom((e) => [
      e.selectFrom('audit_head').select(asText('seq').as('seq')).as('seq'),
      e.selectFrom('audit_head').select('mac').as('mac'),
      e.selectFrom('audit_head').select('seal').as('seal'),
      e.selectFrom('audit').select(asText('min(seq)').as('seq')).as('oldest'),
      e.selectFrom('audit').select(asText('min(seq)').as('seq')).where('seq', '>', e.selectFrom('audit_head').select('seq')).as('behind'),
      e.selectFrom('account').select('id').limit(1).as('account'),
    ])
    .execute()
  const { seq = null, mac = null, seal = null, oldest = null, behind = null, account = null } = row ?? {}
  const head: Head | undefined = seq === null || mac === null || seal === null ? undefined : { seq: Number(seq), mac, seal }
  return { head, oldest: numberOf(oldest), behind: numberOf(behind), hasHistory: account !== null }
}

/** A number may be more than JavaScript has: SQLite's driver would refuse to read it, PostgreSQL's would give another one. */
const asText = (number: 'seq' | 'min(seq)') => sql<string>`cast(${sql.raw(number)} as text)`

const numberOf = (text: string | null): number | undefined => (text === null ? undefined : Number(text))

const pagesUpTo = async function* (db: Database['reader'], until: number): AsyncGenerator<readonly StoredRow[]> {
  const page = template<{ after: number; until: number; limit: number }>(['after', 'until', 'limit'], ({ after, until: upTo, limit }) =>
    db
      .selectFrom('audit')
      .select(['seq', readableTime.as('at'), 'actor', 'action', 'target', 'details', 'request_id', 'client', 'mac'])
      .where('seq', '>', after)
      .where('seq', '<=', upTo)
      .orderBy('seq')
      .limit(limit),
  )
  for (let after = 0; ;) {
    const { rows } = await db.executeQuery<StoredRow>(page({ after, until, limit: pageRows }))
    yield rows
    if (rows.length < pageRows) return
    after = rows.at(-1)?.seq ?? after
  }
}

/** Null, which no row was written with, where it is more than JavaScript has. */
const readableTime = sql<number>`case when at between ${sql.lit(Number.MIN_SAFE_INTEGER)} and ${sql.lit(Number.MAX_SAFE_INTEGER)} then at end`
