import { formatLink, parseLink, type Verification, verifyTrail } from '../api/audit/verify.ts'
import { type Command, UsageError } from './command.ts'
import { openExistingKey } from './existing-key.ts'
import { openAudited } from './open-audit.ts'
import { grouped, print, printJson } from './output.ts'

export const auditVerify: Command = {
  name: 'audit verify',
  summary: 'Finds a changed, removed, reordered or added row of the audit trail',
  details: `Walks the whole trail, also while a server runs, and changes nothing. Ends with 0 where every row is as
it was written, and prints the newest one as SEQ:MAC; with 1 and the first row that is not. Keep SEQ:MAC
somewhere else: with --expect it shows whether the database as a whole was taken back to an older one.`,
  options: { expect: { value: 'SEQ:MAC', text: 'what an earlier call printed; the trail must still have that row' } },
  example: 'filmgate audit verify --json',
  run: async ({ json, options, loadConfig }) => {
    const expected = readExpected(options['expect'])
    const config = loadConfig()
    const key = openExistingKey(config).derive('audit')
    const database = await openAudited(config)
    try {
      const verified = await verifyTrail(database.reader, key, expected)
      await (json ? printJson(shown(verified)) : print(`${sentence(verified)}\n`))
      return verified.holds ? 0 : 1
    } finally {
      await database.close()
    }
  },
}

const readExpected = (text: string | true | undefined) => {
  if (typeof text !== 'string') return undefined
  const link = parseLink(text)
  if (link === undefined)
    throw new UsageError('--expect takes what an earlier filmgate audit verify printed: a number, a colon, 43 characters')
  return link
}

const shown = (verified: Verification): object =>
  verified.holds
    ? { holds: true, rows: verified.rows, head: verified.head.seq === 0 ? null : formatLink(verified.head) }
    : { holds: false, rows: verified.rows, broken: verified.broken }

const sentence = (verified: Verification): string => {
  if (!verified.holds) {
    const { seq, kind, detail } = verified.broken
    return `The trail is broken at row ${seq} (${kind}): ${detail}. ${verified.rows === 0 ? 'No row' : `What comes before, ${rows(verified.rows)},`} holds.`
  }
  if (verified.head.seq === 0) return 'The trail is empty.'
  return `The trail holds: ${rows(verified.rows)}. The newest is\n${formatLink(verified.head)}`
}

const rows = (count: number): string => (count === 1 ? '1 row' : `${grouped(count)} rows`)
