import type { TSchema } from 'typebox'
import { Check } from 'typebox/value'
import { hopCountMistake } from './networks.ts'

/** A key with its type. */
interface Typed {
  readonly name: string
  readonly schema: TSchema
}

/** What the type of a key asks for, as the end of a sentence that starts with the key; undefined when `value` has that type. */
export function shapeMistake({ name, schema }: Typed, value: unknown): string | undefined {
  if (Check(schema, value)) return undefined
  if (name === 'server.trusted_proxies') return proxiesMistake(value)
  return `must be ${expected(schema)}${kindMismatch(schema, value)}`
}

/** The same for a text from the environment, where every value is a string. */
export function textMistake({ schema }: Typed, value: unknown): string | undefined {
  if (Check(schema, value)) return undefined
  return `must be ${expected(schema)}${(schema as Definition).type === 'integer' ? ', in decimal digits' : ''}`
}

/** The customary values of other software, each of which would let clients forge their address. */
function proxiesMistake(value: unknown): string {
  const entries = Array.isArray(value) ? value : [value]
  if (entries.includes(true)) return 'must be networks in CIDR notation: true would let anyone forge a client address by X-Forwarded-For'
  if (entries.some((entry) => typeof entry === 'number' || typeof entry === 'bigint')) return hopCountMistake
  return 'must be a list of strings, each a network in CIDR notation'
}

interface Definition {
  readonly type?: string
  readonly enum?: readonly string[]
  readonly minimum?: number
  readonly maximum?: number
}

function expected(definition: Definition): string {
  if (definition.enum) return `one of ${definition.enum.map((word) => JSON.stringify(word)).join(', ')}`
  if (definition.type === 'integer') return `an integer from ${definition.minimum} to ${definition.maximum}`
  if (definition.type === 'boolean') return 'true or false'
  return definition.type === 'array' ? 'a list of strings' : 'a string'
}

/** Says which kind of value stands there, unless it is only out of range. */
function kindMismatch(definition: Definition, value: unknown): string {
  const kind = kindOf(value)
  const wanted = definition.type ?? 'string'
  if (kind === wanted) return ''
  const article = /^[aio]/.test(kind) ? 'an' : 'a'
  return `, but is ${article} ${kind}`
}

function kindOf(value: unknown): string {
  if (typeof value === 'bigint') return 'integer'
  if (typeof value === 'number') return Number.isSafeInteger(value) ? 'integer' : 'float'
  if (Array.isArray(value)) return 'array'
  if (value instanceof Date) return 'date'
  return typeof value === 'object' ? 'table' : typeof value
}

/**
 * TOML integers as the numbers they are in Config. A float that looks like an integer (3000.0) becomes NaN, an integer that a number
 * cannot hold stays a BigInt: the check of the type refuses both.
 */
export function plainIntegers(value: unknown): unknown {
  if (typeof value === 'number') return NaN
  if (typeof value !== 'bigint') return value
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}
