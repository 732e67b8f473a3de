import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'

/**
 * A small server that answers as it should, but for the one fault that it is started with: so that a judge who finds nothing in the real one is
 * known to have eyes. Each request is a 404; what Node's parser refuses is a 400.
 */
let fault = process.argv[2] ?? 'none'

const security: Readonly<Record<string, string>> = {
  'content-security-policy': "default-src 'none'; base-uri 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'permissions-policy': 'camera=()',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'x-frame-options': 'DENY',
  'cache-control': 'no-store',
}

interface Line {
  readonly id: string
  readonly client: string | undefined
  readonly method: string | null
  readonly path: string | null
  readonly status: number
  readonly code: string
  readonly bytes: number
}

const write = ({ id, client, method, path, status, code, bytes }: Line): void => {
  if (fault === 'no line') return
  const logged = fault === 'another status in the log' ? 200 : status
  const line = `${JSON.stringify({ level: 'warn', msg: 'request', request_id: id, method, path, status: logged, bytes_out: bytes, client, verdict: code })}\n`
  process.stdout.write(fault === 'two lines' ? line + line : line)
  if (fault === 'an answer to nobody') process.stdout.write(line.replace(id, id.split('').toReversed().join('')))
  if (fault === 'a crash in the log') process.stdout.write('{"level":"fatal","msg":"event","event":"sys_crash"}\n')
}

const details: Readonly<Record<string, string>> = {
  'a stack': 'it broke\n    at handler (/srv/filmgate/src/app.ts:12:3)',
  'a path': 'cannot open /var/lib/films.db',
  SQL: 'select id from film where name = ?',
  'a version': 'parser 9.3.1 refused this',
}

const document = (status: number, code: string, id: string): string => {
  if (fault === 'no JSON') return '{"type":'
  const told = fault === 'another status in the document' ? 403 : status
  return JSON.stringify({ type: `/problems/${code}`, title: 'x', status: told, detail: details[fault] ?? 'nothing', code, request_id: id })
}

const newId = (): string => randomBytes(12).toString('hex')

const fieldsOf = (id: string, body: string): Record<string, string> => {
  const fields: Record<string, string> = {
    ...security,
    'x-request-id': id,
    'content-type': 'application/problem+json',
    'content-length': String(Buffer.byteLength(body)),
  }
  if (fault === 'a field too few') delete fields['x-frame-options']
  if (fault === 'a name of the software') fields['server'] = 'films'
  if (fault === 'a length that is too long') fields['content-length'] = String(Buffer.byteLength(body) + 7)
  return fields
}

/** As bytes, for what Node would not write. */
const rawAnswer = (status: number, fields: Readonly<Record<string, string>>, body: string, more = ''): string => {
  const lines = Object.entries({ ...fields, date: new Date().toUTCString(), connection: 'close' }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  )
  return `HTTP/1.1 ${status} Not So\r\n${lines.join('')}${more}\r\n${body}`
}

const kept: unknown[] = []

/** What goes wrong beside the answer. */
const sideEffects: Readonly<Record<string, () => void>> = {
  'an end': () => process.exit(3),
  'a connection that stays': () => void kept.push(connect((server.address() as AddressInfo).port, '127.0.0.1')),
  'memory that stays': () => void (kept.length > 0 || kept.push(Array<number>(8_000_000).fill(0.5))),
}

const rawFaults: Readonly<Record<string, string>> = {
  'two lengths': 'Content-Length: 3\r\n',
  'an injected field': 'x-echo: a\r\nset-cookie : b\r\n',
  'a line end that is none': 'x-echo: a\nx: b\r\n',
}

const planted = fault

const answer = (request: IncomingMessage, response: ServerResponse): void => {
  // What the judge asks for itself, to know that all before it is over, is answered well.
  fault = request.url?.startsWith('/sentinel') === true ? 'none' : planted
  const id = newId()
  const [status, code] = fault === 'a 500' ? [500, 'internal'] : [404, 'not_found']
  const body = document(status, code, id)
  const fields = fieldsOf(id, body)
  sideEffects[fault]?.()
  if (fault === 'silence') return
  const path = fault === 'answers in disorder' ? (request.url ?? '').replace('1', '3') : (request.url ?? null)
  request.resume()
  response.on('close', () =>
    write({
      id,
      client: request.socket.remoteAddress,
      method: request.method ?? null,
      path,
      status,
      code,
      bytes: request.method === 'HEAD' ? 0 : Buffer.byteLength(body),
    }),
  )
  const more = rawFaults[fault]
  if (more !== undefined) {
    request.socket.end(rawAnswer(status, fields, body, more))
    return
  }
  response.writeHead(status, fields)
  response.end(body)
  if (fault === 'two answers') request.socket.write(rawAnswer(404, fields, body))
  if (fault === 'a body for HEAD' && request.method === 'HEAD') request.socket.write(body)
}

/** `smuggling` is what a parser allows that takes both lengths of a message. */
const server = createServer({ requireHostHeader: false, keepAliveTimeout: 60_000, insecureHTTPParser: fault === 'smuggling' }, answer)
server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const id = newId()
  const body = document(400, 'bad_request', id)
  write({ id, client: socket.remoteAddress, method: null, path: null, status: 400, code: 'bad_request', bytes: Buffer.byteLength(body) })
  const text = rawAnswer(400, fieldsOf(id, body), body)
  if (fault === 'open behind a broken head') socket.write(text)
  else socket.end(text)
})
server.listen(0, '127.0.0.1', () => {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  process.stderr.write(`planted listens on ${url} (health: ${url}/readyz)\n`)
})
