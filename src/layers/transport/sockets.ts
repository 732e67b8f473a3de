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
  /** The answer that is due next on a connection. */
  const open = new WeakMap<Socket, ServerResponse>()

  const end = (unparsed: Unparsed): void => {
    const answer = options.refuse(unparsed)
    if (!unparsed.socket.writable) unparsed.socket.destroy()
    // destroySoon: whoever keeps sending must not keep the connection half open.
    else unparsed.socket.end(answer, () => unparsed.socket.destroySoon())
  }

  /** Node's 'clientError': broken syntax, oversized fields, or a request that does not arrive in time. */
  const onClientError = (error: NodeJS.ErrnoException, socket: Socket): void => {
    if (error.code === 'ECONNRESET' || error.code === 'EPIPE' || socket.destroyed) {
      socket.destroy()
      return
    }
    const problem = parserProblem(error.code)
    const current = open.get(socket)
    if (current === undefined || current.writableFinished) end({ problem, socket, method: null, target: null })
    // Its body broke off: the request itself is refused, through its hooks, so that it is answered and logged once.
    else if (!current.req.complete) current.req.emit('error', problem)
    // A broken request behind one that is still being answered: answers keep the order of requests.
    else current.once('close', () => end({ problem, socket, method: null, target: null }))
  }

  const attach = (server: Server, route: (request: IncomingMessage, response: ServerResponse) => void): void => {
    server.maxConnections = options.maxConnections
    limitPerClient(server, options)
    server.on('connect', (request: IncomingMessage, socket: Socket) => {
      end({ problem: connectRefused, socket, method: request.method ?? null, target: request.url ?? null })
    })
    // Routed like all others; the hooks refuse what is not 100-continue, and preParsing sends the 100 when the body is wanted.
    server.on('checkContinue', route)
    server.on('checkExpectation', route)
  }

  return {
    attach,
    onClientError,
    opened: (socket: Socket, response: ServerResponse) => void open.set(socket, response),
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
