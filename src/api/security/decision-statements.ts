import { type Kysely, sql } from 'kysely'

import type { Tables } from '../../db/tables.ts'
import { statement, template, type Unit } from '../../db/unit.ts'
import type { DecisionChange, MonitorDecision as Decision } from '../../layers/index.ts'

export interface DecisionStatements {
  /** Conflicts where there is one with that id. */
  insert(decision: Decision): Unit
  /** One compare-and-swap: its second statement conflicts where no such decision is in force. */
  lift(id: string, by: string, at: number): Unit
  /** The same, where what is so already is no conflict. */
  keep(change: DecisionChange, at: number): Unit
}

/** Each change takes the next number first: the lock on that row makes the order of the numbers the order of the commits. */
export const createDecisionStatements = (db: Kysely<Tables>): DecisionStatements => {
  const writes = compileWrites(db)
  const next = statement(writes.next, 1)
  return {
    insert: (decision) => [next, statement(writes.insert(toArguments(decision)), 1)],
    lift: (id, by, at) => [next, statement(writes.lift({ id, by, at }), 1)],
    keep: (change, at) => [
      next,
      change.change === 'decided'
        ? statement(writes.keep(toArguments(change.decision)))
        : statement(writes.lift({ id: change.id, by: storable(change.by), at })),
    ],
  }
}

interface DecisionArguments extends Record<string, string | number | null> {
  id: string
  scope: string
  target: string
  type: string
  rule: string | null
  reason: string
  by: string
  createdAt: number
  expiresAt: number
  offence: number
  observed: number
  evidence: string | null
}

const names = [
  'id',
  'scope',
  'target',
  'type',
  'rule',
  'reason',
  'by',
  'createdAt',
  'expiresAt',
  'offence',
  'observed',
  'evidence',
] as const

/** PostgreSQL's text holds no U+0000. */
const storable = (text: string): string => text.toWellFormed().replaceAll('\0', '\uFFFD')

const toArguments = ({ id, scope, target, type, rule, reason, by, evidence, observed, ...times }: Decision): DecisionArguments => ({
  id,
  scope,
  target: storable(target),
  type,
  rule,
  reason: storable(reason),
  by: storable(by),
  createdAt: times.createdAt,
  expiresAt: times.expiresAt,
  offence: times.offence,
  observed: observed ? 1 : 0,
  evidence: evidence === null ? null : storable(JSON.stringify(evidence)),
})

const compileWrites = (db: Kysely<Tables>) => {
  const newest = db.selectFrom('decision_head').select('seq').where('decision_head.id', '=', 1).$asScalar().$notNull()
  const inserting = ({ by, createdAt, expiresAt, ...rest }: DecisionArguments) =>
    db.insertInto('decision').values({ ...rest, seq: newest, decided_by: by, created_at: createdAt, expires_at: expiresAt })
  return {
    next: db
      .updateTable('decision_head')
      .set((e) => ({ seq: e('seq', '+', 1) }))
      .where('id', '=', 1)
      .compile(),
    insert: template<DecisionArguments>(names, inserting),
    keep: template<DecisionArguments>(names, (row) => inserting(row).onConflict((conflict) => conflict.column('id').doNothing())),
    lift: template<{ id: string; by: string; at: number }>(['id', 'by', 'at'], ({ id, by, at }) =>
      db
        .updateTable('decision')
        .set({ lifted_at: sql<number>`cast(${at} as bigint)`, lifted_by: by, seq: newest })
        .where('id', '=', id)
        .where('lifted_at', 'is', null)
        .where('expires_at', '>', at),
    ),
  }
}
