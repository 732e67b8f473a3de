import { once } from 'node:events'
import { connect, type TLSSocket } from 'node:tls'

/** Frame types of RFC 9113 section 6; any other number is an unknown one. */
export const frameTypes = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const

export const flags = { none: 0, endStream: 1, ack: 1, endHeaders: 4, padded: 8, priority: 32 } as const

export const errorCodes = {
  none: 0,
  protocol: 1,
  flowControl: 3,
  streamClosed: 5,
  frameSize: 6,
  refused: 7,
  cancel: 8,
  compression: 9,
  calm: 11,
} as const

export interface Frame {
  readonly type: number
  readonly flags: number
  readonly id: number
  readonly payload: Buffer
}

export type Fields = readonly (readonly [name: string, value: string])[]

const none = Buffer.alloc(0)

/** The bytes of a frame; nothing is checked. */
export const frame = (type: number, frameFlags: number, id: number, payload: Buffer = none): Buffer => {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = frameFlags
  head.writeUInt32BE(id, 5)
  return Buffer.concat([head, payload])
}

export const word = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** An HPACK integer of so many bits (RFC 7541 section 5.1). */
const integer = (value: number, bits: number, first = 0): Buffer => {
  const most = 2 ** bits - 1
  if (value < most) return Buffer.from([first | value])
  const bytes = [first | most]
  let rest = value - most
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128)
  return Buffer.from([...bytes, rest])
}

const text = (value: string): Buffer => {
  const bytes = Buffer.from(value, 'latin1')
  return Buffer.concat([integer(bytes.length, 7), bytes])
}

/** Field lines as they stand, in letters, in no table (RFC 7541 section 6.2.2). */
export const block = (fields: Fields): Buffer =>
  Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]))

/** The same, put into the dynamic table (section 6.2.1); `repeated(n)` then names the newest by one byte each time. */
export const indexed = (name: string, value: string): Buffer => Buffer.concat([Buffer.from([0x40]), text(name), text(value)])
export const repeated = (count: number): Buffer => Buffer.alloc(count, 0x80 | 62)

type Pseudo = 'method' | 'scheme' | 'authority' | 'path'

/** The pseudo-fields of a request, each of which can be another, or left out by null, and what comes behind. */
export const request = (parts: Readonly<Partial<Record<Pseudo, string | null>>> = {}, fields: Fields = []): Fields => {
  const pseudo = { method: 'GET', scheme: 'https', authority: 'localhost', path: '/v1/films/1', ...parts }
  return [...Object.entries(pseudo).flatMap(([name, value]) => (value === null ? [] : [[`:${name}`, value] as const])), ...fields]
}

export const headers = (id: number, fields: Fields, frameFlags: number = flags.endStream | flags.endHeaders): Buffer =>
  frame(frameTypes.headers, frameFlags, id, block(fields))

export const data = (id: number, payload: string | Buffer, frameFlags: number = flags.endStream): Buffer =>
  frame(frameTypes.data, frameFlags, id, Buffer.from(payload as string))

export const reset = (id: number, code: number = errorCodes.cancel): Buffer => frame(frameTypes.reset, 0, id, word(code))
export const windowUpdate = (id: number, increment: number): Buffer => frame(frameTypes.windowUpdate, 0, id, word(increment))
export const ping = (): Buffer => frame(frameTypes.ping, 0, 0, Buffer.alloc(8))

export const settings = (entries: readonly (readonly [id: number, value: number])[] = []): Buffer => {
  const payload = Buffer.concat(entries.map(([id, value]) => Buffer.concat([Buffer.from([id >> 8, id & 255]), word(value)])))
  return frame(frameTypes.settings, 0, 0, payload)
}

export const settingsAck = frame(frameTypes.settings, flags.ack, 0)
export const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')

/** What a connection begins with when its client is quick. Answers use no dynamic table, so that they can be read. */
export const hello = Buffer.concat([preface, settings([[1, 0]]), settingsAck])

export interface FrameClient extends Disposable {
  readonly socket: TLSSocket
  readonly frames: readonly Frame[]
  send(...parts: readonly Buffer[]): void
  /** The first frame that fits, also one that is there already; rejects when the connection ends without one. */
  next(fits: (frame: Frame) => boolean): Promise<Frame>
  /** Resolves when the server has ended the connection, with the code of its GOAWAY, if there was one. */
  readonly ended: Promise<number | undefined>
}

export interface FrameClientOptions {
  /** PEM of the server's authority. */
  readonly ca: string
  /** The loopback address to come from. */
  readonly from?: string
  readonly protocol?: string
}

/** A TLS connection with HTTP/2 by ALPN on which any bytes can be sent. */
export const openFrames = async (port: number, { ca, from, protocol = 'h2' }: FrameClientOptions): Promise<FrameClient> => {
  const socket = connect({
    port,
    host: '127.0.0.1',
    servername: 'localhost',
    ca,
    ALPNProtocols: [protocol],
    ...(from === undefined ? {} : { localAddress: from }),
  })
  const frames: Frame[] = []
  const waiters = new Set<(frame: Frame) => void>()
  let bytes = none
  socket.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk])
    for (;;) {
      const length = bytes.length < 9 ? Infinity : bytes.readUIntBE(0, 3)
      if (bytes.length < 9 + length) return
      const one = { type: bytes[3] ?? 0, flags: bytes[4] ?? 0, id: bytes.readUInt32BE(5), payload: bytes.subarray(9, 9 + length) }
      bytes = bytes.subarray(9 + length)
      frames.push(one)
      for (const waiter of waiters) waiter(one)
    }
  })
  await once(socket, 'secureConnect')
  socket.on('error', () => undefined)
  const ended = new Promise<number | undefined>((resolve) => {
    socket.once('close', () => resolve(frames.findLast(({ type }) => type === frameTypes.goaway)?.payload.readUInt32BE(4)))
  })
  const next = (fits: (frame: Frame) => boolean): Promise<Frame> => {
    const known = frames.find(fits)
    if (known !== undefined) return Promise.resolve(known)
    return new Promise((resolve, reject) => {
      const waiter = (one: Frame): void => {
        if (fits(one)) resolve(one)
      }
      waiters.add(waiter)
      void ended.then((code) => reject(new Error(`the connection ended (GOAWAY ${code}); came: ${frames.map(shown).join(' ')}`)))
    })
  }
  return {
    socket,
    frames,
    send: (...parts) => void (socket.destroyed || socket.write(Buffer.concat(parts))),
    next,
    ended,
    [Symbol.dispose]: () => void socket.destroy(),
  }
}

export const shown = ({ type, flags: set, id, payload }: Frame): string => {
  const name = Object.entries(frameTypes).find(([, number]) => number === type)?.[0] ?? String(type)
  const code =
    type === frameTypes.reset ? ` code ${payload.readUInt32BE()}` : type === frameTypes.goaway ? ` code ${payload.readUInt32BE(4)}` : ''
  return `${name}(${id}, ${set}${code})`
}

/** The end of a stream as its client sees it: its status where there was an answer, else the code of its reset. */
export const outcome = async (client: FrameClient, id: number): Promise<{ status?: number; body?: string; resetCode?: number }> => {
  const last = await client.next(
    ({ type, id: of, flags: set }) =>
      of === id &&
      (type === frameTypes.reset || ((type === frameTypes.data || type === frameTypes.headers) && (set & flags.endStream) !== 0)),
  )
  const first = client.frames.find((one) => one.type === frameTypes.headers && one.id === id)
  if (first === undefined) return { resetCode: last.payload.readUInt32BE() }
  const body = client.frames.filter((one) => one.type === frameTypes.data && one.id === id).map(({ payload }) => payload)
  return { status: statusOf(first.payload), body: Buffer.concat(body).toString() }
}

/** nghttp2 writes :status first: indexed where the static table has it (RFC 7541 appendix A), else three digits behind the table's name. */
const statusOf = (payload: Buffer): number => {
  // An update of the table's size may stand before all fields.
  const at = payload.findIndex((byte) => (byte & 0xe0) !== 0x20)
  const first = payload[at] ?? 0
  const known: Readonly<Record<number, number>> = { 8: 200, 9: 204, 10: 206, 11: 304, 12: 400, 13: 404, 14: 500 }
  if (first >= 0x80) return known[first & 0x7f] ?? 0
  const length = payload[at + 1] ?? 0
  const value = payload.subarray(at + 2, at + 2 + (length & 0x7f))
  return Number(length < 0x80 ? value.toString('latin1') : huffmanDigits(value))
}

/** Three digits in the code of RFC 7541 appendix B: 0 to 2 have five bits, the others six. */
const huffmanDigits = (bytes: Buffer): string => {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('')
  let digits = ''
  for (let at = 0; digits.length < 3;) {
    const five = Number.parseInt(bits.slice(at, at + 5), 2)
    const isShort = five < 3
    digits += isShort ? five : Number.parseInt(bits.slice(at, at + 6), 2) - 0x16
    at += isShort ? 5 : 6
  }
  return digits
}
