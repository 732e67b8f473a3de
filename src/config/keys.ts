import { Type, type Static, type TSchema, type TSchemaOptions } from 'typebox'

/**
 * Every key of filmgate.toml in this release: the one source of names, types, ranges, defaults and environment variables.
 * `secret` is never shown, `customary` is a second environment variable that other software uses for the same thing.
 */

interface Extra extends TSchemaOptions {
  readonly secret?: true
  /** May be given as `<KEY>_FILE`, as every secret may: it can hold one. */
  readonly fromFile?: true
  readonly customary?: string
}

const text = (fallback: string, extra: Extra = {}) => Type.String({ default: fallback, ...extra })
const integer = (fallback: number, minimum: number, maximum: number, extra: Extra = {}) =>
  Type.Integer({ default: fallback, minimum, maximum, ...extra })
const list = () => Type.Array(Type.String(), { default: [] })

export const schema = {
  server: {
    host: text('127.0.0.1'),
    port: integer(3000, 0, 65_535, { customary: 'PORT' }),
    public_url: text(''),
    hosts: list(),
    trusted_proxies: list(),
    body_limit_bytes: integer(16_384, 256, 1_048_576),
    // Node reads 0 as "no deadline", which is what a slow-loris client wants: hence the minimum.
    header_timeout_ms: integer(5000, 100, 600_000),
    request_timeout_ms: integer(10_000, 100, 600_000),
    max_connections: integer(10_000, 1, 1_000_000),
    max_connections_per_client: integer(256, 1, 1_000_000),
  },
  ops: {
    host: text('127.0.0.1'),
    port: integer(3001, 0, 65_535),
  },
  data: { dir: text('./filmgate-data') },
  database: { url: text('sqlite', { customary: 'DATABASE_URL', fromFile: true }) },
  secrets: { key: text('', { secret: true }) },
  limits: {
    store: text('memory', { customary: 'REDIS_URL' }),
    default: text('200 per day; 50 per hour'),
    authenticated: text('20000 per day; 2000 per hour'),
    total: text('20 per second; 3000 per hour'),
    // A JavaScript Map ends at 2^24 entries.
    max_tracked_clients: integer(1_000_000, 1000, 16_000_000),
  },
  votes: { anonymous: Type.Boolean({ default: true }) },
  log: {
    level: Type.Enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal'], { default: 'info' }),
    // "pretty" where a person watches: loadConfig knows whether there is a terminal.
    format: Type.Enum(['json', 'pretty'], { default: 'json' }),
  },
  page: { enabled: Type.Boolean({ default: true }) },
} as const

/** What [limits.routes] may hold for a route; a string other than "exempt" adds its limits. */
export const routeLimitsSchema = Type.Union([Type.String(), Type.Object({ only: Type.String() }, { additionalProperties: false })])

/** The name of that table, which has no environment variable and no single value. */
export const routesName = 'limits.routes'

/** Of the contract, but of a later release: whole sections, and keys of sections that are here already. */
export const laterSections: ReadonlySet<string> = new Set(['tls', 'throttle', 'concurrency', 'cors', 'auth', 'monitor'])
export const laterKeys: ReadonlySet<string> = new Set(['limits.on_store_failure', 'limits.store_timeout_ms'])

type Schema = typeof schema
export type SectionName = keyof Schema
export type KeyName = { [S in SectionName]: `${S}.${keyof Schema[S] & string}` }[SectionName]

type Camel<S extends string> = S extends `${infer Head}_${infer Tail}` ? `${Head}${Capitalize<Camel<Tail>>}` : S
type Value<T> = T extends TSchema ? Readonly<Static<T>> : never
type Section<T> = { readonly [K in keyof T & string as Camel<K>]: Value<T[K]> }

/** `add` counts on top of the route's own limits, `only` replaces them, "exempt" frees the route of all but `limits.total`. */
export type RouteLimits = { readonly add: string } | { readonly only: string } | 'exempt'

/** Where a value came from: "default", "filmgate.toml:12", or the name of an environment variable. */
export type Origin = string

/**
 * The effective configuration, deeply frozen. Sections as in filmgate.toml, keys in camelCase with their units (`server.bodyLimitBytes`).
 * `data.dir` is absolute, `server.publicUrl` is an origin without a trailing slash or empty, `server.hosts` are in lower case,
 * limits are still in policy notation, `limits.routes` is keyed by "METHOD /path".
 */
export type Config = { readonly [S in Exclude<SectionName, 'limits'>]: Section<Schema[S]> } & {
  readonly limits: Section<Schema['limits']> & { readonly routes: Readonly<Record<string, RouteLimits>> }
  /** By key as written in filmgate.toml, and `limits.routes."GET /"` for each route that is set. */
  readonly origins: ReadonlyMap<string, Origin>
}

/** One check per key where the type alone does not say enough: what is wrong, as the end of a sentence that starts with the key. */
export type Checks = {
  readonly [S in SectionName]?: { readonly [K in keyof Schema[S]]?: (value: Value<Schema[S][K]>) => string | undefined }
}

export interface Field {
  readonly name: KeyName
  readonly section: SectionName
  /** In filmgate.toml. */
  readonly member: string
  /** In `Config`. */
  readonly property: string
  /** Environment variables that set it, the winning one first. */
  readonly variables: readonly string[]
  readonly secret: boolean
  /** There is a variable `<KEY>_FILE` too. */
  readonly fromFile: boolean
  readonly schema: TSchema
}

const camel = (member: string): string => member.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())

function fieldOf(section: SectionName, member: string, definition: TSchema & Extra): Field {
  const variable = `FILMGATE_${section}_${member}`.toUpperCase()
  return {
    name: `${section}.${member}` as KeyName,
    section,
    member,
    property: camel(member),
    variables: definition.customary === undefined ? [variable] : [variable, definition.customary],
    secret: definition.secret === true,
    fromFile: definition.secret === true || definition.fromFile === true,
    schema: definition,
  }
}

export const fields: readonly Field[] = Object.entries(schema).flatMap(([section, members]) =>
  Object.entries(members).map(([member, definition]) => fieldOf(section as SectionName, member, definition as TSchema & Extra)),
)

export const fieldsByName: ReadonlyMap<string, Field> = new Map(fields.map((field) => [field.name, field]))
