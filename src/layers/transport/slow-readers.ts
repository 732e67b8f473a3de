import type { Server, Socket } from 'node:net'

export interface SlowReadersOptions {
  readonly monotonicMs: () => number
  /** Over so long the rate is averaged: who begins to wait is looked at when it is over, and again each time. */
  readonly windowMs: number
  readonly leastBytesPerSecond: number
  /** Closes the connection of a reader that is slower. */
  readonly cut: (socket: Socket) => void
}

/** What libuv knows of a connection; Node's own time-out of sockets reads the same. */
interface Handle {
  /** Handed over so far, what is queued included. */
  readonly bytesWritten: number
  /** What the system did not take yet. */
  readonly writeQueueSize: number
}

interface Waiting {
  sinceMs: number
  taken: number
}

/** Undefined where the connection is closed. */
const handleOf = (socket: object): Handle | undefined => (socket as { readonly ['_handle']?: Handle | null })['_handle'] ?? undefined

/** Whether what was written to a TLS connection waits for the TCP connection below it. */
export const waitsForTcp = (socket: object): boolean => {
  const { _parent: below } = socket as { readonly ['_parent']?: object | null }
  return ((below && handleOf(below)) ?? handleOf(socket))?.writeQueueSize !== 0
}

/** Often enough to hold the bound, seldom enough to cost nothing. */
const lookMs = 1000

/**
 * Cuts readers that leave an answer untaken, or take it byte by byte ("slow read": slowhttptest -X). Their requests are all complete, so no
 * deadline of Node's speaks of them. A reader is seen as soon as the system's own buffers are full, which is when an answer begins to hold our
 * memory. What is looked at is the TCP connection below TLS and HTTP/2, where the system takes bytes in the same way for all of them.
 */
export class SlowReaders {
  readonly #options: SlowReadersOptions
  readonly #sockets = new Set<Socket>()
  readonly #waiting = new Map<Socket, Waiting>()

  constructor(options: SlowReadersOptions) {
    this.#options = options
  }

  /** For as long as the server listens. */
  watch(server: Server): void {
    const { windowMs, monotonicMs } = this.#options
    server.on('connection', (socket: Socket) => this.add(socket))
    server.once('listening', () => {
      const timer = setInterval(() => this.look(monotonicMs()), Math.min(lookMs, windowMs / 4)).unref()
      server.once('close', () => clearInterval(timer))
    })
  }

  add(socket: Socket): void {
    this.#sockets.add(socket)
    socket.once('close', () => {
      this.#sockets.delete(socket)
      this.#waiting.delete(socket)
    })
  }

  look(nowMs: number): void {
    for (const socket of this.#sockets) {
      const handle = handleOf(socket)
      if (handle === undefined) continue
      const { writeQueueSize } = handle
      if (writeQueueSize > 0) this.#judge(socket, handle.bytesWritten - writeQueueSize, nowMs)
      else if (this.#waiting.size > 0) this.#waiting.delete(socket)
    }
  }

  #judge(socket: Socket, taken: number, nowMs: number): void {
    const { windowMs, leastBytesPerSecond, cut } = this.#options
    const waiting = this.#waiting.get(socket)
    if (waiting === undefined) {
      this.#waiting.set(socket, { sinceMs: nowMs, taken })
      return
    }
    const elapsedMs = nowMs - waiting.sinceMs
    if (elapsedMs < windowMs) return
    if ((taken - waiting.taken) * 1000 < leastBytesPerSecond * elapsedMs) {
      cut(socket)
      return
    }
    waiting.sinceMs = nowMs
    waiting.taken = taken
  }
}
