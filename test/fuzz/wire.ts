import { once } from 'node:events'
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

import { type Case, piecesOf } from './case.ts'

export interface Heard {
  readonly received: Buffer
  /** How the connection came to its end; `late` is one that the server would have kept. */
  readonly end: 'closed' | 'reset' | 'late'
  readonly tookMs: number
  /** The handshake was through: else nothing was sent. */
  readonly isOpen: boolean
}

export interface Place {
  readonly port: number
  /** PEM; with it TLS is spoken. */
  readonly ca: string | undefined
}

/** What is sent, and from where. */
export interface Talk extends Pick<Case, 'bytes' | 'cuts' | 'ending'> {
  /** A loopback address. */
  readonly from: string
  /** Where TLS is spoken. */
  readonly alpn: 'h2' | 'http/1.1'
  /** What lasts longer lasts for ever. */
  readonly patienceMs: number
  /** Sees all that came so far; true when nothing more is waited for. */
  readonly isDone?: (received: Buffer) => boolean
}

/** The connection, and what is spoken on it: the same where there is no TLS. */
const open = ({ from, alpn }: Talk, { port, ca }: Place): { readonly tcp: Socket; readonly socket: Socket; readonly ready: string } => {
  const tcp = connectTcp({ port, host: '127.0.0.1', localAddress: from, noDelay: true, allowHalfOpen: true })
  if (ca === undefined) return { tcp, socket: tcp, ready: 'connect' }
  return { tcp, socket: connectTls({ socket: tcp, ca, servername: 'localhost', ALPNProtocols: [alpn] }), ready: 'secureConnect' }
}

/** Sends one case as it stands, a packet for each piece, and hears to the end what the server has to say. */
export const talk = async (one: Talk, place: Place): Promise<Heard> => {
  const { tcp, socket, ready } = open(one, place)
  const startedMs = performance.now()
  const chunks: Buffer[] = []
  let end: Heard['end'] = 'closed'
  let isOpen = false
  socket.once(ready, () => (isOpen = true))
  // A 'close' follows every 'error'. A broken TLS record and a reset are both ways to go without a word.
  socket.on('error', () => (end = 'reset'))
  tcp.on('error', () => (end = 'reset'))
  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk)
    if (one.isDone?.(Buffer.concat(chunks)) === true) socket.end()
  })
  socket.on('end', () => socket.end())
  const patience = setTimeout(() => {
    end = 'late'
    tcp.destroy()
  }, one.patienceMs)
  const closed = once(socket, 'close').catch(() => undefined)
  await Promise.race([once(socket, ready).catch(() => undefined), closed])
  for (const piece of piecesOf(one)) {
    if (!socket.writable) break
    socket.write(piece)
    // Gives the piece a packet of its own, and the server a chance to see it alone.
    await new Promise(setImmediate)
  }
  if (one.ending === 'half-close') socket.end()
  if (one.ending === 'reset') tcp.resetAndDestroy()
  await closed
  clearTimeout(patience)
  // Below TLS it may still be half open.
  tcp.destroy()
  return { received: Buffer.concat(chunks), end, tookMs: performance.now() - startedMs, isOpen }
}
