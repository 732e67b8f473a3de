import { issuerName } from './issuers.ts'
import { fields, schema, type Config, type Field, type Origin } from './keys.ts'
import { entryName, isTable, tables, type Table, type TableEntry } from './tables.ts'

/** One line of `filmgate config`: `value` in TOML notation, secrets and passwords in URLs replaced by `***`. */
export interface DescribedValue {
  readonly key: string
  readonly value: string
  readonly origin: Origin
}

/** Every key with its effective value and where that came from, section by section. Safe to show and to log. */
export const describeConfig = (config: Config): readonly DescribedValue[] =>
  Object.keys(schema)
    .flatMap((section) => [
      ...fields.filter((field) => field.section === section).map((field) => ({ key: field.name, value: shownField(config, field) })),
      ...tables.filter((table) => table.section === section).flatMap((table) => shownEntries(config, table)),
      ...(section === 'auth' ? shownIssuers(config) : []),
    ])
    .map(({ key, value }) => ({ key, value, origin: config.origins.get(key) ?? 'default' }))

function shownField(config: Config, { section, property, secret }: Field): string {
  const value = (config[section] as Readonly<Record<string, unknown>>)[property]
  return secret && value !== '' ? '"***"' : shown(value)
}

function shownEntries(config: Config, { name: table, section, member }: Table): { key: string; value: string }[] {
  const entries = (config[section] as unknown as Readonly<Record<string, Readonly<Record<string, TableEntry>>>>)[member] ?? {}
  return Object.entries(entries).map(([name, entry]) => ({ key: entryName(table, name), value: shownEntry(entry) }))
}

const shownIssuers = ({ auth }: Config): { key: string; value: string }[] =>
  auth.issuers.map((issuer, index) => ({ key: issuerName(index), value: shownTable(issuer) }))

const shown = (value: unknown): string =>
  JSON.stringify(value, (_, inner: unknown) => (typeof inner === 'string' ? withoutPassword(inner) : inner))

function shownEntry(entry: TableEntry): string {
  if (typeof entry === 'string') return shown(entry)
  if ('add' in entry) return shown(entry.add)
  return shownTable(entry)
}

function shownTable(table: object): string {
  const pairs = Object.entries(table).map(([property, value]) => `${snake(property)} = ${shownMember(value)}`)
  return `{ ${pairs.join(', ')} }`
}

function shownMember(value: unknown): string {
  if (!isTable(value)) return shown(value)
  const pairs = Object.entries(value).map(([name, inner]) => `${JSON.stringify(name)} = ${shown(inner)}`)
  return pairs.length === 0 ? '{}' : `{ ${pairs.join(', ')} }`
}

const snake = (property: string): string => property.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

/**
 * Passwords may hold an unescaped "/" or "@", so all from the first ":" after "//" to the last "@" goes; the query goes whole, because
 * drivers take passwords there too (postgres://host/db?password=…).
 */
const withoutPassword = (text: string): string =>
  /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text.replace(/(\/\/[^:@]*):.*@/s, '$1:***@').replace(/\?.*$/s, '?***') : text
