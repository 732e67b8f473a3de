import type { Database } from '../../db/open.ts'
import { type Outcome, type Statement, statement, template, type Unit } from '../../db/unit.ts'
import { type AuditRow, macOf } from './chain.ts'

/** What somebody did. */
export interface AuditEntry {
  /** A subject; `cli` for the command line, `system` for the program itself. */
  readonly actor: string
  /** Object and verb, such as `user.create`. */
  readonly action: string
  /** What it was done to, such as the id of an account. */
  readonly target: string
  /** Never a secret. */
  readonly details?: Readonly<Record<string, string | number | boolean | null>>
  readonly requestId?: string | null
  readonly client?: string | null
}

export interface AuditTrail {
  /**
   * Commits a unit together with what is to be remembered of it, or neither. A conflict is one of the unit's own statements, by its index;
   * that somebody else wrote to the trail meanwhile is not seen here.
   */
  commit(unit: Unit, entries: readonly AuditEntry[]): Promise<Outcome>
}

interface Head {
  readonly seq: number
  readonly mac: string
}

/** Attempts at the end of the chain: among instances that write at once, one succeeds at each. */
const maxAttempts = 50

/** `key` is the master key's label `audit`. */
export const createAuditTrail = ({ reader, commit }: Database, epochMs: () => number, key: Buffer): AuditTrail => {
  const readHead = reader.selectFrom('audit_head').select(['seq', 'mac']).compile()
  const queries = compileQueries(reader)

  const link = (entries: readonly AuditEntry[], head: Head): Statement[] => {
    let { seq, mac } = head
    const rows = entries.map(({ actor, action, target, details = {}, requestId = null, client = null }) => {
      const row: AuditRow = {
        seq: ++seq,
        at: epochMs(),
        actor,
        action,
        target,
        details: JSON.stringify(details),
        request_id: requestId,
        client,
      }
      mac = macOf(key, mac, row)
      return statement(queries.append({ ...row, mac }), 1)
    })
    return [statement(queries.moveHead({ seq, mac, expected: head.seq, expectedMac: head.mac }), 1), ...rows]
  }

  const attempt = async (unit: Unit, entries: readonly AuditEntry[]): Promise<Outcome> => {
    for (let attempts = 1; ; attempts++) {
      const [head] = (await reader.executeQuery<Head>(readHead)).rows
      if (head === undefined) throw new Error('the audit trail has no head')
      const outcome = await commit([...unit, ...link(entries, head)])
      if (outcome.result !== 'conflict' || outcome.statement < unit.length) return outcome
      if (attempts === maxAttempts) return { result: 'unavailable', reason: 'the audit trail is written to all the time' }
    }
  }

  // One after the other: those of this process would only be in each other's way.
  let last: Promise<unknown> = Promise.resolve()
  return {
    commit: (unit, entries) => {
      const next = last.then(() => attempt(unit, entries))
      last = next.catch(() => undefined)
      return next
    },
  }
}

type RowArgs = { [K in keyof AuditRow]: AuditRow[K] } & { mac: string }

const compileQueries = (db: Database['reader']) => ({
  moveHead: template<{ seq: number; mac: string; expected: number; expectedMac: string }>(
    ['seq', 'mac', 'expected', 'expectedMac'],
    ({ seq, mac, expected, expectedMac }) =>
      db.updateTable('audit_head').set({ seq, mac }).where('id', '=', 1).where('seq', '=', expected).where('mac', '=', expectedMac),
  ),
  append: template<RowArgs>(['seq', 'at', 'actor', 'action', 'target', 'details', 'request_id', 'client', 'mac'], (row) =>
    db.insertInto('audit').values(row),
  ),
})
