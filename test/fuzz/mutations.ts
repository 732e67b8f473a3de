import type { Random } from '../support/random.ts'
import { latin1, pick } from './case.ts'
import { scraps } from './words.ts'

type Mutate = (bytes: Buffer, random: Random, other: () => Buffer) => Buffer

const splice = (bytes: Buffer, at: number, removed: number, put: Buffer): Buffer =>
  Buffer.concat([bytes.subarray(0, at), put, bytes.subarray(at + removed)])

const place = (bytes: Buffer, random: Random): number => random.below(bytes.length + 1)

/** Where lines end and fields begin is where a parser changes its mind. */
const edge = (bytes: Buffer, random: Random): number => {
  const found = bytes.indexOf(pick(random, ['\r\n', ':', ' ', '\r\n\r\n']), place(bytes, random))
  return found === -1 ? place(bytes, random) : found
}

const mutations: readonly Mutate[] = [
  (bytes, random) => {
    const changed = Buffer.from(bytes)
    const at = random.below(bytes.length)
    changed[at] = (changed[at] ?? 0) ^ (1 << random.below(8))
    return changed
  },
  (bytes, random) => {
    const changed = Buffer.from(bytes)
    changed[random.below(bytes.length)] = random.below(256)
    return changed
  },
  (bytes, random) => bytes.subarray(0, place(bytes, random)),
  (bytes, random) => splice(bytes, place(bytes, random), 1 + random.below(20), Buffer.alloc(0)),
  (bytes, random) => splice(bytes, edge(bytes, random), 1 + random.below(2), Buffer.alloc(0)),
  (bytes, random) => splice(bytes, place(bytes, random), 0, latin1(pick(random, scraps))),
  (bytes, random) => splice(bytes, edge(bytes, random), 0, latin1(pick(random, scraps))),
  (bytes, random) => splice(bytes, edge(bytes, random), random.below(4), latin1(pick(random, scraps))),
  (bytes, random) => {
    const start = place(bytes, random)
    const piece = bytes.subarray(start, start + 1 + random.below(60))
    return splice(bytes, place(bytes, random), 0, Buffer.concat(Array.from({ length: 1 + random.below(8) }, () => piece)))
  },
  (bytes, random, other) => {
    const from = other()
    return Buffer.concat([bytes.subarray(0, edge(bytes, random)), from.subarray(edge(from, random))])
  },
  (bytes, random) => {
    const lines = bytes.toString('latin1').split('\r\n')
    const [line = ''] = lines.splice(random.below(lines.length), 1)
    lines.splice(random.below(lines.length + 1), 0, ...(random.often(0.5) ? [line] : [line, line]))
    return latin1(lines.join('\r\n'))
  },
]

/** One to four changes, each blind to what the bytes mean. `other` gives bytes to splice with. */
export const mutated = (bytes: Buffer, random: Random, other: () => Buffer): Buffer => {
  let changed = bytes
  for (let left = 1 + random.below(4); left > 0 && changed.length > 0; left--) changed = pick(random, mutations)(changed, random, other)
  return changed
}
