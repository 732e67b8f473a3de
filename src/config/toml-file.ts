import { parse, TomlError } from 'smol-toml'
import { nearest, type Report } from './errors.ts'
import { issuersName, readIssuers } from './issuers.ts'
import { fieldsByName, schema, type ExternalIssuer, type Origin } from './keys.ts'
import { plainIntegers, shapeMistake } from './shape.ts'
import { entryName, isTable, readTable, tables, type CheckLimits, type Entry, type TableEntry } from './tables.ts'
import { keyLines, pathName, type Path } from './toml-lines.ts'

/** A value that has the type of its key, and where it was found. */
export interface Setting {
  readonly value: unknown
  readonly origin: Origin
}

/** An entry of the table `table`. */
export interface NamedEntry {
  readonly table: string
  readonly name: string
  readonly key: string
  readonly entry: TableEntry
  readonly origin: Origin
}

export interface FoundIssuer {
  readonly issuer: ExternalIssuer
  readonly origin: Origin
}

/** What the file says. */
export interface Settings {
  /** By key. */
  readonly values: Map<string, Setting>
  readonly entries: NamedEntry[]
  readonly issuers: FoundIssuer[]
}

export const createSettings = (): Settings => ({ values: new Map(), entries: [], issuers: [] })

const knownNames = [...fieldsByName.keys(), ...tables.map(({ name }) => name), issuersName]

/** Reads the text of a filmgate.toml. Undefined when it is not TOML at all; otherwise whatever is right in it, the rest reported. */
export function readToml(text: string, label: string, check: CheckLimits, report: Report): Settings | undefined {
  const root = parseToml(text, label, report)
  if (root === undefined) return undefined
  const lineOf = keyLines(text)
  const entry = (path: Path, value: unknown): Entry => {
    const origin = `${label}:${lineOf(path)}`
    const fail = (message: string): void => report({ key: pathName(path), message, source: origin })
    return { path, value, origin, fail, inner: (name, child) => entry([...path, name], child) }
  }
  const settings = createSettings()
  for (const [section, value] of Object.entries(root)) {
    const found = entry([section], value)
    if (!isTable(value)) readStray(found)
    else if (Object.keys(value).length === 0) readEmptySection(found)
    else for (const [member, inner] of Object.entries(value)) readMember(found.inner(member, inner), check, settings)
  }
  return settings
}

function parseToml(text: string, label: string, report: Report): Readonly<Record<string, unknown>> | undefined {
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

const sectionOf = ({ path }: Entry): string => String(path[0] ?? '')

function readStray(found: Entry): void {
  const { fail } = found
  const name = sectionOf(found)
  if (Object.hasOwn(schema, name)) fail(`must be a table: [${name}]`)
  else fail(unknownKey(name))
}

function readEmptySection(found: Entry): void {
  const { fail } = found
  const name = sectionOf(found)
  if (!Object.hasOwn(schema, name)) fail(`is not a known section; the nearest is [${nearest(name, Object.keys(schema))}]`)
}

function readMember(found: Entry, check: CheckLimits, settings: Settings): void {
  const name = pathName(found.path)
  const field = fieldsByName.get(name)
  const table = tables.find((candidate) => candidate.name === name)
  if (field) {
    const value = plainIntegers(found.value)
    const mistake = shapeMistake(field, value)
    if (mistake === undefined) settings.values.set(name, { value, origin: found.origin })
    else found.fail(mistake)
  } else if (table) {
    readTable(table, found, check, (entry, value, origin) => {
      settings.entries.push({ table: name, name: entry, key: entryName(table.name, entry), entry: value, origin })
    })
  } else if (name === issuersName) {
    readIssuers(found, (issuer, { origin }) => void settings.issuers.push({ issuer, origin }))
  } else found.fail(unknownKey(name))
}

const unknownKey = (name: string): string => `is not a known key; the nearest is ${nearest(name, knownNames)}`
