/**
 * A server with everything wrong that the tools look for, to see whether they would. It listens on loopback only and knows nothing worth
 * stealing. Nothing of Filmgate is in it.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createSecureServer } from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import { DatabaseSync } from 'node:sqlite'

import type { ApiDescription, Operation } from '../../src/api/site/document.ts'

export interface Weak extends AsyncDisposable {
  readonly port: number
}

/** As few as the threads of many a server: whoever holds them slowly keeps out everybody else. */
const connections = 64

const database = (): DatabaseSync => {
  const opened = new DatabaseSync(':memory:')
  opened.exec("CREATE TABLE film (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO film (name) VALUES ('Frozen'), ('Up'), ('Brave')")
  return opened
}

/** What lies about on a disk. */
const leftovers: Readonly<Record<string, string>> = {
  '/.env': 'DATABASE_URL=postgres://nobody:nothing@localhost/none\n',
  '/.git/HEAD': 'ref: refs/heads/main\n',
  '/index.html.bak': '<p>old</p>',
}

const createAnswer = () => {
  const films = database()
  return (request: IncomingMessage, response: ServerResponse): void => {
    const url = new URL(request.url ?? '/', 'http://localhost')
    const html = (text: string, status = 200): void => {
      response.writeHead(status, { 'Content-Type': 'text/html' })
      response.end(request.method === 'HEAD' ? undefined : text)
    }
    const leftover = leftovers[url.pathname]
    if (leftover !== undefined) return html(leftover)
    if (request.method === 'TRACE') return html(String(request.rawHeaders))
    switch (url.pathname) {
      case '/':
        return html('<a href="/film?id=1">Frozen</a> <a href="/search?q=up">Search</a> <a href="/go?to=/">Home</a>')
      case '/film':
        try {
          // SQL made of text: the classic.
          const rows = films.prepare(`SELECT id, name FROM film WHERE id = ${url.searchParams.get('id') ?? '1'}`).all()
          return html(`<ul>${rows.map((row) => `<li>${String(row['id'])} ${String(row['name'])}</li>`).join('')}</ul>`)
        } catch (error) {
          return html(`[SQLITE_ERROR] ${String(error)}`, 500)
        }
      case '/search':
        return html(`<p>Nothing about ${url.searchParams.get('q') ?? ''}</p>`)
      case '/go':
        // Node itself refuses line breaks in a field: that would end the process.
        response.writeHead(302, { Location: (url.searchParams.get('to') ?? '/').replaceAll(/[^\x20-\x7e]/g, '') })
        return void response.end()
      case '/long':
        return html('x'.repeat(262_144))
      case '/upload':
        request.resume()
        return void request.on('end', () => html('read'))
      default:
        return html('<p>404</p>', 404)
    }
  }
}

const listening = async (server: Server, close: () => void): Promise<Weak> => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      close()
      const closed = once(server, 'close')
      server.close()
      await closed
    },
  }
}

/** No deadline; `few`: no more connections than a few. */
export const startWeakHttp = async (few: boolean): Promise<Weak> => {
  const options = { headersTimeout: 0, requestTimeout: 0, keepAliveTimeout: 600_000, insecureHTTPParser: true }
  const server = createServer(options, createAnswer())
  if (few) server.maxConnections = connections
  return await listening(server, () => server.closeAllConnections())
}

/** TLS of 1999 with CBC suites, and HTTP/2 of which every tenth answer breaks off. */
export const startWeakHttps = async (material: { cert: string; key: string }): Promise<Weak> => {
  const answer = createAnswer()
  const ciphers = 'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA:@SECLEVEL=0'
  const server = createSecureServer({ ...material, allowHTTP1: true, minVersion: 'TLSv1', maxVersion: 'TLSv1.2', ciphers })
  const open = new Set<{ destroy(): void }>()
  let asked = 0
  server.on('connection', (socket: Socket) => {
    open.add(socket)
    socket.on('close', () => open.delete(socket)).on('error', () => undefined)
  })
  server.on('request', (request, response) => {
    if (request.httpVersionMajor === 2 && ++asked % 10 === 0) return response.stream.close(2)
    answer(request as unknown as IncomingMessage, response as unknown as ServerResponse)
  })
  server.on('tlsClientError', () => undefined).on('sessionError', () => undefined)
  return await listening(server as unknown as Server, () => open.forEach((socket) => socket.destroy()))
}

const operation = (operationId: string, query?: { name: string; example: string }): Operation => ({
  operationId,
  summary: operationId,
  description: '',
  tags: [],
  parameters:
    query === undefined
      ? []
      : [{ name: query.name, in: 'query', description: '', required: false, schema: { type: 'string', examples: [query.example] } }],
  responses: { 200: { description: '', headers: {} } },
  security: [{}],
  'x-rate-limit': { anonymous: [], authenticated: [], total: [] },
})

/** What it would tell of itself. */
export const weakDescription = {
  openapi: '3.1.0',
  paths: {
    '/': { get: operation('page') },
    '/film': { get: operation('film', { name: 'id', example: '1' }) },
    '/search': { get: operation('search', { name: 'q', example: 'up' }) },
    '/go': { get: operation('go', { name: 'to', example: '/' }) },
  },
} as unknown as ApiDescription
