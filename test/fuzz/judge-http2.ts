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
  if ((frame.flags & (flags.padded | (frame.type === types.headers ? flags.priority : 0))) !== 0) faults.push(`padding in ${h2.shown(frame)}`)
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

/** Streams that a client ended in good order, in the sequence of their frames, so far as the frames can be trusted. */
const endedStreams = (bytes: Buffer): ReadonlyMap<number, string> => {
  const ended = new Map<number, string>()
  const blocks = new Map<number, string>()
  if (!isWhole(bytes)) return ended
  for (let at = h2.preface.length; at < bytes.length; ) {
    const length = bytes.readUIntBE(at, 3)
    const [type, bits, id] = [bytes[at + 3] ?? 0, bytes[at + 4] ?? 0, bytes.readUInt32BE(at + 5)]
    if ((type === types.headers || type === types.continuation) && !ended.has(id))
      blocks.set(id, (blocks.get(id) ?? '') + bytes.toString('latin1', at + 9, at + 9 + length))
    if ((type === types.headers || type === types.data) && (bits & flags.endStream) !== 0) ended.set(id, blocks.get(id) ?? '')
    if (type === types.reset) ended.delete(id)
    at += 9 + length
  }
  return ended
}

const isSettled = ({ streams }: ConnectionHeard, id: number): boolean => {
  const stream = streams.get(id)
  return stream !== undefined && (stream.ended || stream.isReset)
}

/** When a client that waits has all that it can wait for. */
export const isAnsweredHttp2 = ({ bytes }: Pick<Case, 'bytes'>): ((received: Buffer) => boolean) => {
  const ids = [...endedStreams(bytes).keys()]
  return (received) => {
    const heard = readConnection(received, true)
    return heard.isPinged && ids.every((id) => isSettled(heard, id))
  }
}

/** The same as for HTTP/1.1, of frames: there the order of answers is free, and one broken request need not end the others. */
export const judgeHttp2 = (one: Case, received: Heard, lines: readonly LogRecord[]): Verdict => {
  const isGone = one.ending !== 'wait' || received.end === 'late'
  const ended = endedStreams(one.bytes)
  const heard = readConnection(received.received, isGone || received.end === 'reset')
  const faults = [...heard.faults]
  if (received.end === 'late') {
    const open = [...ended.keys()].filter((id) => !isSettled(heard, id))
    faults.push(`neither answered nor ended; ${heard.isPinged ? 'pinged' : 'not even pinged'}, streams ${open.join(', ')}`)
  }
  const answers: Answer[] = []
  for (const [id, { answer, parts, ended: isEnded, isReset }] of heard.streams) {
    if (answer === undefined) continue
    const isHead = /:method\x04HEAD/.test(ended.get(id) ?? '')
    const body = Buffer.concat(parts)
    const length = answer.fields.get('content-length')
    const whole = { ...answer, body, hasBody: !(isHead || answer.status === 204 || answer.status === 304) && isEnded }
    answers.push(whole)
    faults.push(...faultsOfAnswer(whole))
    if (isEnded && whole.hasBody && length !== String(body.length)) faults.push(`a body of ${body.length} instead of ${length ?? 'unknown'} bytes`)
    if (!isEnded && !isReset && !isGone && heard.goaway === undefined) faults.push(`an answer without its end on stream ${id}`)
  }
  // Streams that end before their answer are no answer: the log says that they were aborted.
  const unheard = lines.filter((line) => line['verdict'] === 'aborted' || line['status'] === null)
  const told = lines.filter((line) => !unheard.includes(line) || answers.some(({ fields }) => fields.get('x-request-id') === line['request_id']))
  faults.push(...faultsOfLog({ answers, lines: told, isGone: isGone || heard.goaway !== undefined }))
  const kinds = [...heard.streams.values()].map(({ answer, isReset }) => (isReset ? 'reset' : String(answer?.status)))
  const signature = `h2 ${heard.goaway ?? ''} ${received.end} ${kinds.toSorted().join(' ')} ${unheard.length}`
  return { faults, signature, answers: answers.length, isStrict: one.ending === 'wait' }
}
