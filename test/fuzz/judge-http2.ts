import * as h2 from '../support/http2-frames.ts'
import type { LogRecord } from '../support/server.ts'
import type { Case } from './case.ts'
import { decodeFields } from './hpack.ts'
import { isWhole, lastPing } from './http2.ts'
import { type Answer, faultsOfAnswer, faultsOfLog } from './judge.ts'
import type { Verdict } from './judge-http1.ts'
import type { Heard } from './wire.ts'

const { frameTypes: types, flags } = h2

interface StreamHeard {
  answer: Answer | undefined
  readonly parts: Buffer[]
  ended: boolean
  isReset: boolean
}

interface ConnectionHeard {
  readonly streams: ReadonlyMap<number, StreamHeard>
  readonly faults: readonly string[]
  /** The code of a GOAWAY. */
  readonly goaway: number | undefined
  readonly isPinged: boolean
}

/** Frames of a server, read without any tolerance (RFC 9113 sections 4 to 6). */
const readConnection = (received: Buffer, isCut: boolean): ConnectionHeard => {
  const streams = new Map<number, StreamHeard>()
  const faults: string[] = []
  let goaway: number | undefined
  let isPinged = false
  let rest = received
  let isFirst = true
  while (rest.length > 0) {
    const length = rest.length < 9 ? Number.NaN : rest.readUIntBE(0, 3)
    if (!(rest.length >= 9 + length)) {
      if (!isCut) faults.push('a frame without its end')
      break
    }
    const frame = { type: rest[3] ?? 0, flags: rest[4] ?? 0, id: rest.readUInt32BE(5), payload: rest.subarray(9, 9 + length) }
    rest = rest.subarray(9 + length)
    if (isFirst && frame.type !== types.settings) faults.push(`begins with ${h2.shown(frame)}`)
    isFirst = false
    if (length > 16_384) faults.push(`a frame of ${length} bytes`)
    if (frame.type === types.goaway) goaway = frame.payload.readUInt32BE(4)
    if (frame.type === types.ping && frame.flags === flags.ack && frame.payload.equals(lastPing.subarray(9))) isPinged = true
    if (frame.type === types.pushPromise || frame.type > types.continuation) faults.push(`sends ${h2.shown(frame)}`)
    if ([types.headers, types.data, types.reset].includes(frame.type as 0)) takeStreamFrame(frame, streams, faults)
  }
  return { streams, faults, goaway, isPinged }
}

const takeStreamFrame = (frame: h2.Frame, streams: Map<number, StreamHeard>, faults: string[]): void => {
  const stream = streams.get(frame.id) ?? { answer: undefined, parts: [], ended: false, isReset: false }
  streams.set(frame.id, stream)
  if (frame.id % 2 === 0) faults.push(`${h2.shown(frame)} on a stream that no client opens`)
  if (stream.isReset || (stream.ended && frame.type !== types.reset)) faults.push(`${h2.shown(frame)} behind the end of its stream`)
  if (frame.type === types.reset) {
    stream.isReset = true
    return
  }
  if ((frame.flags & (flags.padded | (frame.type === types.headers ? flags.priority : 0))) !== 0)
    faults.push(`padding in ${h2.shown(frame)}`)
  if (frame.type === types.headers) takeHead(frame, stream, faults)
  else if (stream.answer === undefined) faults.push('a body without a head')
  else stream.parts.push(frame.payload)
  if ((frame.flags & flags.endStream) !== 0) stream.ended = true
}

const fieldName = /^:status$|^[a-z0-9-]+$/
const fieldValue = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/
const forbidden = new Set(['connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'proxy-connection'])
const repeatable = new Set(['set-cookie', 'link', 'vary', 'www-authenticate'])

const takeHead = (frame: h2.Frame, stream: StreamHeard, faults: string[]): void => {
  if ((frame.flags & flags.endHeaders) === 0) {
    faults.push('an answer with a head of more than 16 KiB')
    return
  }
  const fields = new Map<string, string>()
  for (const [name, value] of decodeFields(frame.payload)) {
    if (!fieldName.test(name) || !fieldValue.test(value)) faults.push(`not a field: ${JSON.stringify([name, value]).slice(0, 200)}`)
    if (forbidden.has(name)) faults.push(`${name} in HTTP/2`)
    if (fields.has(name) && !repeatable.has(name)) faults.push(`${name} stands there twice`)
    fields.set(name, value)
  }
  const status = Number(fields.get(':status'))
  if (status === 100) return
  if (stream.answer !== undefined) faults.push('two answers on one stream')
  stream.answer = { status, fields, body: Buffer.alloc(0), hasBody: true }
}

interface SentStreams {
  readonly opened: ReadonlySet<number>
  /** Those that the client ended, and did not take back. */
  readonly ended: ReadonlySet<number>
}

/** What a client sent, so far as its frames can be trusted. */
const sentStreams = (bytes: Buffer): SentStreams => {
  const opened = new Set<number>()
  const ended = new Set<number>()
  if (!isWhole(bytes)) return { opened, ended }
  for (let at = h2.preface.length; at < bytes.length; at += 9 + bytes.readUIntBE(at, 3)) {
    const [type, bits, id] = [bytes[at + 3] ?? 0, bytes[at + 4] ?? 0, bytes.readUInt32BE(at + 5)]
    if (type === types.headers) opened.add(id)
    if ((type === types.headers || type === types.data) && (bits & flags.endStream) !== 0) ended.add(id)
    if (type === types.reset) ended.delete(id)
  }
  return { opened, ended }
}

const isSettled = ({ streams }: ConnectionHeard, id: number): boolean => {
  const stream = streams.get(id)
  return stream !== undefined && (stream.ended || stream.isReset)
}

/** When a client that waits has all that it can wait for. */
export const isAnsweredHttp2 = ({ bytes }: Pick<Case, 'bytes'>): ((received: Buffer) => boolean) => {
  const ids = [...sentStreams(bytes).ended]
  return (received) => {
    const heard = readConnection(received, true)
    return heard.isPinged && ids.every((id) => isSettled(heard, id))
  }
}

/** The same as for HTTP/1.1, of frames: there the order of answers is free, and one broken request need not end the others. */
export const judgeHttp2 = (one: Case, received: Heard, lines: readonly LogRecord[]): Verdict => {
  const { opened, ended } = sentStreams(one.bytes)
  const isGone = one.ending !== 'wait' || received.end === 'late'
  const heard = readConnection(received.received, isGone || received.end === 'reset')
  // Who leaves when the answers to whole requests are there leaves others in the making; so does a server that ends a broken connection.
  const isUndisturbed = heard.isPinged && ![...heard.streams.values()].some(({ isReset }) => isReset)
  const isStrict = !isGone && isUndisturbed && heard.goaway === undefined && opened.size === ended.size
  const faults = [...heard.faults]
  if (received.end === 'late') {
    const open = [...ended].filter((id) => !isSettled(heard, id))
    faults.push(`neither answered nor ended; ${heard.isPinged ? 'pinged' : 'not even pinged'}, streams ${open.join(', ')}`)
  }
  const answers: Answer[] = []
  for (const [id, stream] of heard.streams) {
    const { answer, ended: isEnded, isReset } = stream
    if (answer === undefined) continue
    const line = lines.find((known) => known['request_id'] === answer.fields.get('x-request-id'))
    const whole = { ...answer, body: Buffer.concat(stream.parts), hasBody: isEnded && mayHaveBody(answer, line) }
    answers.push(whole)
    faults.push(...faultsOfAnswer(whole), ...faultsOfLength(whole))
    if (!isEnded && !isReset && isStrict) faults.push(`an answer without its end on stream ${id}`)
  }
  if (opened.size > 0 && lines.length > opened.size) faults.push(`${lines.length} requests on ${opened.size} streams`)
  // A stream that the server resets has no answer: the log says that it was aborted.
  const isAborted = (line: LogRecord): boolean =>
    line['verdict'] === 'aborted' && !answers.some(({ fields }) => fields.get('x-request-id') === line['request_id'])
  faults.push(...faultsOfLog({ answers, lines: lines.filter((line) => !isAborted(line)), isGone: !isStrict }))
  const kinds = [...heard.streams.values()].map(({ answer, isReset }) => (isReset ? 'reset' : String(answer?.status)))
  const signature = `h2 ${heard.goaway ?? ''} ${received.end} ${kinds.toSorted().join(' ')} ${lines.length}`
  return { faults, signature, answers: answers.length, isStrict }
}

const mayHaveBody = ({ status }: Answer, line: LogRecord | undefined): boolean =>
  line?.['method'] !== 'HEAD' && status !== 204 && status !== 304

const faultsOfLength = ({ fields, body, hasBody }: Answer): readonly string[] => {
  const length = fields.get('content-length')
  return hasBody && length !== String(body.length) ? [`a body of ${body.length} instead of ${length ?? 'unknown'} bytes`] : []
}
