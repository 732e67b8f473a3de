import { type AuditFilters, type AuditPlace, createAuditRepository } from '../api/audit/repository.ts'
import { toEntry } from '../api/audit/entry.ts'
import type { Entry } from '../api/audit/schema.ts'
import { printable } from '../config/errors.ts'
import { type Call, type Command, UsageError } from './command.ts'
import { openAudited } from './open-audit.ts'
import { isReaderGone, print, printJson, table } from './output.ts'

const defaultLimit = 50
const maxLimit = 100_000
const pageRows = 100

export const auditList: Command = {
  name: 'audit list',
  summary: 'Prints the newest rows of the audit trail, from the newest on',
  details: `Reads the database itself, also while a server runs. It shows what is stored; filmgate audit verify
shows whether that is what was written. Those of several filters that are given must all fit.`,
  options: {
    limit: { value: 'N', text: `so many at most; default ${defaultLimit}` },
    actor: { value: 'SUBJECT', text: 'only what this subject did; also cli (the command line) or system' },
    action: { value: 'ACTION', text: 'only this action, such as user.create' },
    target: { value: 'TARGET', text: 'only what was done to this' },
  },
  example: 'filmgate audit list --actor cli --limit 10',
  run: async (call) => {
    const limit = readLimit(call.options['limit'])
    const { json, loadConfig } = call
    const database = await openAudited(loadConfig())
    try {
      const entries = await readEntries(createAuditRepository(database), filtersOf(call), limit)
      if (isReaderGone()) return 0
      await (json
        ? printJson({ items: entries })
        : print(entries.length === 0 ? 'There are no such rows.\n' : table([head, ...entries.map(row)])))
      return 0
    } finally {
      await database.close()
    }
  },
}

const readLimit = (text: string | true | undefined): number => {
  if (typeof text !== 'string') return defaultLimit
  const limit = /^[1-9][0-9]{0,5}$/.test(text) ? Number(text) : NaN
  if (!(limit <= maxLimit)) throw new UsageError(`--limit must be 1 to ${maxLimit}`)
  return limit
}

const filtersOf = ({ options }: Call): AuditFilters => {
  const valueOf = (name: string): string | undefined => (typeof options[name] === 'string' ? options[name] : undefined)
  return { actor: valueOf('actor'), action: valueOf('action'), target: valueOf('target') }
}

const readEntries = async (audit: ReturnType<typeof createAuditRepository>, filters: AuditFilters, limit: number): Promise<Entry[]> => {
  const entries: Entry[] = []
  let after: AuditPlace | undefined
  do {
    const { rows, next } = await audit.list(filters, Math.min(pageRows, limit - entries.length), after)
    entries.push(...rows.map(toEntry))
    after = next
  } while (after !== undefined && entries.length < limit)
  return entries
}

const head = ['SEQ', 'AT', 'ACTOR', 'ACTION', 'TARGET', 'CLIENT', 'DETAILS']

/** Rows that somebody wrote past the program may hold what a terminal obeys. */
const row = ({ seq, at, actor, action, target, client, details }: Entry): string[] =>
  [
    String(seq),
    at,
    actor,
    action,
    target,
    client ?? '-',
    Object.entries(details)
      .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
      .join(' '),
  ].map(printable)
