import { type Kysely, sql } from 'kysely'

import type { DecisionTable, Tables } from '../../db/tables.ts'
import type { DecisionChange, DecisionScope, DecisionType, Evidence, MonitorDecision as Decision } from '../../layers/index.ts'
import type { DecisionFilters, DecisionPlace, DecisionRepository, StoredDecision } from './decision-repository.ts'

/** As long as the monitor remembers offences. */
const repeatMs = 7 * 24 * 3_600_000
/** Held in memory by every instance. */
const mostLoaded = 100_000

/** All but the evidence. */
const columns = [
  'id',
  'seq',
  'scope',
  'target',
  'type',
  'rule',
  'reason',
  'decided_by',
  'created_at',
  'expires_at',
  'offence',
  'observed',
  'lifted_at',
  'lifted_by',
] as const

export type DecisionReads = Pick<DecisionRepository, 'load' | 'newer' | 'newest' | 'find' | 'list'>

export const createDecisionReads = (db: Kysely<Tables>, epochMs: () => number, loaded = mostLoaded): DecisionReads => ({
  load: async () => {
    const now = epochMs()
    const rows = await db
      .selectFrom('decision')
      .select(columns)
      .where('lifted_at', 'is', null)
      .where((e) => e.or([e('expires_at', '>', now), e.and([e('created_at', '>', now - repeatMs), e('observed', '=', 0)])]))
      // Of too many what ends first is left out, as in memory: else short ones that anybody can bring about would push out long ones.
      .orderBy('expires_at', 'desc')
      .orderBy('id', 'desc')
      .limit(loaded)
      .execute()
    return rows.toSorted((a, b) => a.created_at - b.created_at).map((row) => toDecision({ ...row, evidence: null }))
  },
  newer: async (seq, most) => {
    const rows = await db
      .selectFrom('decision')
      .selectAll()
      .where('seq', '>', seq)
      .where('expires_at', '>', epochMs())
      .orderBy('seq')
      .limit(most)
      .execute()
    return { changes: rows.map(toChange), seq: rows.at(-1)?.seq ?? seq, isAll: rows.length < most }
  },
  newest: async () => (await db.selectFrom('decision_head').select('seq').where('id', '=', 1).executeTakeFirstOrThrow()).seq,
  find: async (id) => {
    const row = await db.selectFrom('decision').selectAll().where('id', '=', id).executeTakeFirst()
    return row && toStored(row)
  },
  list: async (filters, limit, before) => (await listQuery(db, epochMs(), filters, limit, before).execute()).map(toStored),
})

const listQuery = (
  db: Kysely<Tables>,
  now: number,
  { active, ...filters }: DecisionFilters,
  limit: number,
  before: DecisionPlace | undefined,
) => {
  let query = db.selectFrom('decision').selectAll().orderBy('created_at', 'desc').orderBy('id', 'desc').limit(limit)
  for (const name of ['scope', 'target', 'rule'] as const) {
    const value = filters[name]
    if (value !== undefined) query = query.where(name, '=', value)
  }
  if (active === true) query = query.where('lifted_at', 'is', null).where('expires_at', '>', now)
  if (active === false) query = query.where((e) => e.or([e('lifted_at', 'is not', null), e('expires_at', '<=', now)]))
  if (before !== undefined) query = query.where(sql<boolean>`(created_at, id) < (${before.createdAt}, ${before.id})`)
  return query
}

const toChange = (row: DecisionTable): DecisionChange =>
  row.lifted_at === null ? { change: 'decided', decision: toDecision(row) } : { change: 'lifted', id: row.id, by: row.lifted_by ?? '' }

const toStored = (row: DecisionTable): StoredDecision => ({ ...toDecision(row), liftedAt: row.lifted_at, liftedBy: row.lifted_by })

/** The database holds its columns to the words that there are. */
const toDecision = (row: DecisionTable): Decision => ({
  id: row.id,
  scope: row.scope as DecisionScope,
  target: row.target,
  type: row.type as DecisionType,
  rule: row.rule,
  reason: row.reason,
  by: row.decided_by,
  createdAt: row.created_at,
  expiresAt: row.expires_at,
  offence: row.offence,
  observed: row.observed === 1,
  evidence: row.evidence === null ? null : (JSON.parse(row.evidence) as Evidence),
})
