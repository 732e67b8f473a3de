import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

import { Problem } from '../../core/errors.ts'
import { connectRefused } from './message-checks.ts'
import { SlowReaders } from './slow-readers.ts'

/** A request that never became one for the hooks. */
export interface Unparsed {
  readonly problem: Problem
  readonly socket: Socket
  /** Where the parser came as far as that. */
  readonly request: IncomingMessage | undefined
}

export interface SocketsOptions {
  /** Counts and logs the refusal and returns the whole answer. */
  readonly refuse: (unparsed: Unparsed) => string
  readonly maxConnections: number
  readonly maxConnectionsPerClient: number
  readonly clientPrefixOf: (socket: Socket) => string
  readonly isTrusted: (socket: Socket) => boolean
  /** A connection was closed because of a bound; without a socket where it was closed by Node before we saw it. */
  readonly onTooMany: (socket: Socket | undefined, violated: ConnectionBound) => void
  /** How long an answer may be taken at less than 1 KiB/s, on average; default 30 s. */
  readonly slowReadMs?: number
}

/** Connections in all, those of one client, its TLS handshakes that fail, requests sent ahead on one, and how fast answers are taken. */
export type ConnectionBound = 'max_connections' | 'max_connections_per_client' | 'max_failed_handshakes' | 'max_pipelined' | 'min_read_rate'

/** A seventh of what a modem of 56 kbit/s takes. */
const leastBytesPerSecond = 1024

/**
 * Requests of one connection that wait for the answers before them. Node stops reading behind 16 KiB of answers, but only after what it has
 * read already, which may be two thousand requests; no client sends so many ahead, and one that pipelines must expect the end of the
 * connection (RFC 9112 section 9.3.2).
 */
const mostPipelined = 128

const parserProblem = (code: string | undefined): Problem => {
  if (code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') return new Problem('payload_too_large', { detail: 'Send chunks without extensions.' })
  if (code === 'HPE_HEADER_OVERFLOW') return new Problem('headers_too_large', { detail: 'Send fewer or smaller header fields.' })
  // Over TLS Node hands its parser what came in behind the requests at which it stopped reading.
  if (code === 'HPE_PAUSED') return new Problem('bad_request', { detail: 'Read the answers before you send more requests.' })
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return new Problem('request_timeout', { detail: 'Send the whole request in time.' })
  return new Problem('bad_request', { detail: 'The request is not valid HTTP/1.1.' })
}

/** What happens on connections outside of any route: parser errors, CONNECT, Expect, and how many connections there may be. */
export class Sockets {
  readonly #options: SocketsOptions
  /** The newest answer on a connection: pending, or the last that was given. */
  readonly #answers = new WeakMap<Socket, ServerResponse>()
  /** Why the body of a request will never be complete. */
  readonly #bodyFaults = new WeakMap<IncomingMessage, Problem>()
  /** How many wait for answers before them, of connections on which any ever did. */
  readonly #pipelined = new WeakMap<Socket, number>()
  readonly #slowReaders: SlowReaders

  constructor(options: SocketsOptions) {
    this.#options = options
    this.#slowReaders = new SlowReaders({
      monotonicMs: () => performance.now(),
      windowMs: options.slowReadMs ?? 30_000,
      leastBytesPerSecond,
      cut: (socket) => this.#cut(socket, 'min_read_rate'),
    })
  }

  attach(server: Server, route: (request: IncomingMessage, response: ServerResponse) => void): void {
    server.maxConnections = this.#options.maxConnections
    limitPerClient(server, this.#options)
    this.#slowReaders.watch(server)
    server.on('drop', () => this.#options.onTooMany(undefined, 'max_connections'))
    // In front of the routing, which may answer at once.
    server.prependListener('request', this.#note)
    const routeWaiting = (request: IncomingMessage, response: ServerResponse): void => {
      this.#note(request, response)
      route(request, response)
    }
    // Routed like all others; the hooks refuse what is not 100-continue, and preParsing sends the 100 when the body is wanted.
    server.on('checkContinue', routeWaiting)
    server.on('checkExpectation', routeWaiting)
    server.on('connect', (request: IncomingMessage, socket: Socket | ServerResponse) => {
      // Over HTTP/2 it is a request like any other, and the hooks refuse it.
      if (!('remoteAddress' in socket)) return route(request, socket)
      socket.on('error', () => undefined)
      this.#inTurn(socket, () => this.#refuse({ problem: connectRefused, socket, request }))
    })
  }

  /** For Node's 'clientError': broken syntax, oversized fields, or a request that does not arrive in time. */
  readonly onClientError = (error: NodeJS.ErrnoException, socket: Socket): void => {
    // A connection on which nothing ever came is a browser's, opened ahead: there is no request to answer, log or count.
    const unused = error.code === 'ERR_HTTP_REQUEST_TIMEOUT' && socket.bytesRead === 0
    if (unused || error.code === 'ECONNRESET' || error.code === 'EPIPE' || socket.destroyed) {
      socket.destroy()
      return
    }
    const problem = parserProblem(error.code)
    const current = this.#answers.get(socket)
    if (current !== undefined && !current.req.complete) this.#breakBody(socket, current, problem)
    else this.#inTurn(socket, () => this.#refuse({ problem, socket, request: undefined }))
  }

  readonly #note = (request: IncomingMessage, response: ServerResponse): void => {
    // HTTP/2 has streams, and no order among its answers.
    if (request.httpVersionMajor !== 1) return
    const { socket } = request
    this.#answers.set(socket, response)
    // Node's parser stops behind a wish for another protocol, and drops what came with it: behind a proxy the next answers would go to others.
    if (request.headers.upgrade !== undefined && request.httpVersionMajor === 1) response.shouldKeepAlive = false
    // Node gives a response its socket when those before it are through.
    if (response.socket !== null) return
    const waiting = (this.#pipelined.get(socket) ?? 0) + 1
    this.#pipelined.set(socket, waiting)
    response.once('close', () => this.#pipelined.set(socket, (this.#pipelined.get(socket) ?? 1) - 1))
    if (waiting === mostPipelined + 1) this.#cut(socket, 'max_pipelined')
  }

  /** What is pending there is aborted, and each request logged so. */
  #cut(socket: Socket, violated: ConnectionBound): void {
    this.#options.onTooMany(socket, violated)
    socket.destroy()
  }

  bodyFault(request: IncomingMessage): Problem | undefined {
    return this.#bodyFaults.get(request)
  }

  /**
   * The rest of a request is broken. While its answer is pending the request itself is refused, through its hooks, so that it is answered and
   * logged once: at once where the body is being read, else when somebody is about to read it. Either way the connection ends with it.
   */
  #breakBody(socket: Socket, current: ServerResponse, problem: Problem): void {
    current.shouldKeepAlive = false
    this.#inTurn(socket, () => socket.destroySoon())
    this.failBody(current.req, problem, current.headersSent)
  }

  /** The body of a request will never be whole. */
  failBody(request: IncomingMessage, problem: Problem, isAnswered = false): void {
    this.#bodyFaults.set(request, problem)
    if (!isAnswered && request.listenerCount('error') > 0) request.emit('error', problem)
  }

  /** Answers keep the order of requests (RFC 9112 section 9.3.2): what comes behind a pending one waits for it. */
  #inTurn(socket: Socket, act: () => void): void {
    const current = this.#answers.get(socket)
    if (current === undefined || current.writableFinished || current.destroyed) act()
    else current.once('close', act)
  }

  #refuse(unparsed: Unparsed): void {
    const { socket } = unparsed
    // Nobody else listens any more; a reset while we write would end the process.
    socket.on('error', () => undefined)
    // Behind an answer that ended the connection (RFC 9112 section 9.6) nothing is a request any more.
    if (!socket.writable) {
      socket.destroy()
      return
    }
    // destroySoon: whoever keeps sending must not keep the connection half open.
    socket.end(this.#options.refuse(unparsed), () => socket.destroySoon())
  }
}

/** One client must not take all the connections. Trusted proxies carry many clients, so only the total holds for them. */
const limitPerClient = (server: Server, { maxConnectionsPerClient, clientPrefixOf, isTrusted, onTooMany }: SocketsOptions): void => {
  const counts = new Map<string, number>()
  server.on('connection', (socket: Socket) => {
    if (isTrusted(socket)) return
    const prefix = clientPrefixOf(socket)
    const count = (counts.get(prefix) ?? 0) + 1
    if (count > maxConnectionsPerClient) {
      onTooMany(socket, 'max_connections_per_client')
      socket.destroy()
      return
    }
    counts.set(prefix, count)
    socket.once('close', () => {
      const left = (counts.get(prefix) ?? 1) - 1
      if (left === 0) counts.delete(prefix)
      else counts.set(prefix, left)
    })
  })
}
