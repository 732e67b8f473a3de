import * as h2 from '../support/http2-frames.ts'
import type { Random } from '../support/random.ts'
import { type Case, latin1, padded, pick, type Secrets } from './case.ts'
import { changedBody } from './json-bodies.ts'
import { mutated } from './mutations.ts'
import type { DrawRequest } from './requests.ts'
import { codings, fieldNames, fieldValues, methods, targets } from './words.ts'

type Field = readonly [name: string, value: string]

/** A request as frames, and what the attack grammar may change of it. */
interface Stream {
  readonly id: number
  readonly fields: Field[]
  body: Buffer
  /** The last frame says that it is. */
  ends: boolean
  /** The head comes in so many frames. */
  pieces: number
  trailers: readonly Field[]
}

/** What the connection begins with: no dynamic table for answers, so that they can be read, and room for all of them. */
const opening = Buffer.concat([h2.preface, h2.settings([[1, 0], [4, 0x7fffffff]]), h2.windowUpdate(0, 0x7fff0000 - 65_535)]) // prettier-ignore

/** Asks for a sign that all before it was seen. */
export const lastPing = h2.frame(h2.frameTypes.ping, 0, 0, latin1('last one'))

const setField = (stream: Stream, name: string, value: string | undefined): void => {
  const at = stream.fields.findIndex(([known]) => known === name)
  stream.fields.splice(at === -1 ? 0 : at, at === -1 ? 0 : 1, ...(value === undefined ? [] : [[name, value] as const]))
}

const putField = (stream: Stream, random: Random, name: string, value: string): void =>
  void stream.fields.splice(random.below(stream.fields.length + 1), 0, [name, value])

type Attack = (stream: Stream, random: Random) => void

const pseudo = [':method', ':path', ':scheme', ':authority', ':status', ':protocol', ':x', ':', '']

const attacks: readonly Attack[] = [
  (stream, random) => setField(stream, ':method', pick(random, methods)),
  (stream, random) => setField(stream, ':path', pick(random, targets)),
  (stream, random) => setField(stream, ':path', mutated(latin1(pick(random, targets)), random, () => latin1('/v1')).toString('latin1')),
  (stream, random) => setField(stream, ':scheme', pick(random, ['http', 'ftp', '', 'HTTPS', 'https://x', '\0', 'x'.repeat(300)])),
  (stream, random) => setField(stream, ':authority', random.often(0.1) ? undefined : pick(random, fieldValues)),
  (stream, random) => setField(stream, pick(random, pseudo), undefined),
  (stream, random) => putField(stream, random, pick(random, pseudo), pick(random, fieldValues)),
  (stream, random) => putField(stream, random, 'host', pick(random, ['localhost', 'evil.example', '', 'localhost:1'])),
  (stream, random) => putField(stream, random, pick(random, fieldNames), pick(random, fieldValues)),
  (stream, random) => putField(stream, random, pick(random, fieldNames).toLowerCase(), pick(random, fieldValues)),
  (stream, random) => putField(stream, random, pick(random, fieldNames).toLowerCase(), pick(random, fieldValues)),
  (stream, random) =>
    putField(stream, random, 'content-length', pick(random, ['0', '1', '-1', '999999999999', 'x', '', '00', `${stream.body.length + 1}`])),
  (stream, random) =>
    putField(
      stream,
      random,
      pick(random, ['connection', 'transfer-encoding', 'te', 'upgrade', 'keep-alive', 'proxy-connection']),
      pick(random, [...codings, 'close', 'trailers', 'h2c']),
    ),
  (stream, random) => putField(stream, random, 'expect', pick(random, ['100-continue', 'x', ''])),
  (stream, random) => {
    for (let left = pick(random, [20, 100, 300, 2000]); left > 0; left--) stream.fields.push([`x-${left}`, 'y'])
  },
  (stream, random) => putField(stream, random, 'x-long', 'x'.repeat(pick(random, [5000, 15_000, 17_000, 70_000]))),
  (stream, random) => void (stream.body = changedBody(random, stream.body.toString())),
  (stream, random) => void (stream.body = Buffer.alloc(pick(random, [16_384, 16_385, 40_000]), 'a')),
  (stream) => void (stream.ends = false),
  (stream, random) => void (stream.pieces = pick(random, [2, 5, 40])),
  (stream, random) => void (stream.trailers = [[pick(random, fieldNames).toLowerCase(), pick(random, fieldValues)]]),
  (stream) => void (stream.trailers = [[':path', '/trailer']]),
]

const { frameTypes: types, flags } = h2

/** Frames that may come at any time, or must not. */
const strays: readonly ((random: Random, id: number) => Buffer)[] = [
  () => h2.ping(),
  (random) => h2.frame(types.ping, 0, random.below(2), Buffer.alloc(random.below(16))),
  (random) => h2.settings([[random.below(12), pick(random, [0, 1, 100, 16_384, 0xffffff, 0x7fffffff, 0xffffffff])]]),
  (random) => h2.frame(types.settings, random.below(2), 0, Buffer.alloc(random.below(13))),
  (random) => Buffer.concat(Array.from({ length: 1 + random.below(30) }, () => h2.settings())),
  (random, id) => h2.windowUpdate(pick(random, [0, id, id + 2, 99_999]), pick(random, [0, 1, 65_535, 0x7fffffff])),
  (random, id) => h2.reset(pick(random, [id, id + 2, 0]), random.below(16)),
  (random, id) => h2.frame(types.priority, 0, id, Buffer.alloc(pick(random, [5, 4, 0]), random.below(256))),
  (random, id) => h2.frame(types.pushPromise, flags.endHeaders, id, Buffer.alloc(4 + random.below(8))),
  (random, id) => h2.frame(types.continuation, random.below(2) * 4, pick(random, [id, id + 2, 0]), Buffer.alloc(random.below(20))),
  (random, id) => h2.data(pick(random, [id, id + 2, 0, 2]), 'x'.repeat(random.below(100)), random.below(2)),
  (random, id) => h2.frame(types.data, flags.padded, id, Buffer.from([random.below(256), 1, 2, 3])),
  (random, id) => h2.frame(10 + random.below(246), random.below(256), pick(random, [0, id]), Buffer.alloc(random.below(100))),
  (random, id) => h2.headers(pick(random, [0, 2, id, 1]), h2.request()),
  (random) =>
    h2.frame(types.goaway, 0, 0, Buffer.concat([h2.word(random.below(10)), h2.word(random.below(14)), Buffer.alloc(random.below(9))])),
  (random, id) =>
    h2.frame(
      types.headers,
      flags.endStream | flags.endHeaders,
      id + 2,
      Buffer.from(Array.from({ length: random.below(40) }, () => random.below(256))),
    ),
  () => Buffer.from('00400000000000000000', 'hex'),
]

const framesOf = (stream: Stream, random: Random): readonly Buffer[] => {
  const { id, fields, body, ends, pieces, trailers } = stream
  const packed = h2.block(fields)
  const size = Math.max(1, Math.min(Math.ceil(packed.length / pieces), 16_384))
  const parts = Array.from({ length: Math.max(1, Math.ceil(packed.length / size)) }, (_, i) => packed.subarray(i * size, (i + 1) * size))
  const isBare = body.length === 0 && trailers.length === 0
  const frames = parts.map((part, i) =>
    h2.frame(
      i === 0 ? types.headers : types.continuation,
      (i === 0 && isBare && ends ? flags.endStream : 0) | (i === parts.length - 1 ? flags.endHeaders : 0),
      id,
      part,
    ),
  )
  for (let at = 0; at < body.length;) {
    const part = body.subarray(at, at + 1 + random.below(Math.min(body.length, 16_384)))
    at += part.length
    frames.push(h2.data(id, part, at === body.length && ends && trailers.length === 0 ? flags.endStream : 0))
  }
  if (trailers.length > 0) frames.push(h2.headers(id, trailers, flags.endHeaders | (ends ? flags.endStream : 0)))
  return frames
}

export interface DrawOptions {
  readonly draw: DrawRequest
  /** What proved interesting in this run; empty where a case must follow from seed and number alone. */
  readonly interesting: readonly Buffer[]
  readonly secrets: Secrets
}

const drawStream = (random: Random, { draw, secrets }: DrawOptions, id: number): Stream => {
  const { method, target, fields, body } = draw(random)
  // What the packed head says of its lengths must hold with the credentials in it.
  const known = fields.flatMap(([name, value]): Field[] => (name === 'Host' ? [] : [[name.toLowerCase(), padded(value, secrets)]]))
  if (body !== undefined) known.push(['content-type', 'application/json'])
  return {
    id,
    fields: [...h2.request({ method, path: target }), ...known],
    body: Buffer.from(body ?? ''),
    ends: true,
    pieces: 1,
    trailers: [],
  }
}

const drawConnection = (random: Random, options: DrawOptions): Buffer => {
  const parts: Buffer[] = [opening]
  const isAttack = random.often(0.75)
  const step = isAttack && random.often(0.05) ? pick(random, [0, -2, 1, 100_000]) : 2
  for (let left = 1 + random.below(5), id = step < 0 ? 11 : 1; left > 0; left--, id += step) {
    const stream = drawStream(random, options, id)
    if (isAttack && random.often(0.6)) for (let more = 1 + random.below(2); more > 0; more--) pick(random, attacks)(stream, random)
    const frames = framesOf(stream, random)
    for (const one of frames) {
      parts.push(one)
      if (isAttack && random.often(0.06)) parts.push(pick(random, strays)(random, id))
    }
    if (isAttack && random.often(0.05)) parts.push(h2.reset(id, random.below(14)))
  }
  return Buffer.concat(parts)
}

const sizeOf = (bytes: Buffer, at: number): number => (at + 9 > bytes.length ? Number.NaN : 9 + bytes.readUIntBE(at, 3))

/** Whether it is the preface and whole frames: only then is there a place behind them for another. */
export const isWhole = (bytes: Buffer): boolean => {
  if (!bytes.subarray(0, h2.preface.length).equals(h2.preface)) return false
  let at = h2.preface.length
  while (at < bytes.length) at += sizeOf(bytes, at)
  return at === bytes.length
}

/** One connection of HTTP/2. It ends with a ping, by whose answer the client knows that everything was seen. */
export const drawHttp2 = (random: Random, number: number, options: DrawOptions): Case => {
  const { interesting } = options
  const isMutated = random.often(0.35)
  const isKnown = isMutated && interesting.length > 0 && random.often(0.5)
  const stream = isKnown ? pick(random, interesting) : drawConnection(random, options)
  const changed = isMutated ? mutated(stream, random, () => drawConnection(random, options)) : stream
  const isOpen = !isWhole(changed)
  const bytes = isOpen ? changed : Buffer.concat([changed, lastPing])
  const cuts = random.often(0.6)
    ? []
    : Array.from({ length: 1 + random.below(6) }, () => random.below(bytes.length + 1)).toSorted((a, b) => a - b)
  const ending = random.often(0.05) ? 'reset' : isOpen || random.often(0.05) ? 'half-close' : 'wait'
  return {
    number,
    protocol: 'http2',
    bytes,
    cuts,
    ending,
    origin: isKnown ? 'mutation of what was interesting' : isMutated ? 'mutation' : 'grammar',
  }
}
