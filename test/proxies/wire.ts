import { once } from 'node:events'
import { connect as connectPlain, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'

import { type Proxy, publicHost } from '../support/proxies.ts'

/** One answer of HTTP/1.1 as it came. */
export interface Reply {
  readonly status: number
  /** In the order of the wire, names in lower case. */
  readonly fields: readonly (readonly [string, string])[]
  readonly body: string
}

export const fieldOf = ({ fields }: Reply, name: string): string | undefined => {
  const values = fields.filter(([known]) => known === name).map(([, value]) => value)
  if (values.length > 1) throw new Error(`${name} stands ${values.length} times in the answer`)
  return values[0]
}

export const problemOf = (reply: Reply): Readonly<Record<string, unknown>> => JSON.parse(reply.body) as Record<string, unknown>

export interface Connecting {
  /** The loopback address to come from: each one is a client of its own. `::1` for IPv6. */
  readonly from: string
  /** The name in the TLS hello; default `publicHost`. */
  readonly servername?: string
  readonly protocols?: readonly string[]
  readonly ca?: string
}

/** A TLS connection to a proxy. The certificate is checked where `ca` says against what. */
export const connectTo = async ({ httpsPort }: Pick<Proxy, 'httpsPort'>, options: Connecting): Promise<TLSSocket> => {
  const { from, servername = publicHost, protocols = ['http/1.1'], ca } = options
  const socket = connectTls({
    socket: connectPlain({ port: httpsPort, host: from === '::1' ? '::1' : '127.0.0.1', localAddress: from }),
    servername,
    ALPNProtocols: [...protocols],
    ...(ca === undefined ? { rejectUnauthorized: false } : { ca }),
  })
  await once(socket, 'secureConnect')
  return socket
}

export const connectPlainly = async ({ httpPort }: Pick<Proxy, 'httpPort'>, from: string): Promise<Socket> => {
  const socket = connectPlain({ port: httpPort, host: '127.0.0.1', localAddress: from })
  await once(socket, 'connect')
  return socket
}

export interface Talk {
  readonly replies: readonly Reply[]
  /** What came behind the last whole answer. */
  readonly rest: string
  /** Whether the other side ended the connection. */
  readonly ended: boolean
}

export interface TalkOptions {
  /** Enough when so many whole answers are there (1xx included). */
  readonly answers?: number
  readonly head?: boolean
  /** Enough when nothing came for so long. */
  readonly quietMs?: number
  /** Pieces, each sent when that many answers are complete. */
  readonly behind?: readonly { readonly after: number; readonly bytes: string }[]
  /** Whether the connection stays open for more. */
  readonly keep?: boolean
}

/** Sends bytes as they are and reads answers until there are enough, the other side ends the connection, or falls silent. */
export const talk = (socket: Socket, bytes: string | Buffer, options: TalkOptions = {}): Promise<Talk> =>
  new Promise((resolve) => {
    let text = ''
    let sent = 0
    const finish = (ended: boolean): void => {
      for (const event of ['data', 'close', 'timeout', 'error']) socket.removeAllListeners(event)
      // Whatever still happens on it is nobody's failure.
      socket.setTimeout(0).on('error', () => undefined)
      if (options.keep !== true) socket.destroy()
      resolve({ ...split(text, options.head ?? false, ended), ended })
    }
    socket.setTimeout(options.quietMs ?? 15_000, () => finish(false))
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
      const { replies } = split(text, options.head ?? false, false)
      if (options.answers !== undefined && replies.length >= options.answers) return finish(false)
      for (let next = options.behind?.[sent]; next !== undefined && replies.length >= next.after; next = options.behind?.[sent]) {
        sent++
        socket.write(next.bytes)
      }
    })
    socket.once('error', () => undefined)
    socket.once('close', () => finish(true))
    socket.write(bytes)
  })

const split = (text: string, head: boolean, ended: boolean): Pick<Talk, 'replies' | 'rest'> => {
  const replies: Reply[] = []
  let rest = text
  for (;;) {
    const end = rest.indexOf('\r\n\r\n')
    const status = Number(/^HTTP\/1\.[01] (\d{3})\b/.exec(rest)?.[1])
    if (end === -1 || Number.isNaN(status)) return { replies, rest }
    const fields = rest
      .slice(0, end)
      .split('\r\n')
      .slice(1)
      .map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()] as const)
    const value = (name: string): string | undefined => fields.find(([known]) => known === name)?.[1]
    const content = rest.slice(end + 4)
    const body =
      head || status < 200 || status === 204 || status === 304
        ? { text: '', length: 0 }
        : value('transfer-encoding') === 'chunked'
          ? dechunk(content)
          : takeBody(content, value('content-length'), ended)
    if (body === undefined) return { replies, rest }
    replies.push({ status, fields, body: Buffer.from(body.text, 'latin1').toString('utf8') })
    rest = content.slice(body.length)
  }
}

interface Body {
  readonly text: string
  /** On the wire. */
  readonly length: number
}

const takeBody = (content: string, contentLength: string | undefined, ended: boolean): Body | undefined => {
  const length = contentLength === undefined ? (ended ? content.length : Infinity) : Number(contentLength)
  return content.length < length ? undefined : { text: content.slice(0, length), length }
}

const dechunk = (content: string): Body | undefined => {
  let text = ''
  let at = 0
  for (;;) {
    const lineEnd = content.indexOf('\r\n', at)
    if (lineEnd === -1) return undefined
    const size = Number.parseInt(content.slice(at, lineEnd), 16)
    const next = lineEnd + 2 + size + 2
    if (content.length < next) return undefined
    text += content.slice(lineEnd + 2, lineEnd + 2 + size)
    at = next
    if (size === 0) return { text, length: at }
  }
}

export interface Request extends Connecting {
  readonly method?: string
  readonly target?: string
  /** Host has a default; null leaves it out. */
  readonly fields?: Readonly<Record<string, string | null>>
  readonly body?: string
}

export const requestText = ({ method = 'GET', target = '/v1/films/1', fields = {}, body }: Omit<Request, 'from'>): string => {
  const all = { Host: publicHost, ...(body === undefined ? {} : { 'Content-Length': String(Buffer.byteLength(body)) }), ...fields }
  const lines = Object.entries(all).map(([name, value]) => (value === null ? '' : `${name}: ${value}\r\n`))
  return `${method} ${target} HTTP/1.1\r\n${lines.join('')}\r\n${body ?? ''}`
}

/** One request on a connection of its own. */
export const askThrough = async (proxy: Pick<Proxy, 'httpsPort'>, request: Request): Promise<Reply> => {
  const socket = await connectTo(proxy, request)
  const { replies, rest } = await talk(socket, requestText(request), { answers: 1, head: request.method === 'HEAD' })
  const [reply] = replies
  if (reply === undefined) throw new Error(`no answer to ${request.method ?? 'GET'} ${request.target ?? ''}: ${JSON.stringify(rest)}`)
  return reply
}
