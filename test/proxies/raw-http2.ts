import type { TLSSocket } from 'node:tls'

/** Fields as they are put on the wire; nothing is checked or lowered. */
export type RawFields = readonly (readonly [name: string, value: string])[]

export interface RawRequest {
  readonly fields: RawFields
  /** In DATA frames. */
  readonly data?: string
  readonly trailers?: RawFields
}

export interface RawOutcome {
  /** Of the answer, where one came. */
  readonly status: number | undefined
  readonly body: string
  /** Error codes of RFC 9113 section 7. */
  readonly reset: number | undefined
  readonly goneAway: number | undefined
  readonly ended: boolean
}

const frame = (type: number, flags: number, stream: number, payload: Buffer): Buffer => {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head.writeUInt8(type, 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

const types = { data: 0, headers: 1, rst: 3, settings: 4, ping: 6, goaway: 7 } as const
const flag = { endStream: 1, ack: 1, endHeaders: 4 } as const

/** RFC 7541 section 5.1, with a prefix of 7 bits. */
const integer = (value: number): Buffer => {
  if (value < 127) return Buffer.from([value])
  const bytes = [127]
  let rest = value - 127
  for (; rest >= 128; rest >>= 7) bytes.push((rest & 127) | 128)
  return Buffer.from([...bytes, rest])
}

const text = (value: string): Buffer => {
  const bytes = Buffer.from(value, 'latin1')
  return Buffer.concat([integer(bytes.length), bytes])
}

/** Literals without indexing (RFC 7541 section 6.2.2), none of them compressed. */
const headerBlock = (fields: RawFields): Buffer =>
  Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]))

const preface = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  // No table, so that an answer can be read without one; no push.
  frame(types.settings, 0, 0, Buffer.from([0, 1, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0])),
])

const requestFrames = ({ fields, data, trailers }: RawRequest): Buffer => {
  const last = data === undefined && trailers === undefined
  return Buffer.concat([
    frame(types.headers, flag.endHeaders | (last ? flag.endStream : 0), 1, headerBlock(fields)),
    ...(data === undefined ? [] : [frame(types.data, trailers === undefined ? flag.endStream : 0, 1, Buffer.from(data, 'latin1'))]),
    ...(trailers === undefined ? [] : [frame(types.headers, flag.endHeaders | flag.endStream, 1, headerBlock(trailers))]),
  ])
}

/** One request on a connection of its own (ALPN h2). Resolves with its answer, or when the other side ends it or falls silent. */
export const sendHttp2 = (socket: TLSSocket, request: RawRequest, quietMs = 1000): Promise<RawOutcome> =>
  new Promise((resolve) => {
    let buffer = Buffer.alloc(0)
    let outcome: RawOutcome = { status: undefined, body: '', reset: undefined, goneAway: undefined, ended: false }
    const finish = (): void => {
      for (const event of ['data', 'close', 'timeout', 'error']) socket.removeAllListeners(event)
      socket.setTimeout(0).on('error', () => undefined)
      resolve(outcome)
    }
    /** Whether there is no more to come. */
    const take = (type: number, flags: number, payload: Buffer): boolean => {
      if (type === types.settings && (flags & flag.ack) === 0) socket.write(frame(types.settings, flag.ack, 0, Buffer.alloc(0)))
      if (type === types.headers) outcome = { ...outcome, status: outcome.status ?? statusOf(payload) }
      if (type === types.data) outcome = { ...outcome, body: outcome.body + payload.toString('utf8') }
      if (type === types.rst) outcome = { ...outcome, reset: payload.readUInt32BE(0) }
      if (type === types.goaway) outcome = { ...outcome, goneAway: payload.readUInt32BE(4) }
      const isEnd = (type === types.headers || type === types.data) && (flags & flag.endStream) !== 0
      return isEnd || type === types.rst || (type === types.goaway && outcome.goneAway !== 0)
    }
    socket.setTimeout(quietMs, finish)
    socket.once('error', () => undefined)
    socket.once('close', () => {
      outcome = { ...outcome, ended: true }
      finish()
    })
    socket.on('data', (chunk: Buffer) => {
      buffer = Buffer.concat([buffer, chunk])
      while (buffer.length >= 9 && buffer.length >= 9 + buffer.readUIntBE(0, 3)) {
        const end = 9 + buffer.readUIntBE(0, 3)
        const over = take(buffer.readUInt8(3), buffer.readUInt8(4), buffer.subarray(9, end))
        buffer = buffer.subarray(end)
        if (over) return finish()
      }
    })
    socket.write(Buffer.concat([preface, requestFrames(request)]))
  })

/** Of an answer's header block, which begins with it (RFC 9113 section 8.3.2): indexed, or a literal with the name's index. */
const statusOf = (block: Buffer): number | undefined => {
  let at = 0
  // Updates of the table's size come first.
  while (((block[at] ?? 0) & 0xe0) === 0x20) at++
  const first = block[at] ?? 0
  if ((first & 0x80) !== 0) return [200, 204, 206, 304, 400, 404, 500][(first & 0x7f) - 8]
  const length = block[at + 1] ?? 0
  const value = block.subarray(at + 2, at + 2 + (length & 0x7f))
  return Number((length & 0x80) === 0 ? value.toString() : huffmanDigits(value))
}

/** Of the code of RFC 7541 appendix B. */
const digitCodes = ['00000', '00001', '00010', '011001', '011010', '011011', '011100', '011101', '011110', '011111']

const huffmanDigits = (bytes: Buffer): string => {
  let bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('')
  let digits = ''
  while (digits.length < 3) {
    const digit = digitCodes.findIndex((code) => bits.startsWith(code))
    if (digit === -1) return ''
    digits += String(digit)
    bits = bits.slice(digitCodes[digit]?.length)
  }
  return digits
}
