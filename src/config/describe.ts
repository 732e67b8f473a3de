import { fields, routesName, type Config, type Origin } from './keys.ts'
import { pathName } from './toml-lines.ts'

/** One line of `filmgate config`: `value` in TOML notation, secrets and passwords in URLs replaced by `***`. */
export interface DescribedValue {
  readonly key: string
  readonly value: string
  readonly origin: Origin
}

/** Every key with its effective value and where that came from, in the order of the contract. Safe to show and to log. */
export function describeConfig(config: Config): readonly DescribedValue[] {
  const originOf = (key: string): Origin => config.origins.get(key) ?? 'default'
  const values = fields.map(({ name, section, property, secret }) => {
    const value = (config[section] as Readonly<Record<string, unknown>>)[property]
    return { key: name, value: secret && value !== '' ? '"***"' : shown(value), origin: originOf(name) }
  })
  const routes = Object.entries(config.limits.routes).map(([route, limits]) => {
    const key = `${routesName}.${pathName([route])}`
    return { key, value: shownLimits(limits), origin: originOf(key) }
  })
  return [...values, ...routes]
}

const shown = (value: unknown): string =>
  JSON.stringify(value, (_, inner: unknown) => (typeof inner === 'string' ? withoutPassword(inner) : inner))

function shownLimits(limits: Config['limits']['routes'][string]): string {
  if (limits === 'exempt') return shown(limits)
  return 'only' in limits ? `{ only = ${shown(limits.only)} }` : shown(limits.add)
}

/**
 * Passwords may hold an unescaped "/" or "@", so all from the first ":" after "//" to the last "@" goes; the query goes whole, because
 * drivers take passwords there too (postgres://host/db?password=…).
 */
const withoutPassword = (text: string): string =>
  /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text.replace(/(\/\/[^:@]*):.*@/s, '$1:***@').replace(/\?.*$/s, '?***') : text
