import { subscribe } from 'node:diagnostics_channel'
import type { ClientHttp2Stream } from 'node:http2'
import { Socket } from 'node:net'

/** Takes a piece of what went over the wire, with the end of the piece before. */
export type Hear = (text: string) => void

/** How much of a piece is heard again with the next one: what is looked for may be cut anywhere. */
const overlap = 4096
/** Of one piece; secrets stand near its beginning. */
const most = 256 * 1024

const asText = (chunk: unknown): string => {
  if (typeof chunk === 'string') return chunk.slice(0, most)
  return chunk instanceof Uint8Array ? Buffer.from(chunk.buffer, chunk.byteOffset, Math.min(chunk.byteLength, most)).toString() : ''
}

const createPieces = (hear: Hear) => {
  const ends = new WeakMap<object, string>()
  return (of: object, chunk: unknown): void => {
    const text = (ends.get(of) ?? '') + asText(chunk)
    ends.set(of, text.slice(-overlap))
    hear(text)
  }
}

/** Standard output of a child is a socket, too: it is where secrets are looked for, not where they come from. */
const isPipe = (socket: Socket): boolean => {
  const { _handle: inner } = socket as unknown as { readonly _handle?: object | null }
  return inner?.constructor.name === 'Pipe'
}

type Method = (this: Socket, ...given: unknown[]) => unknown

/**
 * Hears everything that this process sends and receives over TCP, TLS and HTTP/2 as a client or a server, whichever library does it, in clear
 * text. Nothing else is changed: each call goes on to what it called before.
 */
export const tapWire = (hear: Hear): void => {
  const [sent, received] = [createPieces(hear), createPieces(hear)]
  const methods = Socket.prototype as unknown as Record<'write' | 'end' | 'push', Method>
  for (const [name, take] of [
    ['write', sent],
    ['end', sent],
    ['push', received],
  ] as const) {
    const original = methods[name]
    methods[name] = function heard(this: Socket, ...given) {
      if (given[0] !== undefined && given[0] !== null && !isPipe(this)) take(this, given[0])
      return original.apply(this, given)
    }
  }
  tapHttp2(hear, sent, received)
}

interface StreamMessage {
  readonly stream: ClientHttp2Stream
  readonly headers: Readonly<Record<string, unknown>>
  readonly data: unknown
}

/** HTTP/2 packs its fields and hands its data around the socket's own methods; Node tells of streams on channels. */
const onStream = (channel: string, take: (message: StreamMessage) => void): void =>
  subscribe(`http2.client.stream.${channel}`, (message) => take(message as StreamMessage))

const tapHttp2 = (hear: Hear, sent: (of: object, chunk: unknown) => void, received: (of: object, chunk: unknown) => void): void => {
  const hearFields = ({ headers }: StreamMessage): void => {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${[value].flat().join('; ')}\r\n`)
    hear(lines.join(''))
  }
  onStream('created', (message) => {
    hearFields(message)
    const { stream } = message
    const push = stream.push.bind(stream)
    stream.push = (chunk, ...rest) => {
      if (chunk !== null) received(stream, chunk)
      return push(chunk, ...rest)
    }
  })
  onStream('finish', hearFields)
  onStream('bodyChunkSent', ({ stream, data }) => {
    for (const chunk of [data].flat()) sent(stream, (chunk as { readonly chunk?: unknown }).chunk ?? chunk)
  })
}
