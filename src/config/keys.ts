import { Type, type Static, type TSchema, type TSchemaOptions } from 'typebox'

/**
 * Every key of filmgate.toml in this release: the one source of names, types, ranges, defaults and environment variables.
 * `secret` is never shown, `customary` is a second environment variable that other software uses for the same thing, `reload` marks what can
 * change while the server runs.
 */

interface Extra extends TSchemaOptions {
  readonly secret?: true
  /** May be given as `<KEY>_FILE`, as every secret may: it can hold one. */
  readonly fromFile?: true
  readonly customary?: string
  readonly reload?: true
}

const text = (fallback: string, extra: Extra = {}) => Type.String({ default: fallback, ...extra })
const integer = (fallback: number, minimum: number, maximum: number, extra: Extra = {}) =>
  Type.Integer({ default: fallback, minimum, maximum, ...extra })
const list = (extra: Extra = {}) => Type.Array(Type.String(), { default: [], ...extra })
const reload = { reload: true } as const

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
  tls: {
    mode: Type.Enum(['off', 'dev', 'files'], { default: 'off' }),
    cert: text(''),
    key: text(''),
    redirect_port: integer(0, 0, 65_535),
  },
  limits: {
    // What is counted lives in the store: another one, or another bound on it, would begin anew. So these four need a restart.
    store: text('memory', { customary: 'REDIS_URL', fromFile: true }),
    on_store_failure: Type.Enum(['local', 'deny', 'allow'], { default: 'local' }),
    store_timeout_ms: integer(50, 5, 10_000),
    // A JavaScript Map ends at 2^24 entries.
    max_tracked_clients: integer(1_000_000, 1000, 16_000_000),
    mode: Type.Enum(['enforce', 'observe'], { default: 'enforce', ...reload }),
    default: text('200 per day; 50 per hour', reload),
    authenticated: text('20000 per day; 2000 per hour', reload),
    total: text('20 per second; 3000 per hour', reload),
    exempt: list(reload),
  },
  cors: {
    origins: list(reload),
    credentials: Type.Boolean({ default: false, ...reload }),
    allow_headers: Type.Array(Type.String(), {
      default: ['authorization', 'content-type', 'if-match', 'if-none-match', 'idempotency-key'],
      ...reload,
    }),
    max_age_s: integer(600, 0, 86_400, reload),
  },
  throttle: {},
  concurrency: {
    per_client: integer(20, 1, 100_000, reload),
    total: integer(2000, 1, 1_000_000, reload),
  },
  auth: {
    // What stands in tokens and is asked of them; the installation id follows from the master key.
    issuer: text('urn:filmgate:<installation id>'),
    audience: text('urn:filmgate:<installation id>'),
    access_token_ttl: text('5m'),
    session_max_age: text('30d'),
    session_idle: text('14d'),
    registration: Type.Enum(['closed', 'open'], { default: 'closed' }),
    require_mfa_for: list(),
    login_failures: text('10 per 15 minutes'),
    account_failures: text('100 per hour'),
  },
  votes: { anonymous: Type.Boolean({ default: true }) },
  log: {
    level: Type.Enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal'], { default: 'info', ...reload }),
    // "pretty" where a person watches: loadConfig knows whether there is a terminal.
    format: Type.Enum(['json', 'pretty'], { default: 'json', ...reload }),
  },
  monitor: {
    mode: Type.Enum(['enforce', 'observe'], { default: 'enforce', ...reload }),
    allow: list(reload),
    // Some receivers have a secret in their address.
    webhook_url: text('', { secret: true, ...reload }),
    webhook_secret: text('', { secret: true, ...reload }),
    webhook_allow_private: Type.Boolean({ default: false, ...reload }),
  },
  page: { enabled: Type.Boolean({ default: true }) },
} as const

/** One entry of [throttle.routes]. */
export const throttleSchema = {
  pace: Type.String(),
  burst: integer(1, 1, 1000),
  max_wait_ms: integer(8000, 1, 60_000),
  max_waiting: integer(2, 1, 1000),
} as const

type Schema = typeof schema
export type SectionName = keyof Schema
export type KeyName = { [S in SectionName]: `${S}.${keyof Schema[S] & string}` }[SectionName]

type Camel<S extends string> = S extends `${infer Head}_${infer Tail}` ? `${Head}${Capitalize<Camel<Tail>>}` : S
type Value<T> = T extends TSchema ? Readonly<Static<T>> : never
type Section<T> = { readonly [K in keyof T & string as Camel<K>]: Value<T[K]> }

/** `add` counts on top of the limits that hold anyway, `only` replaces them, "exempt" lifts them all but `limits.total`. */
export type LimitsOverride = { readonly add: string } | { readonly only: string } | 'exempt'

/** One entry of [cors.routes]: in place of `cors.origins`. */
export interface CorsRoute {
  readonly origins: readonly string[]
}

/** `pace` is one limit in policy notation. */
export type Throttle = Section<typeof throttleSchema>

/** One entry of [monitor.rules]: what becomes of a rule's overflows. */
export type RuleMode = 'enforce' | 'observe' | 'off'

/** One of [[auth.issuers]]: an OpenID Connect issuer whose access tokens are taken. */
export interface ExternalIssuer {
  /** Exactly as in the claim `iss`. */
  readonly url: string
  readonly audience: string
  /** A claim, or the way to a member of one: `realm_access.roles`. Empty where `roles` is. */
  readonly roleClaim: string
  readonly roles: Readonly<Record<string, 'viewer' | 'editor' | 'moderator' | 'admin'>>
  readonly allowPrivate: boolean
}

/** Tables whose entries are named by who writes them: by "METHOD /path", or by the id of an API key; and the array of tables. */
interface Tables {
  readonly limits: {
    readonly routes: Readonly<Record<string, LimitsOverride>>
    readonly keys: Readonly<Record<string, LimitsOverride>>
  }
  readonly throttle: { readonly routes: Readonly<Record<string, Throttle>> }
  readonly cors: { readonly routes: Readonly<Record<string, CorsRoute>> }
  readonly monitor: { readonly rules: Readonly<Record<string, RuleMode>> }
  readonly auth: { readonly issuers: readonly ExternalIssuer[] }
}

/** Where a value came from: "default", "filmgate.toml:12", or the name of an environment variable. */
export type Origin = string

/**
 * The effective configuration, deeply frozen. Sections as in filmgate.toml, keys in camelCase with their units (`server.bodyLimitBytes`).
 * `data.dir` is absolute, `server.publicUrl` is an origin without a trailing slash or empty, `server.hosts` are in lower case,
 * limits are still in policy notation.
 */
export type Config = { readonly [S in SectionName]: Section<Schema[S]> & (S extends keyof Tables ? Tables[S] : unknown) } & {
  /** By key as written in filmgate.toml, and by `entryName` for each entry of a table, by `issuerName` for each issuer. */
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
  /** Can change while the server runs, as every table can. */
  readonly reload: boolean
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
    reload: definition.reload === true,
    schema: definition,
  }
}

export const fields: readonly Field[] = Object.entries(schema).flatMap(([section, members]) =>
  Object.entries(members).map(([member, definition]) => fieldOf(section as SectionName, member, definition as TSchema & Extra)),
)

export const fieldsByName: ReadonlyMap<string, Field> = new Map(fields.map((field) => [field.name, field]))
