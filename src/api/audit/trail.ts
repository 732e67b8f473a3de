import type { Database } from '../../db/open.ts'
import { type Outcome, type Statement, statement, template, type Unit } from '../../db/unit.ts'
import { type AuditRow, type Head, isOurHead, type Link, macOf, sealOf } from './chain.ts'

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
   * that somebody else wrote to the trail meanwhile is not seen here. What is committed so happens one after the other, on all instances: a
   * unit sees all that those before it did, and nothing of another comes between its statements.
   */
  commit(unit: Unit, entries: readonly AuditEntry[]): Promise<Outcome>
}

/** Attempts at the end of the chain: among instances that write at once, one succeeds at each. */
const maxAttempts = 200
/** As long as storage may take for one write: behind a store that hangs, those that wait would otherwise wait for all before them. */
const maxWaitMs = 5000

const unavailable = (reason: string): Outcome => ({ result: 'unavailable', reason })

/** `key` is the master key's label `audit`. */
export const createAuditTrail = ({ reader, commit }: Database, epochMs: () => number, key: Buffer): AuditTrail => {
  const readHead = reader
    .selectFrom('audit_head')
    .select(['seq', 'mac', 'seal'])
    .select((e) => e.selectFrom('account').select('id').limit(1).as('account'))
    .compile()
  const queries = compileQueries(reader)
  /** Where the chain ended after our own last link; that may be long ago, which the swap of the head then finds. */
  let known: Link | undefined

  const link = (entries: readonly AuditEntry[], { seq, mac }: Link): { readonly next: Link; readonly rows: readonly Statement[] } => {
    const rows = entries.map((entry) => {
      const row = toRow(entry, ++seq, epochMs())
      mac = macOf(key, mac, row)
      return statement(queries.append({ ...row, mac }), 1)
    })
    return { next: { seq, mac }, rows }
  }

  const headNow = async (): Promise<Link & { readonly follows: string }> => {
    const [head] = (await reader.executeQuery<Head & { account: string | null }>(readHead)).rows
    if (head === undefined) throw new Error('the audit trail has no head')
    // Rows were cut off, and the head was moved. To go on from there as if that were the end would hide it for good, to refuse would let
    // whoever did it stop all that is audited: what comes now does not fit, so every verification finds the place.
    return { ...head, follows: isOurHead(key, head, head.account !== null) ? head.mac : `${head.mac} is not the end` }
  }

  const attempt = async (unit: Unit, entries: readonly AuditEntry[], giveUpMs: number): Promise<Outcome> => {
    if (performance.now() > giveUpMs) return unavailable('the writes before this one took too long')
    for (let attempts = 1; attempts <= maxAttempts; attempts++) {
      const head = known === undefined ? await headNow() : { ...known, follows: known.mac }
      known = undefined
      const { next, rows } = link(entries, { seq: head.seq, mac: head.follows })
      // The head first: on PostgreSQL its row lock makes audited units wait for one another before they look at anything.
      const swap = statement(queries.moveHead({ ...next, seal: sealOf(key, next), expected: head.seq, expectedMac: head.mac }), 1)
      const outcome = await commit([swap, ...unit, ...rows])
      if (outcome.result === 'committed') {
        known = next
        return { result: 'committed', rows: outcome.rows.slice(1, 1 + unit.length) }
      }
      if (outcome.result === 'unavailable') return outcome
      if (outcome.statement > unit.length) throw new Error('the audit trail goes on behind its head: see what filmgate audit verify says')
      if (outcome.statement > 0) return { result: 'conflict', statement: outcome.statement - 1 }
    }
    return unavailable('the audit trail is written to all the time')
  }

  // One after the other: those of this process would only be in each other's way.
  let last: Promise<unknown> = Promise.resolve()
  return {
    commit: (unit, entries) => {
      if (entries.length === 0) throw new Error('nothing is to be remembered of this unit')
      const giveUpMs = performance.now() + maxWaitMs
      const next = last.then(() => attempt(unit, entries, giveUpMs))
      last = next.catch(() => undefined)
      return next
    },
  }
}

const toRow = (
  { actor, action, target, details = {}, requestId = null, client = null }: AuditEntry,
  seq: number,
  at: number,
): AuditRow => ({
  seq,
  at,
  actor: storable(actor),
  action: storable(action),
  target: storable(target),
  details: JSON.stringify(details),
  request_id: requestId === null ? null : storable(requestId),
  client: client === null ? null : storable(client),
})

/** As every database gives it back, or the MAC would not fit what is read: no lone surrogates, no U+0000. JSON escapes both by itself. */
const storable = (text: string): string => text.toWellFormed().replaceAll('\0', '\uFFFD')

type RowArgs = { [K in keyof AuditRow]: AuditRow[K] } & { mac: string }

const compileQueries = (db: Database['reader']) => ({
  moveHead: template<{ seq: number; mac: string; seal: string; expected: number; expectedMac: string }>(
    ['seq', 'mac', 'seal', 'expected', 'expectedMac'],
    ({ seq, mac, seal, expected, expectedMac }) =>
      db.updateTable('audit_head').set({ seq, mac, seal }).where('id', '=', 1).where('seq', '=', expected).where('mac', '=', expectedMac),
  ),
  append: template<RowArgs>(['seq', 'at', 'actor', 'action', 'target', 'details', 'request_id', 'client', 'mac'], (row) =>
    db.insertInto('audit').values(row),
  ),
})
