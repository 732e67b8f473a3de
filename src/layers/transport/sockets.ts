import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

import { Problem } from '../../core/errors.ts'

/** A request that never became one for the hooks. */
export interface Unparsed {
  readonly problem: Problem
  readonly socket: Socket
  readonly method: string | null
  readonly target: string | null
}

export interface SocketsOptions {
  /** Counts and logs the refusal and returns the whole answer. */
  readonly refuse: (unparsed: Unparsed) => string
  readonly maxConnections: number
  readonly maxConnectionsPerClient: number
  readonly clientPrefixOf: (socket: Socket) => string
  readonly isTrusted: (socket: Socket) => boolean
}

const parserProblem = (code: string | undefined): Problem => {
  if (code === 'HPE_HEADER_OVERFLOW') return new Problem('headers_too_large', { detail: 'Send fewer or smaller header fields.' })
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return new Problem('request_timeout', { detail: 'Send the whole request in time.' })
  return new Problem('bad_request', { detail: 'The request is not valid HTTP/1.1.' })
}

const connectRefused = new Problem('method_not_allowed', { detail: 'This is no proxy.', headers: { allow: 'GET, HEAD, POST, OPTIONS' } })

/** What happens on connections outside of any route: parser errors, CONNECT, Expect, and how many connections there may be. */
export const createSockets = (options: SocketsOptions) => {
  const answers = createAnswerOrder()
  /** Why the body of a request will never be complete. */
  const bodyFaults = new WeakMap<IncomingMessage, Problem>()

  const refuse = (unparsed: Unparsed): void => {
    const { socket } = unparsed
    // Nobody else listens any more; a reset while we write would end the process.
    socket.on('error', () => undefined)
    const answer = options.refuse(unparsed)
    // destroySoon: whoever keeps sending must not keep the connection half open.
    if (socket.writable) socket.end(answer, () => socket.destroySoon())
    else socket.destroy()
  }

  /**
   * The rest of a request is broken. While its answer is pending the request itself is refused, through its hooks, so that it is answered and
   * logged once: at once where the body is being read, else when somebody is about to read it. Either way the connection ends with it.
   */
  const breakBody = (socket: Socket, current: ServerResponse, problem: Problem): void => {
    const request = current.req
    current.shouldKeepAlive = false
    bodyFaults.set(request, problem)
    answers.inTurn(socket, () => socket.destroySoon())
    if (!current.headersSent && request.listenerCount('error') > 0) request.emit('error', problem)
  }

  /** Node's 'clientError': broken syntax, oversized fields, or a request that does not arrive in time. */
  const onClientError = (error: NodeJS.ErrnoException, socket: Socket): void => {
    if (error.code === 'ECONNRESET' || error.code === 'EPIPE' || socket.destroyed) {
      socket.destroy()
      return
    }
    const problem = parserProblem(error.code)
    const current = answers.newest(socket)
    if (current !== undefined && !current.req.complete) breakBody(socket, current, problem)
    else answers.inTurn(socket, () => refuse({ problem, socket, method: null, target: null }))
  }

  const attach = (server: Server, route: (request: IncomingMessage, response: ServerResponse) => void): void => {
    server.maxConnections = options.maxConnections
    limitPerClient(server, options)
    server.on('connect', (request: IncomingMessage, socket: Socket) => {
      socket.on('error', () => undefined)
      answers.inTurn(socket, () => refuse({ problem: connectRefused, socket, method: request.method ?? null, target: request.url ?? null }))
    })
    // Routed like all others; the hooks refuse what is not 100-continue, and preParsing sends the 100 when the body is wanted.
    server.on('checkContinue', route)
    server.on('checkExpectation', route)
  }

  return {
    attach,
    onClientError,
    opened: answers.opened,
    bodyFault: (request: IncomingMessage): Problem | undefined => bodyFaults.get(request),
  }
}

/** Answers keep the order of requests on a connection (RFC 9112 section 9.3.2). */
const createAnswerOrder = () => {
  /** Pending, or the last that was given. */
  const answers = new WeakMap<Socket, ServerResponse>()
  return {
    opened: (socket: Socket, response: ServerResponse): void => void answers.set(socket, response),
    newest: (socket: Socket): ServerResponse | undefined => answers.get(socket),
    /** Acts when nothing is due on the connection any more. */
    inTurn: (socket: Socket, act: () => void): void => {
      const current = answers.get(socket)
      if (current === undefined || current.writableFinished || current.destroyed) act()
      else current.once('close', act)
    },
  }
}

/** One client must not take all the connections. Trusted proxies carry many clients, so only the total holds for them. */
const limitPerClient = (server: Server, { maxConnectionsPerClient, clientPrefixOf, isTrusted }: SocketsOptions): void => {
  const counts = new Map<string, number>()
  server.on('connection', (socket: Socket) => {
    if (isTrusted(socket)) return
    const prefix = clientPrefixOf(socket)
    const count = (counts.get(prefix) ?? 0) + 1
    if (count > maxConnectionsPerClient) {
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

export type Sockets = ReturnType<typeof createSockets>
