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
  const one = from[random.below(from.length)]
  if (one === undefined) throw new Error('nothing to pick from')
  return one
}

/** Text as the bytes it stands for: one a character. */
export const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1')

/** Each case comes from an address of its own, by which the log tells its requests from all others. */
export const addressOf = ({ number }: Pick<Case, 'number'>): string => {
  const host = number % addresses
  return `127.${10 + (host >>> 16)}.${(host >>> 8) & 255}.${host & 255}`
}

const addresses = 4 << 16

/** Of no case. */
export const sentinelAddress = '127.9.0.1'

/** By the name that stands for each in a case. */
export type Secrets = Readonly<Record<string, string>>

/** With the credentials of one server in the place of their names. */
export const filled = (one: Case, secrets: Secrets): Case => {
  let text = one.bytes.toString('latin1')
  for (const [name, secret] of Object.entries(secrets)) text = text.replaceAll(name, secret)
  return { ...one, bytes: latin1(text) }
}

export const piecesOf = ({ bytes, cuts }: Pick<Case, 'bytes' | 'cuts'>): readonly Buffer[] =>
  [...cuts, bytes.length].map((end, i) => bytes.subarray(cuts[i - 1] ?? 0, end)).filter((piece) => piece.length > 0)
