import type { Database } from '../../db/open.ts'
import type { Unit } from '../../db/unit.ts'
import type { DecisionChange, DecisionScope, MonitorDecision as Decision, Origin } from '../../layers/index.ts'
import type { AuditEntry, AuditTrail } from '../audit/trail.ts'
import { written } from '../written.ts'
import { createDecisionReads } from './decision-reads.ts'
import { createDecisionStatements } from './decision-statements.ts'

/** A decision as it is kept: in force while it is not lifted and not over. */
export interface StoredDecision extends Decision {
  /** Epoch milliseconds. */
  readonly liftedAt: number | null
  readonly liftedBy: string | null
}

export interface DecisionFilters {
  readonly scope?: DecisionScope | undefined
  readonly target?: string | undefined
  readonly rule?: string | undefined
  /** True: in force; false: lifted or over. */
  readonly active?: boolean | undefined
}

/** A place in the list. */
export interface DecisionPlace {
  readonly createdAt: number
  readonly id: string
}

/** What changed, in the order of commits, and where to go on. */
export interface NewerDecisions {
  readonly changes: readonly DecisionChange[]
  /** The number of the last of them. */
  readonly seq: number
  /** Whether nothing is left. */
  readonly isAll: boolean
}

export interface DecisionRepository {
  /**
   * All in force, and what was enforced within a week and not lifted: oldest first, of more than 100,000 what lasts longest. Without their
   * evidence, which would be most of the memory that they take: `find` has it.
   */
  load(): Promise<readonly Decision[]>
  /** Remembers in the audit trail what a person decided. Rejects with a `Problem` where it cannot be stored. */
  save(decision: Decision, origin?: Origin): Promise<void>
  /** What was decided or lifted elsewhere, and by the monitor; what is known already changes nothing. Not for the audit trail. */
  keep(changes: readonly DecisionChange[]): Promise<void>
  /** Resolves with false where none such is in force; of several at once one gets true. */
  lift(id: string, by: string, origin?: Origin): Promise<boolean>
  /** What is behind a number and not over, with evidence. */
  newer(seq: number, most: number): Promise<NewerDecisions>
  /** The number of the last change. */
  newest(): Promise<number>
  find(id: string): Promise<StoredDecision | undefined>
  /** Newest first, older than a place. */
  list(filters: DecisionFilters, limit: number, before?: DecisionPlace): Promise<readonly StoredDecision[]>
}

export interface DecisionRepositoryOptions {
  readonly database: Pick<Database, 'reader' | 'commit' | 'channel'>
  readonly trail: AuditTrail
  readonly epochMs: () => number
}

/** Which statement of a lift finds no decision. */
const noDecision = 1

export const createDecisionRepository = ({ database, trail, epochMs }: DecisionRepositoryOptions): DecisionRepository => {
  const { commit, channel } = database
  const statements = createDecisionStatements(database.reader)
  const announced = (unit: Unit): Unit => [...unit, ...channel.announce('decisions_changed')]
  const unitOf = (changes: readonly DecisionChange[]): Unit => announced(changes.flatMap((one) => statements.keep(one, epochMs())))

  return {
    ...createDecisionReads(database.reader, epochMs),
    save: async (decision, origin) => {
      const unit = announced(statements.insert(decision))
      written(decision.by === monitor ? await commit(unit) : await trail.commit(unit, [creation(decision, origin)]))
    },
    lift: async (id, by, origin) => {
      const unit = announced(statements.lift(id, by, epochMs()))
      const outcome = await (by === monitor ? commit(unit) : trail.commit(unit, [lifting(id, by, origin)]))
      if (outcome.result === 'conflict' && outcome.statement === noDecision) return false
      written(outcome)
      return true
    },
    keep: async (changes) => {
      const outcome = await commit(unitOf(changes))
      if (outcome.result !== 'conflict') written(outcome)
      // One of them is none that a database takes: the others are kept.
      else
        for (const change of changes) {
          const single = await commit(unitOf([change]))
          if (single.result === 'unavailable') written(single)
        }
    },
  }
}

const monitor = 'monitor'

const creation = ({ id, by, scope, target, type, reason, expiresAt }: Decision, origin?: Origin): AuditEntry => ({
  actor: by,
  action: 'decision.create',
  target: id,
  details: { scope, target, type, reason, expires_at: new Date(expiresAt).toISOString() },
  ...origin,
})

const lifting = (id: string, by: string, origin?: Origin): AuditEntry => ({ actor: by, action: 'decision.lift', target: id, ...origin })
