import { Type } from 'typebox'
import { Check } from 'typebox/value'
import { nearest } from './errors.ts'
import { throttleSchema, type CorsRoute, type LimitsOverride, type Origin, type RuleMode, type SectionName, type Throttle } from './keys.ts'
import { originsMistake } from './origins.ts'
import { plainIntegers, shapeMistake } from './shape.ts'
import { pathName, type Path } from './toml-lines.ts'

/** One key of the document with its report: `fail` names it and its line. */
export interface Entry {
  readonly path: Path
  readonly value: unknown
  readonly origin: Origin
  readonly fail: (message: string) => void
  /** A key of the table that this one is, or an entry of the array. */
  readonly inner: (name: string | number, value: unknown) => Entry
}

/** What is wrong with limits in policy notation, as the end of a sentence, or undefined. */
export type CheckLimits = (text: string) => string | undefined

export type TableEntry = LimitsOverride | Throttle | CorsRoute | RuleMode

/** A table of filmgate.toml whose entries are named by who writes them. There is no environment variable for it. */
export interface Table {
  readonly name: 'limits.routes' | 'limits.keys' | 'throttle.routes' | 'cors.routes' | 'monitor.rules'
  readonly section: SectionName
  /** In filmgate.toml as in `Config`. */
  readonly member: 'routes' | 'keys' | 'rules'
  readonly of: string
  readonly nameMistake: (name: string) => string | undefined
  /** The entry as it is in `Config`, or undefined with all that is wrong reported. */
  readonly read: (entry: Entry, check: CheckLimits) => TableEntry | undefined
}

/** How an entry of a table is named in `Config.origins` and in errors: `limits.routes."GET /"`. */
export const entryName = (table: Table['name'], entry: string): string => `${table}.${pathName([entry])}`

export const isTable = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)

export function readTable(
  table: Table,
  found: Entry,
  check: CheckLimits,
  keep: (name: string, entry: TableEntry, origin: Origin) => void,
): void {
  if (!isTable(found.value)) return found.fail(`must be a table of ${table.of}`)
  for (const [name, value] of Object.entries(found.value)) {
    const inner = found.inner(name, value)
    const mistake = table.nameMistake(name)
    if (mistake !== undefined) inner.fail(mistake)
    else {
      const entry = table.read(inner, check)
      if (entry !== undefined) keep(name, entry, inner.origin)
    }
  }
}

const routeMistake = (name: string): string | undefined =>
  /^(?:GET|HEAD|POST|PUT|PATCH|DELETE) \/\S*$/.test(name) ? undefined : 'must be named by method and path, such as "GET /"'

/** As credentials/api-key.ts makes them: `fg_<id>_<secret>`. */
function keyIdMistake(name: string): string | undefined {
  if (/^[0-9A-Za-z]{12}$/.test(name)) return undefined
  if (/^fg_[0-9A-Za-z]{12}_/.test(name))
    return 'must be named by the id of the API key alone, or whoever reads the file has the key: revoke it'
  return 'must be named by the id of an API key: the 12 letters and digits between fg_ and the next _'
}

const overrideSchema = Type.Union([Type.String(), Type.Object({ only: Type.String() }, { additionalProperties: false })])

function readOverride({ value, fail }: Entry, check: CheckLimits): LimitsOverride | undefined {
  if (value === 'exempt') return value
  if (!Check(overrideSchema, value)) {
    fail('must be limits such as "1 per second", { only = "…" } or "exempt"')
    return undefined
  }
  const mistake = check(typeof value === 'string' ? value : value.only)
  if (mistake !== undefined) fail(mistake)
  return typeof value === 'string' ? { add: value } : { only: value.only }
}

function readThrottle(found: Entry, check: CheckLimits): Throttle | undefined {
  const { value: table, fail } = found
  if (!isTable(table) || !Object.hasOwn(table, 'pace')) {
    fail('must have a pace: { pace = "10 per minute" }')
    return undefined
  }
  const values = new Map<string, unknown>()
  for (const [member, value] of Object.entries(table)) {
    const inner = found.inner(member, value)
    const plain = plainIntegers(value)
    const mistake = throttleMistake(pathName(inner.path), member, plain, check)
    if (mistake === undefined) values.set(member, plain)
    else inner.fail(mistake)
  }
  if (values.size < Object.keys(table).length) return undefined
  const valueOf = (member: keyof typeof throttleSchema): unknown =>
    values.get(member) ?? (throttleSchema[member] as { readonly default?: unknown }).default
  return {
    pace: valueOf('pace'),
    burst: valueOf('burst'),
    maxWaitMs: valueOf('max_wait_ms'),
    maxWaiting: valueOf('max_waiting'),
  } as Throttle
}

function throttleMistake(name: string, member: string, value: unknown, check: CheckLimits): string | undefined {
  if (!Object.hasOwn(throttleSchema, member)) return `is not a known key; the nearest is ${nearest(member, Object.keys(throttleSchema))}`
  const mistake = shapeMistake({ name, schema: throttleSchema[member as keyof typeof throttleSchema] }, value)
  return mistake === undefined && member === 'pace' ? paceMistake(value as string, check) : mistake
}

function paceMistake(pace: string, check: CheckLimits): string | undefined {
  if (/[;,|]/.test(pace)) return 'must be one limit, such as "10 per minute"'
  return /burst/i.test(pace) ? 'must be a limit without a burst, which is a key of its own' : check(pace)
}

function readCorsRoute({ value: table, fail, inner }: Entry): CorsRoute | undefined {
  if (!isTable(table) || !Object.hasOwn(table, 'origins')) {
    fail('must have its origins: { origins = ["*"] }, or { origins = [] } for none')
    return undefined
  }
  let mistakes = 0
  for (const [member, value] of Object.entries(table)) {
    const mistake = member === 'origins' ? originListMistake(value) : `is not a known key; the nearest is origins`
    if (mistake === undefined) continue
    mistakes++
    inner(member, value).fail(mistake)
  }
  return mistakes === 0 ? { origins: [...(table['origins'] as readonly string[])] } : undefined
}

const originListMistake = (value: unknown): string | undefined =>
  Array.isArray(value) && value.every((entry) => typeof entry === 'string') ? originsMistake(value) : 'must be a list of strings'

/** Whether there is such a rule only the monitor knows: see serve/known-routes.ts. */
const ruleMistake = (name: string): string | undefined =>
  /^[a-z][a-z0-9-]{0,63}$/.test(name) ? undefined : 'must be the name of a rule, such as path-probing'

const ruleModes: ReadonlySet<unknown> = new Set(['enforce', 'observe', 'off'])

function readRuleMode({ value, fail }: Entry): RuleMode | undefined {
  if (ruleModes.has(value)) return value as RuleMode
  fail('must be "enforce", "observe" or "off"')
  return undefined
}

export const tables: readonly Table[] = [
  { name: 'limits.routes', section: 'limits', member: 'routes', of: 'routes', nameMistake: routeMistake, read: readOverride },
  { name: 'limits.keys', section: 'limits', member: 'keys', of: 'API keys', nameMistake: keyIdMistake, read: readOverride },
  { name: 'throttle.routes', section: 'throttle', member: 'routes', of: 'routes', nameMistake: routeMistake, read: readThrottle },
  { name: 'cors.routes', section: 'cors', member: 'routes', of: 'routes', nameMistake: routeMistake, read: readCorsRoute },
  { name: 'monitor.rules', section: 'monitor', member: 'rules', of: 'rules', nameMistake: ruleMistake, read: readRuleMode },
]
