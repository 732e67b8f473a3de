import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type RequestListener } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'

import type { Certificate } from './certificates.ts'

export interface Received {
  readonly headers: IncomingHttpHeaders
  readonly body: string
  readonly path: string
}

/** Who takes webhooks, and does with them what a test wants. */
export interface Receiver extends AsyncDisposable {
  readonly url: string
  readonly port: number
  readonly received: readonly Received[]
  readonly connections: () => number
  /** What it answers from now on; else 204. */
  answer: RequestListener
  /** Resolves with the first `count` requests as soon as there are so many. */
  first(count: number): Promise<readonly Received[]>
}

/** Listens on 127.0.0.1, which `host` must mean. */
export const startReceiver = async ({ tls, host = '127.0.0.1' }: { tls?: Certificate; host?: string } = {}): Promise<Receiver> => {
  const received: Received[] = []
  const sockets = new Set<Socket>()
  const waiters = new Set<() => void>()
  const listener: RequestListener = (request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      received.push({ headers: request.headers, body: Buffer.concat(chunks).toString(), path: request.url ?? '' })
      receiver.answer(request, response)
      for (const look of waiters) look()
    })
  }
  const server = tls === undefined ? createServer(listener) : createTlsServer({ cert: tls.certificate, key: tls.key }, listener)
  server.on('connection', (socket: Socket) => void sockets.add(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const receiver: Receiver = {
    url: `${tls === undefined ? 'http' : 'https'}://${host}:${port}/hook`,
    port,
    received,
    connections: () => sockets.size,
    answer: (_request, response) => void response.writeHead(204).end(),
    first: (count) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (received.length < count) return
          waiters.delete(look)
          resolve(received.slice(0, count))
        }
        waiters.add(look)
        look()
      }),
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
  return receiver
}
