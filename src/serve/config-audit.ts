import { createHash, createHmac } from 'node:crypto'

import { createAuditRepository } from '../api/audit/repository.ts'
import type { AuditTrail } from '../api/audit/trail.ts'
import { written } from '../api/written.ts'
import { type Config, describeConfig } from '../config.ts'
import type { Database } from '../db/open.ts'

export interface ConfigAuditOptions {
  readonly database: Pick<Database, 'reader'>
  readonly trail: AuditTrail
  /** The master key's label `audit`. */
  readonly key: Buffer
  readonly warn: (warning: string) => void
}

type Marks = Readonly<Record<string, string>>

/**
 * Adds a row where the effective configuration is not the one that the trail knows, from whichever instance: a digest of all that `filmgate
 * config` shows, and which keys are others. Resolves with what to call after a reload. The operator's files have changed already, so a trail
 * that cannot be written to stops nothing here.
 */
export const auditConfig = async (
  config: Config,
  { database, trail, key, warn }: ConfigAuditOptions,
): Promise<(reloaded: Config) => void> => {
  const audit = createAuditRepository(database)
  const lastMarks = async (): Promise<{ readonly digest: unknown; readonly marks: Marks }> => {
    const pages = await Promise.all(['config.load', 'config.reload'].map((action) => audit.list({ action }, 1)))
    const [newest] = pages.flatMap(({ rows }) => rows).toSorted((a, b) => b.seq - a.seq)
    const { digest, marks } = JSON.parse(newest?.details ?? '{}') as { readonly digest?: unknown; readonly marks?: string }
    return { digest, marks: JSON.parse(marks ?? '{}') as Marks }
  }
  const record = async (action: 'config.load' | 'config.reload', effective: Config): Promise<void> => {
    const described = describeConfig(effective)
    const digest = createHash('sha256')
      .update(JSON.stringify(described.map((one) => [one.key, one.value])))
      .digest('base64url')
    const last = await lastMarks()
    if (last.digest === digest) return
    const marks = marksOf(key, described)
    const changed = changedKeys(last.marks, marks).join(', ')
    written(
      await trail.commit(
        [],
        [{ actor: 'system', action, target: 'configuration', details: { digest, changed, marks: JSON.stringify(marks) } }],
      ),
    )
  }
  const recordOrWarn = (...args: Parameters<typeof record>): Promise<void> =>
    record(...args).catch((error: unknown) =>
      warn(`the audit trail does not tell of this configuration: ${error instanceof Error ? error.message : String(error)}`),
    )
  // One after the other: each is held against the one before.
  let recording = recordOrWarn('config.load', config)
  await recording
  return (reloaded) => void (recording = recording.then(() => recordOrWarn('config.reload', reloaded)))
}

/** Of each key that is set, so that the next row can say which are others. Keyed: nobody finds a value that is short by trying all. */
const marksOf = (key: Buffer, described: ReturnType<typeof describeConfig>): Marks =>
  Object.fromEntries(
    described
      .filter(({ origin }) => origin !== 'default')
      .map((one) => [
        one.key,
        createHmac('sha256', key)
          // Another form than a row's or the head's.
          .update(JSON.stringify({ config: [one.key, one.value] }))
          .digest('base64url')
          .slice(0, 11),
      ]),
  )

const changedKeys = (before: Marks, after: Marks): string[] =>
  [...new Set([...Object.keys(before), ...Object.keys(after)])].filter((name) => before[name] !== after[name]).toSorted()
