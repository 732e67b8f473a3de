import { type Random, randomOf } from '../support/random.ts'

export const protocols = ['http1', 'tls', 'http2'] as const

/** `tls` is HTTP/1.1 over TLS. */
export type Protocol = (typeof protocols)[number]

export const endings = [
  /** The client waits until the server ends the connection, or goes when it has all its answers. */
  'wait',
  /** It ends its own side at once: for the server that is somebody who does not wait for answers. */
  'half-close',
  /** It goes away without a word. */
  'reset',
] as const

export type Ending = (typeof endings)[number]

/** One connection: what a client sends on it, as bytes. */
export interface Case {
  readonly number: number
  readonly protocol: Protocol
  /** Credentials stand in it by name, so that it means the same to another server. */
  readonly bytes: Buffer
  /** Offsets at which a new packet begins. */
  readonly cuts: readonly number[]
  readonly ending: Ending
  /** How it was made, for people. */
  readonly origin: string
}

/** What one case draws from follows from the seed and its number alone, so that it can be made again without the others. */
export const randomOfCase = (seed: number, number: number): Random => randomOf((Math.imul(number, 0x9e3779b1) ^ seed) >>> 0)

export const pick = <T>(random: Random, from: readonly T[]): T => {
  if (from.length === 0) throw new Error('nothing to pick from')
  return from[random.below(from.length)] as T
}

/** Text as the bytes it stands for: one a character. */
export const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1')

/** Each case comes from an address of its own, by which the log tells its requests from all others. */
export const addressOf = ({ number }: Pick<Case, 'number'>): string => {
  const host = number % addresses
  return `127.${10 + (host >>> 16)}.${(host >>> 8) & 255}.${host & 255}`
}

const addresses = 4 << 16

/** The number, or what is left of it, of the case that came from there. */
export const numberOf = (address: string): number => {
  const [, high = 0, middle = 0, low = 0] = address.split('.').map(Number)
  return ((high - 10) << 16) | (middle << 8) | low
}

/** Of no case. */
export const sentinelAddress = '127.9.0.1'

/** By the name that stands for each in a case. */
export type Secrets = Readonly<Record<string, string>>

/** Names as long as what they stand for, where something in the case depends on that. */
export const padded = (text: string, secrets: Secrets): string => {
  let changed = text
  for (const [name, secret] of Object.entries(secrets)) changed = changed.replaceAll(name, () => name.padEnd(secret.length, '$'))
  return changed
}

/** With the credentials of one server in the place of their names. */
export const filled = (one: Case, secrets: Secrets): Case => {
  let text = one.bytes.toString('latin1')
  for (const [name, secret] of Object.entries(secrets))
    text = text.replaceAll(new RegExp(`${name.replaceAll('$', '\\$')}\\$*`, 'g'), () => secret)
  return { ...one, bytes: latin1(text) }
}

/** By their names again: those of one server are nothing to the next. */
export const unfilled = (bytes: Buffer, secrets: Secrets): Buffer => {
  let text = bytes.toString('latin1')
  for (const [name, secret] of Object.entries(secrets)) text = text.replaceAll(secret, () => name.padEnd(secret.length, '$'))
  return latin1(text)
}

export const piecesOf = ({ bytes, cuts }: Pick<Case, 'bytes' | 'cuts'>): readonly Buffer[] =>
  [...cuts, bytes.length].map((end, i) => bytes.subarray(cuts[i - 1] ?? 0, end)).filter((piece) => piece.length > 0)
