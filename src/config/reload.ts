import { isDeepStrictEqual } from 'node:util'
import { deepFreeze } from './assemble.ts'
import { combinationMistakes } from './checks.ts'
import { ConfigError, type ConfigMistake } from './errors.ts'
import { issuerName } from './issuers.ts'
import { fields, schema, type Config, type Field, type Origin } from './keys.ts'
import { entryName, tables } from './tables.ts'

export interface Reloaded {
  /** Frozen, as every configuration. */
  readonly config: Config
  /** What changed, but has to wait for the next start. */
  readonly ignored: readonly ConfigMistake[]
}

/**
 * The configuration of a server that runs with `current` and was told to reload: what can change while it runs is that of `next`, the
 * rest stays. Throws a `ConfigError` where the two do not go together.
 */
export function reloadable(current: Config, next: Config): Reloaded {
  const sections: Record<string, Record<string, unknown>> = {}
  const origins = new Map<string, Origin>()
  for (const section of Object.keys(schema)) sections[section] = {}
  for (const field of fields) {
    const from = field.reload ? next : current
    sections[field.section]![field.property] = valueIn(from, field.section, field.property)
    origins.set(field.name, originIn(from, field.name))
  }
  for (const { name, section, member } of tables) {
    const table = valueIn(next, section, member) as object
    sections[section]![member] = table
    for (const entry of Object.keys(table)) origins.set(entryName(name, entry), originIn(next, entryName(name, entry)))
  }
  // Who may say who people are is settled at the start.
  sections['auth']!['issuers'] = current.auth.issuers
  for (const index of current.auth.issuers.keys()) origins.set(issuerName(index), originIn(current, issuerName(index)))
  const config = { ...sections, origins } as unknown as Config
  const mistakes = combinationMistakes(config, new Set())
  if (mistakes.length > 0) throw new ConfigError(mistakes)
  const changed = fields.filter((field) => waits(field, current, next)).map(({ name }) => name)
  return { config: deepFreeze(config), ignored: [...changed, ...changedIssuers(current, next)].map((key) => ignored(key, next)) }
}

function changedIssuers({ auth: { issuers: current } }: Config, { auth: { issuers: next } }: Config): string[] {
  const indexes = Array.from({ length: Math.max(current.length, next.length) }, (_, index) => index)
  return indexes.filter((index) => !isDeepStrictEqual(current[index], next[index])).map(issuerName)
}

const waits = ({ reload, section, property }: Field, current: Config, next: Config): boolean =>
  !reload && !isDeepStrictEqual(valueIn(current, section, property), valueIn(next, section, property))

const ignored = (key: string, next: Config): ConfigMistake => ({
  key,
  message: 'has changed, but only a restart can apply that',
  source: originIn(next, key),
})

const valueIn = (config: Config, section: Field['section'], property: string): unknown =>
  (config[section] as Readonly<Record<string, unknown>>)[property]

const originIn = (config: Config, key: string): Origin => config.origins.get(key) ?? 'default'
