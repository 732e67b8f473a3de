import { resolve } from 'node:path'
import { issuerName } from './issuers.ts'
import { schema, fields, type Config, type Field, type KeyName, type Origin } from './keys.ts'
import { tables } from './tables.ts'
import type { Settings } from './toml-file.ts'

export interface Surroundings {
  /** What relative paths are relative to. */
  readonly cwd: string
  /** Whether a person watches the log. */
  readonly isTTY?: boolean | undefined
}

/** What is set, and defaults for the rest. */
export function assemble({ values, entries, issuers }: Readonly<Settings>, { cwd, isTTY }: Surroundings): Config {
  const sections: Record<string, Record<string, unknown>> = {}
  const origins = new Map<string, Origin>()
  for (const section of Object.keys(schema)) sections[section] = {}
  for (const field of fields) {
    const setting = values.get(field.name) ?? { value: defaultOf(field, isTTY), origin: 'default' }
    sections[field.section]![field.property] = normal(field.name, setting.value, cwd)
    origins.set(field.name, setting.origin)
  }
  for (const { name, section, member } of tables) {
    const own = entries.filter(({ table }) => table === name)
    sections[section]![member] = Object.fromEntries(own.map((one) => [one.name, one.entry]))
    for (const { key, origin } of own) origins.set(key, origin)
  }
  sections['auth']!['issuers'] = issuers.map(({ issuer }) => issuer)
  for (const [index, { origin }] of issuers.entries()) origins.set(issuerName(index), origin)
  return { ...sections, origins } as unknown as Config
}

const defaultOf = ({ name, schema: definition }: Field, isTTY: boolean | undefined): unknown =>
  name === 'log.format' && isTTY === true ? 'pretty' : structuredClone((definition as { default?: unknown }).default)

/** One spelling for what can be spelled in several ways, so that nobody after this compares the wrong one. */
function normal(name: KeyName, value: unknown, cwd: string): unknown {
  if (name === 'data.dir') return resolve(cwd, value as string)
  if ((name === 'tls.cert' || name === 'tls.key') && value !== '') return resolve(cwd, value as string)
  if (name === 'server.hosts') return (value as readonly string[]).map((host) => host.toLowerCase())
  if (name === 'server.public_url' && URL.canParse(value as string)) return new URL(value as string).origin
  return value
}

export function deepFreeze<T extends object>(value: T): T {
  for (const inner of Object.values(value)) if (typeof inner === 'object' && inner !== null) deepFreeze(inner as object)
  return Object.freeze(value)
}
