import { createAuditTrail } from '../../src/api/audit/trail.ts'
import { openMasterKey } from '../../src/credentials/master-key.ts'
import type { Database } from '../../src/db/open.ts'
import { openAt, type DatabaseKind, type Place } from './databases.ts'

/** The trail of a place, as a program started there would write it. */
export const keyOf = ({ dataDir, secretsKey }: Place): Buffer => openMasterKey(dataDir, secretsKey).derive('audit')

/** Adds rows as the program does, named `row 1` and so on, behind those that are there. */
export const writeRows = async (database: Database, key: Buffer, names: readonly string[]): Promise<void> => {
  const trail = createAuditTrail(database, () => 1_700_000_000_000, key)
  for (const target of names) {
    const { result } = await trail.commit(
      [],
      [{ actor: 'ua', action: 'test.note', target, details: { n: 1 }, requestId: 'r', client: '::1' }],
    )
    if (result !== 'committed') throw new Error(result)
  }
}

/** So many rows, faster than one after the other. */
export const fillTrail = async (database: Database, key: Buffer, rows: number): Promise<void> => {
  const trail = createAuditTrail(database, () => 1_700_000_000_000, key)
  for (let done = 0; done < rows;) {
    const count = Math.min(500, rows - done)
    const entries = Array.from({ length: count }, (_, i) => ({
      actor: `u${(done + i) % 97}`,
      action: 'test.note',
      target: `row ${done + i + 1}`,
    }))
    const { result } = await trail.commit([], entries)
    if (result !== 'committed') throw new Error(result)
    done += count
  }
}

/** A place with so many rows. */
export const auditedPlace = async (kind: DatabaseKind, rows: number): Promise<Place> => {
  const place = await kind.place()
  await using opened = await openAt(place)
  await writeRows(
    opened.database,
    keyOf(place),
    Array.from({ length: rows }, (_, i) => `row ${i + 1}`),
  )
  return place
}

/** What somebody who owns the database, but has not the master key, does first. */
const withoutGuards = {
  sqlite: ['audit_no_update', 'audit_no_delete', 'audit_no_replace', 'audit_head_no_return', 'audit_head_no_insert', 'audit_head_no_delete']
    .map((trigger) => `drop trigger ${trigger}`)
    .join('; '),
  postgres: 'alter table audit disable trigger all; alter table audit_head disable trigger all',
} as const

export const tamper = async (kind: DatabaseKind, place: Place, sql: string): Promise<void> => {
  await kind.change(place, `${withoutGuards[kind.name]}; ${sql}`)
}

/** `username` is an account, made past the trail. */
export const accountSql = (username: string): string =>
  `insert into account (id, username, role, created_at, updated_at) values ('u-${username}', '${username}', 'admin', 1, 1)`

export const forgedRow = (seq: number | string, mac = 'A'.repeat(43)): string =>
  `insert into audit (seq, at, actor, action, target, details, mac) values (${seq}, 1, 'ub', 'user.create', 'x', '{}', '${mac}')`
