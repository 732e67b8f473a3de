import { nearest, type Report } from './errors.ts'
import { issuersName } from './issuers.ts'
import { fields, type Field } from './keys.ts'
import { textMistake } from './shape.ts'
import { tables } from './tables.ts'
import type { Setting } from './toml-file.ts'

export type Environment = Readonly<Record<string, string | undefined>>
/** The text of a file, without its last line end; throws an Error whose message says why it cannot be read. */
export type ReadText = (path: string) => string

const prefix = 'FILMGATE_'
const variableOf = (name: string): string => prefix + name.replace('.', '_').toUpperCase()

const fileVariable = ({ variables }: Field): string => `${variables[0] ?? ''}_FILE`
const ownNames = fields.flatMap((field) => field.variables.slice(0, 1).concat(field.fromFile ? fileVariable(field) : []))
// For the command line, the test suite and CI.
const known: ReadonlySet<string> = new Set([...ownNames, 'FILMGATE_CONFIG', 'FILMGATE_REQUIRE_SERVICES'])

/** Reads all FILMGATE_ variables and the customary ones; reports what is wrong or unknown among them. */
export function readEnvironment(env: Environment, readText: ReadText, report: Report): Map<string, Setting> {
  const settings = new Map<string, Setting>()
  for (const field of fields) {
    const found = findVariable(field, env, readText, report)
    if (found === undefined) continue
    const value = fromText(field, found.text)
    const mistake = textMistake(field, value)
    if (mistake === undefined) settings.set(field.name, { value, origin: found.variable })
    else report({ key: field.name, message: mistake, source: found.variable })
  }
  for (const name of Object.keys(env)) if (env[name] !== undefined) checkVariableName(name, report)
  return settings
}

interface Found {
  readonly text: string
  readonly variable: string
}

function findVariable(field: Field, env: Environment, readText: ReadText, report: Report): Found | undefined {
  const variable = field.variables.find((name) => env[name] !== undefined)
  const source = fileVariable(field)
  const path = field.fromFile ? env[source] : undefined
  if (path === undefined) return variable === undefined ? undefined : { text: env[variable] ?? '', variable }
  const fail = (message: string): void => report({ key: field.name, message, source })
  if (variable === undefined) return readSecret(path, source, readText, fail)
  fail(`is set twice: use ${variable} or ${source}, not both`)
  return undefined
}

function readSecret(path: string, variable: string, readText: ReadText, fail: (message: string) => void): Found | undefined {
  try {
    const text = readText(path)
    if (text !== '') return { text, variable }
    // An empty secret would quietly mean "make one", and instances that should share one would not.
    fail('names a file that is empty')
  } catch (error) {
    fail(`names a file that cannot be read: ${error instanceof Error ? error.message : 'unknown error'}`)
  }
  return undefined
}

/** Text as the type of the key; what does not read as that type stays text, which the check of the type then refuses. */
function fromText({ schema }: Field, text: string): unknown {
  const type = (schema as { type?: string }).type
  if (type === 'array') return text === '' ? [] : text.split(',').map((entry) => entry.trim())
  // Decimal digits and nothing else: Number() would take "", "0x10", "3e3" and " 3000 " too.
  if (type === 'integer' && /^-?(?:0|[1-9]\d{0,14})$/.test(text)) return Number(text)
  if (type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true'
  return text
}

function checkVariableName(name: string, report: Report): void {
  if (!name.startsWith(prefix) || name.startsWith('FILMGATE_TEST_') || known.has(name)) return
  const fail = (message: string): void => report({ key: '', message, source: name })
  const table = tables.find((candidate) => name === variableOf(candidate.name))
  if (name === variableOf(issuersName)) fail(`tables such as [[${issuersName}]] are set in filmgate.toml only`)
  else if (table) fail(`tables such as [${table.name}] are set in filmgate.toml only`)
  else fail(`not a known variable; the nearest is ${nearest(name, [...known])}`)
}
