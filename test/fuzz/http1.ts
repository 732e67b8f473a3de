import type { Random } from '../support/random.ts'
import { type Case, endings, latin1, pick } from './case.ts'
import { framingOf } from './framing.ts'
import { changedBody } from './json-bodies.ts'
import { mutated } from './mutations.ts'
import type { DrawRequest } from './requests.ts'
import { chunkSizes, codings, fieldNames, fieldValues, lengths, lineEnds, methods, scraps, targets, versions } from './words.ts'

/** A request before it is bytes: what the attack grammar changes. */
interface Message {
  method: string
  target: string
  version: string
  readonly fields: [name: string, value: string][]
  body: Buffer
  /** How the body is written when the fields say chunked. */
  chunks: (random: Random, body: Buffer) => Buffer
  lineEnd: (random: Random) => string
}

type Attack = (message: Message, random: Random) => void

const goodChunks = (random: Random, body: Buffer): Buffer => {
  const parts: Buffer[] = []
  for (let at = 0; at < body.length;) {
    const part = body.subarray(at, at + 1 + random.below(body.length))
    parts.push(latin1(`${part.length.toString(16)}\r\n`), part, latin1('\r\n'))
    at += part.length
  }
  return Buffer.concat([...parts, latin1('0\r\n\r\n')])
}

const badChunks = (random: Random, body: Buffer): Buffer => {
  const end = (): string => (random.often(0.8) ? '\r\n' : pick(random, lineEnds))
  const trailer = random.often(0.3) ? `${pick(random, fieldNames)}: ${pick(random, fieldValues)}${end()}` : ''
  const size = random.often(0.8) ? pick(random, chunkSizes(body.length)) : body.length.toString(16)
  return Buffer.concat([
    latin1(`${size}${end()}`),
    body,
    latin1(`${end()}${random.often(0.8) ? '0' : pick(random, chunkSizes(0))}${end()}${trailer}${end()}`),
  ])
}

const put = ({ fields }: Message, random: Random, name: string, value: string): void =>
  void fields.splice(random.below(fields.length + 1), 0, [name, value])

const isFraming = ([name]: readonly [string, string]): boolean => /^(content-length|transfer-encoding)$/i.test(name)

const reframe = (message: Message, ...fields: [string, string][]): void => {
  const kept = message.fields.filter((field) => !isFraming(field))
  message.fields.splice(0, Infinity, ...kept, ...fields)
}

const attacks: readonly Attack[] = [
  (message, random) => (message.method = pick(random, methods)),
  (message, random) => (message.target = pick(random, targets)),
  (message, random) => (message.target = mutated(latin1(message.target), random, () => latin1(pick(random, targets))).toString('latin1')),
  (message, random) => (message.version = pick(random, versions)),
  (message, random) => put(message, random, pick(random, fieldNames), pick(random, fieldValues)),
  (message, random) => put(message, random, pick(random, fieldNames), pick(random, fieldValues)),
  (message, random) => put(message, random, `X-${random.below(100)}`, pick(random, fieldValues)),
  (message, random) => put(message, random, 'Host', pick(random, fieldValues)),
  (message, random) => message.fields.splice(random.below(message.fields.length), 1),
  (message, random) => message.fields.push(...message.fields.slice(random.below(message.fields.length))),
  (message, random) => {
    for (let left = pick(random, [20, 90, 400, 1100]); left > 0; left--) message.fields.push([`X-${left}`, 'y'])
  },
  (message, random) => put(message, random, 'Connection', pick(random, fieldValues)),
  (message, random) => put(message, random, 'Expect', pick(random, ['100-continue', '100-Continue', '100-continue, x', 'x', ''])),
  (message, random) => {
    put(message, random, 'Connection', 'Upgrade')
    put(message, random, 'Upgrade', pick(random, ['h2c', 'websocket', 'TLS/1.0', 'HTTP/2.0']))
  },
  (message, random) => reframe(message, ['Content-Length', pick(random, lengths(message.body.length))]),
  (message, random) =>
    reframe(
      message,
      ['Content-Length', pick(random, lengths(message.body.length))],
      ['Content-Length', pick(random, lengths(message.body.length))],
    ),
  (message, random) => reframe(message, ['Transfer-Encoding', pick(random, codings)]),
  (message, random) => reframe(message, ['Transfer-Encoding', pick(random, codings)], ['Transfer-Encoding', pick(random, codings)]),
  (message, random) =>
    reframe(message, ['Transfer-Encoding', pick(random, codings)], ['Content-Length', pick(random, lengths(message.body.length))]),
  (message, random) =>
    reframe(message, ['Content-Length', pick(random, lengths(message.body.length))], ['Transfer-Encoding', pick(random, codings)]),
  (message) => reframe(message),
  (message) => {
    reframe(message, ['Transfer-Encoding', 'chunked'])
    message.chunks = badChunks
  },
  (message) => {
    reframe(message, ['Transfer-Encoding', 'chunked'])
    message.chunks = badChunks
  },
  (message) => (message.lineEnd = (random) => (random.often(0.9) ? '\r\n' : pick(random, lineEnds))),
  (message, random) => (message.body = changedBody(random, message.body.toString())),
  (message, random) => (message.body = changedBody(random, message.body.toString())),
  (message, random) => (message.body = latin1(pick(random, scraps).repeat(1 + random.below(5)))),
]

const bytesOf = (message: Message, random: Random): Buffer => {
  const { method, target, version, fields, body, lineEnd } = message
  const lines = [`${method} ${target} ${version}`, ...fields.map(([name, value]) => `${name}:${random.often(0.95) ? ' ' : ''}${value}`), '']
  const head = latin1(lines.map((line) => line + lineEnd(random)).join(''))
  const isChunked = fields.some(([name, value]) => /^transfer-encoding/i.test(name.trim()) && /chunked/i.test(value))
  return Buffer.concat([head, isChunked ? message.chunks(random, body) : body])
}

/** A body that is a request: whoever sees it as one was smuggled past. */
const planted = (number: number): Buffer => latin1(`GET /planted-${number} HTTP/1.1\r\nHost: localhost\r\n\r\n`)

const drawMessage = (random: Random, draw: DrawRequest, number: number): Message => {
  const request = draw(random)
  const body = random.often(0.2) ? planted(number) : Buffer.from(request.body ?? '')
  const message: Message = {
    method: request.method,
    target: request.target,
    version: 'HTTP/1.1',
    fields: request.fields.map(([name, value]) => [name, value]),
    body,
    chunks: goodChunks,
    lineEnd: () => '\r\n',
  }
  if (body.length > 0) message.fields.push(['Content-Type', random.often(0.95) ? 'application/json' : pick(random, fieldValues)])
  // A change of the body comes before its length is known.
  if (body.length > 0 && random.often(0.3)) message.body = changedBody(random, body.toString())
  if (message.body.length > 0)
    reframe(message, random.often(0.6) ? ['Content-Length', `${message.body.length}`] : ['Transfer-Encoding', 'chunked'])
  return message
}

const closer = (number: number): Buffer => latin1(`GET /closer-${number} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`)

/** A few requests on one connection, each of them as it should be or attacked in one to three places. */
const drawStream = (random: Random, draw: DrawRequest, number: number): Buffer => {
  const messages = Array.from({ length: 1 + (random.often(0.4) ? random.below(4) : 0) }, () => {
    const message = drawMessage(random, draw, number)
    if (random.often(0.65)) for (let left = 1 + random.below(3); left > 0; left--) pick(random, attacks)(message, random)
    return bytesOf(message, random)
  })
  return Buffer.concat(messages)
}

const drawCuts = (random: Random, length: number): readonly number[] => {
  if (random.often(0.05)) return Array.from({ length: Math.min(length, 60) }, (_, i) => i + 1)
  if (random.often(0.6)) return []
  return Array.from({ length: 1 + random.below(6) }, () => random.below(length + 1)).toSorted((a, b) => a - b)
}

export interface DrawOptions {
  readonly draw: DrawRequest
  /** What proved interesting in this run; empty where a case must follow from seed and number alone. */
  readonly interesting: readonly Buffer[]
}

/** One connection of HTTP/1.1, in clear or over TLS. */
export const drawHttp1 = (random: Random, number: number, protocol: 'http1' | 'tls', { draw, interesting }: DrawOptions): Case => {
  const isMutated = random.often(0.35)
  const isKnown = isMutated && interesting.length > 0 && random.often(0.5)
  const stream = isKnown ? pick(random, interesting) : drawStream(random, draw, number)
  const changed = isMutated ? mutated(stream, random, () => drawStream(random, draw, number)) : stream
  const bytes = random.often(0.4) ? Buffer.concat([changed, closer(number)]) : changed
  const drawnEnding = random.often(0.85) ? 'wait' : pick(random, endings)
  // Where nobody can say how many answers are due, the client can't wait for them.
  const ending = drawnEnding === 'wait' && framingOf(bytes).end === 'open' ? 'half-close' : drawnEnding
  const origin = isKnown ? 'mutation of what was interesting' : isMutated ? 'mutation' : 'grammar'
  return { number, protocol, bytes, cuts: drawCuts(random, bytes.length), ending, origin }
}
