import { parse, TomlError } from 'smol-toml'
import { Check } from 'typebox/value'
import { nearest, type Report } from './errors.ts'
import { fieldsByName, laterKeys, laterSections, routeLimitsSchema, routesName, schema, type Origin, type RouteLimits } from './keys.ts'
import { shapeMistake } from './shape.ts'
import { keyLines, pathName } from './toml-lines.ts'

/** A value that has the type of its key, and where it was found. */
export interface Setting {
  readonly value: unknown
  readonly origin: Origin
}

/** What one source says, by key; `routes` by "METHOD /path". */
export interface Settings {
  readonly values: Map<string, Setting>
  readonly routes: Map<string, { readonly limits: RouteLimits; readonly origin: Origin }>
}

type Table = Readonly<Record<string, unknown>>
/** One key of the document with its report: `fail` names it and its line. */
interface Entry {
  readonly path: readonly string[]
  readonly value: unknown
  readonly origin: Origin
  readonly fail: (message: string) => void
}

const knownNames = [...fieldsByName.keys(), routesName]

/** Reads the text of a filmgate.toml. Undefined when it is not TOML at all; otherwise whatever is right in it, the rest reported. */
export function readToml(text: string, label: string, report: Report): Settings | undefined {
  const root = parseToml(text, label, report)
  if (root === undefined) return undefined
  const lineOf = keyLines(text)
  const entry = (path: readonly string[], value: unknown): Entry => {
    const origin = `${label}:${lineOf(path)}`
    return { path, value, origin, fail: (message) => report({ key: pathName(path), message, source: origin }) }
  }
  const settings: Settings = { values: new Map(), routes: new Map() }
  for (const [section, value] of Object.entries(root)) {
    if (!isTable(value)) readStray(entry([section], value))
    else if (Object.keys(value).length === 0) readEmptySection(entry([section], value))
    else for (const [member, inner] of Object.entries(value)) readMember(entry([section, member], inner), entry, settings)
  }
  return settings
}

function parseToml(text: string, label: string, report: Report): Table | undefined {
  try {
    // Integers as BigInt tell 3000 from 3000.0. Keys such as __proto__ stay what they are: tables have no prototype here.
    return parse(text, { integersAsBigInt: true, maxDepth: 16 })
  } catch (error) {
    // Only the first line of the message: the rest quotes the document, and with it maybe a secret.
    const reason = error instanceof TomlError ? (error.message.split('\n')[0] ?? '').replace(/^[^:]*: /, '') : 'not readable'
    report({ key: '', message: `not valid TOML: ${reason}`, source: error instanceof TomlError ? `${label}:${error.line}` : label })
    return undefined
  }
}

function readStray({ path, fail }: Entry): void {
  const [name = ''] = path
  if (laterSections.has(name)) fail('is not available in this release')
  else if (Object.hasOwn(schema, name)) fail(`must be a table: [${name}]`)
  else fail(unknownKey(name))
}

function readEmptySection({ path, fail }: Entry): void {
  const [name = ''] = path
  if (laterSections.has(name)) fail('is not available in this release')
  else if (!Object.hasOwn(schema, name)) fail(`is not a known section; the nearest is [${nearest(name, Object.keys(schema))}]`)
}

function readMember(found: Entry, entry: (path: readonly string[], value: unknown) => Entry, settings: Settings): void {
  const name = pathName(found.path)
  const field = fieldsByName.get(name)
  if (field) {
    const value = plainIntegers(found.value)
    const mistake = shapeMistake(field, value)
    if (mistake === undefined) settings.values.set(name, { value, origin: found.origin })
    else found.fail(mistake)
  } else if (name === routesName) readRoutes(found, entry, settings)
  else if (laterKeys.has(name) || laterSections.has(found.path[0] ?? '')) found.fail('is not available in this release')
  else found.fail(unknownKey(name))
}

function readRoutes(found: Entry, entry: (path: readonly string[], value: unknown) => Entry, settings: Settings): void {
  if (!isTable(found.value)) return found.fail('must be a table of routes')
  for (const [route, value] of Object.entries(found.value)) {
    const { origin, fail } = entry([...found.path, route], value)
    if (!/^(?:GET|HEAD|POST|PUT|PATCH|DELETE) \/\S*$/.test(route)) fail('must be named by method and path, such as "GET /"')
    else if (!Check(routeLimitsSchema, value)) fail('must be limits such as "1 per second", { only = "…" } or "exempt"')
    else settings.routes.set(route, { limits: routeLimits(value), origin })
  }
}

function routeLimits(value: string | { only: string }): RouteLimits {
  if (typeof value !== 'string') return { only: value.only }
  return value === 'exempt' ? value : { add: value }
}

const unknownKey = (name: string): string => `is not a known key; the nearest is ${nearest(name, knownNames)}`

const isTable = (value: unknown): value is Table =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)

/**
 * TOML integers as the numbers they are in Config. A float that looks like an integer (3000.0) becomes NaN, an integer that a number
 * cannot hold stays a BigInt: the check of the type refuses both.
 */
function plainIntegers(value: unknown): unknown {
  if (typeof value === 'number') return NaN
  if (typeof value !== 'bigint') return value
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}
