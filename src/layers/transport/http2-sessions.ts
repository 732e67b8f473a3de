import type { IncomingMessage, Server } from 'node:http'
import type { Http2SecureServer, Http2ServerRequest, ServerHttp2Session, ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'

import { Problem } from '../../core/errors.ts'
import { type Http2Abuse, Http2Connection, type Http2Limits } from './http2-connection.ts'
import { openStreamOf } from './http2-stream.ts'

export interface Http2SessionsOptions extends Http2Limits {
  readonly monotonicMs: () => number
  /** Refuses a request whose body does not come. */
  readonly failBody: (request: IncomingMessage, problem: Problem) => void
  readonly onAbuse: (socket: Socket, abuse: Http2Abuse) => void
  /** Called while the address is known for sure: a client may be gone before its first request is looked at. */
  readonly onSession: (socket: Socket) => void
}

/** As often as Node looks at the deadlines of HTTP/1.1 here. */
const lookMs = 250

const late = new Problem('request_timeout', { detail: 'Send the whole request in time.' })

/**
 * Watches the HTTP/2 sessions of a server. Node has deadlines for requests over HTTP/1.1 alone; over HTTP/2 it knows a timer that any frame
 * winds up again. One timer looks at all sessions; a stream costs an object and a listener.
 */
export class Http2Sessions {
  readonly #options: Http2SessionsOptions
  readonly #sockets = new Set<Socket>()
  readonly #connections = new Set<Http2Connection>()
  readonly #bySession = new WeakMap<ServerHttp2Session, Http2Connection>()
  readonly #watch: ConstructorParameters<typeof Http2Connection>[2]

  constructor(options: Http2SessionsOptions) {
    this.#options = options
    const onLate = (request: Http2ServerRequest): void => options.failBody(request as unknown as IncomingMessage, late)
    this.#watch = { ...options, onLate }
  }

  attach(plain: Server): void {
    const server = plain as unknown as Http2SecureServer
    let accepted: TLSSocket | undefined
    // Before Node's own listener, which makes the session and tells of it in the same turn; the session itself shows a proxy of its socket.
    server.prependListener('secureConnection', (socket) => void (accepted = socket))
    server.on('session', (session) => this.#add(session, accepted as TLSSocket))
    server.on('sessionError', (error: NodeJS.ErrnoException, session) => this.#onError(error, session))
    // A handshake that fails is no request: it ends without a word, before it is forwarded to those who answer broken requests.
    server.prependListener('tlsClientError', (_error, socket) => void socket.destroy())
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
    server.once('listening', () => {
      const timer = setInterval(() => this.look(), lookMs).unref()
      server.once('close', () => clearInterval(timer))
    })
    // Servers of HTTP/1.1 have it; what stops the server asks for it.
    Object.assign(server, { closeAllConnections: () => this.#sockets.forEach((socket) => socket.destroy()) })
  }

  look(): void {
    const nowMs = this.#options.monotonicMs()
    for (const connection of this.#connections) connection.look(nowMs)
  }

  #add(session: ServerHttp2Session, socket: TLSSocket): void {
    const { monotonicMs, onSession } = this.#options
    const connection = new Http2Connection(session, socket, this.#watch, monotonicMs())
    onSession(socket)
    this.#connections.add(connection)
    this.#bySession.set(session, connection)
    socket.once('close', () => this.#connections.delete(connection))
    function onClose(this: ServerHttp2Stream): void {
      const open = openStreamOf(this)
      if (open !== undefined) connection.endStream(open, this.writableFinished && this.headersSent, monotonicMs())
    }
    // First, so that whoever sees the request finds the stream known.
    session.prependListener('stream', (stream) => {
      connection.addStream(stream, monotonicMs())
      stream.on('close', onClose)
    })
  }

  /** nghttp2 found a frame that no client sends, and has sent GOAWAY. */
  #onError({ code }: NodeJS.ErrnoException, session: ServerHttp2Session): void {
    const connection = this.#bySession.get(session)
    if (code === 'ERR_HTTP2_ERROR' && connection !== undefined) this.#options.onAbuse(connection.socket, 'http2_protocol_error')
  }
}
