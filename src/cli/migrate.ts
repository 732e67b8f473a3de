import { migrate as migrateDatabase, schemaState, type SchemaState } from '../db/migrate.ts'
import type { DatabaseLocation } from '../db/open.ts'
import { openDataDir } from '../serve/data-folder.ts'
import type { Command } from './command.ts'
import { print, printJson } from './output.ts'

export const migrate: Command = {
  name: 'migrate',
  summary: 'Brings the schema of the database to that of this program',
  details: `A start of the server does the same; this is for doing it ahead of one. All of it happens or nothing.
A schema of a newer program is refused.`,
  options: { check: { text: 'changes nothing; ends with 1 where the schema is not up to date' } },
  example: 'filmgate migrate --check',
  run: async ({ json, options, loadConfig }) => {
    const config = loadConfig()
    const location: DatabaseLocation = { url: config.database.url, dataDir: config.data.dir }
    const check = options['check'] === true
    if (!check) openDataDir(config)
    const before = await (check ? schemaState(location) : migrateDatabase(location))
    const isCurrent = before.pending.length === 0 && before.unknown.length === 0
    const from = newest(before.applied)
    const to = newest([...before.applied, ...before.pending])
    await (json
      ? printJson({
          database: location.url === 'sqlite' ? 'sqlite' : 'postgres',
          from,
          to,
          changed: !check && !isCurrent,
          upToDate: !check || isCurrent,
          ...before,
        })
      : print(
          `${check ? checkText(before, from, to) : isCurrent ? `The schema is up to date: ${to}` : `The schema was ${from ?? 'not there'} and is ${to} now`}\n`,
        ))
    return !check || isCurrent ? 0 : 1
  },
}

/** Names of migrations begin with their number. */
const newest = (names: readonly string[]): string | null => names.toSorted().at(-1) ?? null

const checkText = ({ pending, unknown }: SchemaState, from: string | null, to: string | null): string => {
  if (unknown.length > 0) return `The schema is newer than this program: ${unknown.join(', ')}. Run the newer release`
  if (pending.length === 0) return `The schema is up to date: ${to}`
  return `The schema is ${from ?? 'not there'}; ${pending.join(', ')} ${pending.length === 1 ? 'is' : 'are'} missing. Run filmgate migrate, or start the server`
}
