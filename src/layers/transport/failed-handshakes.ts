import type { Server, Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'

export interface HandshakeBounds {
  /** So many failures at once are nothing special. */
  readonly burst: number
  /** And so many for ever. */
  readonly perSecond: number
  /** Clients of whom failures are remembered. */
  readonly mostClients: number
}

export interface FailedHandshakesOptions {
  readonly monotonicMs: () => number
  readonly clientPrefixOf: (socket: Socket) => string
  readonly isTrusted: (socket: Socket) => boolean
  /** A connection was closed before its handshake began. */
  readonly onTooMany: (socket: Socket) => void
  readonly bounds?: HandshakeBounds
}

/**
 * The burst: as many as one client may have open by default, so that all of them may break off together, by a reset network or by browsers that
 * do not know our authority. The rate: 3,000 a second fill a core with a key of P-256, so what remains of a flood costs a hundredth of one, a few
 * with RSA, while probes that only connect, or clients that were left with a wrong certificate, come once in seconds.
 * The clients: a failure is forgotten after 50 ms, so whoever wants to keep so many in mind must fail 400,000 times a second.
 */
const defaultBounds: HandshakeBounds = { burst: 256, perSecond: 20, mostClients: 20_000 }

/**
 * How many connections of each client ended before their handshake was complete: a leaky bucket each. One captured ClientHello, sent again and
 * again, costs a client nothing and the server a signature each (RFC 8446 section 4.4.3), before there is a request that any limit could count.
 * Whoever completes a handshake has done work of its own, and is never counted.
 */
export class FailedHandshakes {
  readonly #options: FailedHandshakesOptions
  readonly #bounds: HandshakeBounds
  /** How long it takes to forget one. */
  readonly #eachMs: number
  /** When the last failure of a client is forgotten. What is open at once may take it beyond the burst, and is paid back like the rest. */
  readonly #emptyAtMs = new Map<string, number>()
  #hand = this.#emptyAtMs.entries()

  constructor(options: FailedHandshakesOptions) {
    this.#options = options
    this.#bounds = options.bounds ?? defaultBounds
    this.#eachMs = 1000 / this.#bounds.perSecond
  }

  /** After the other bounds of connections: what they close has cost no handshake. */
  attach(server: Server): void {
    const { clientPrefixOf, isTrusted, onTooMany } = this.#options
    const pending = new Set<Socket>()
    let isBlind = false
    server.on('connection', (socket: Socket) => {
      if (socket.destroyed || isTrusted(socket)) return
      // Those that were reset before they were accepted have no address any more, and one bucket together: they hurt nobody who can be answered.
      const prefix = clientPrefixOf(socket)
      if (this.isFull(prefix)) {
        onTooMany(socket)
        socket.destroy()
        return
      }
      pending.add(socket)
      socket.once('close', () => {
        if (pending.delete(socket) && !isBlind) this.add(prefix)
      })
    })
    // Before anybody who could close it.
    server.prependListener('secureConnection', (socket: TLSSocket) => {
      const connection = connectionBelow(socket)
      if (connection === undefined) isBlind = true
      else pending.delete(connection)
    })
  }

  /** Whether another failure would be too much. */
  isFull(prefix: string): boolean {
    const emptyAtMs = this.#emptyAtMs.get(prefix)
    if (emptyAtMs === undefined) return false
    return emptyAtMs - this.#options.monotonicMs() > (this.#bounds.burst - 1) * this.#eachMs
  }

  add(prefix: string): void {
    const nowMs = this.#options.monotonicMs()
    this.#tidy(nowMs)
    const emptyAtMs = this.#emptyAtMs.get(prefix)
    // Never at the cost of somebody who is remembered: else a flood from many addresses would be the way to be forgotten.
    if (emptyAtMs === undefined && this.#emptyAtMs.size >= this.#bounds.mostClients) return
    this.#emptyAtMs.set(prefix, Math.max(nowMs, emptyAtMs ?? nowMs) + this.#eachMs)
  }

  get remembered(): number {
    return this.#emptyAtMs.size
  }

  /** Drops empty buckets. A few steps round the map for each that may be added: it gets round, and nobody waits for it. */
  #tidy(nowMs: number): void {
    for (let step = 0; step < tidySteps; step++) {
      const { value, done } = this.#hand.next()
      if (done) {
        this.#hand = this.#emptyAtMs.entries()
        return
      }
      const [prefix, emptyAtMs] = value
      if (emptyAtMs <= nowMs) this.#emptyAtMs.delete(prefix)
    }
  }
}

/** More than one, or the hand would never get round while every failure is that of somebody new. */
const tidySteps = 4

/**
 * The connection that a TLSSocket was made of. No address serves for that: whoever resets the connection behind the last message of the handshake
 * has none left. Undefined in a Node that keeps it elsewhere; then nobody can be told from those who fail, and nobody is counted.
 */
const connectionBelow = (socket: TLSSocket): Socket | undefined =>
  (socket as { readonly ['_parent']?: Socket | null })['_parent'] ?? undefined
