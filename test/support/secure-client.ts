import http2 from 'node:http2'
import https from 'node:https'
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls'

/** An answer over TLS, whichever protocol brought it. */
export interface SecureAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: string
}

export interface SecureAsk {
  readonly method?: string
  readonly target?: string
  readonly fields?: Readonly<Record<string, string>>
  readonly body?: string
}

interface Server {
  readonly port: number
  /** PEM of the authority that is trusted, and nobody else. */
  readonly ca: string
  /** Default localhost. */
  readonly name?: string
}

/** HTTP/1.1 on a connection of its own, or on those of `agent`. */
export const askHttp1 = ({ port, ca, name = 'localhost' }: Server, ask: SecureAsk = {}, agent?: https.Agent): Promise<SecureAnswer> =>
  new Promise((resolve, reject) => {
    const { method = 'GET', target = '/v1/films/1', fields = {}, body } = ask
    const request = https.request(
      {
        host: '127.0.0.1',
        servername: name,
        port,
        ca,
        method,
        path: target,
        headers: { host: `${name}:${port}`, ...fields },
        agent: agent ?? false,
      },
      (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text }))
        response.on('error', reject)
      },
    )
    request.on('error', reject)
    request.end(body)
  })

export interface Http2Client extends AsyncDisposable {
  readonly session: http2.ClientHttp2Session
  ask(ask?: SecureAsk): Promise<SecureAnswer>
}

/** One HTTP/2 session. */
export const openHttp2 = async ({ port, ca, name = 'localhost' }: Server): Promise<Http2Client> => {
  const session = http2.connect(`https://${name}:${port}`, { ca, servername: name, host: '127.0.0.1' })
  await new Promise((resolve, reject) => session.once('connect', resolve).once('error', reject))
  // What ends it shows in the requests on it.
  session.on('error', () => undefined)
  const ask = ({ method = 'GET', target = '/v1/films/1', fields = {}, body }: SecureAsk = {}): Promise<SecureAnswer> =>
    new Promise((resolve, reject) => {
      const stream = session.request({ ':method': method, ':path': target, ...fields }, { endStream: body === undefined })
      let headers: SecureAnswer['headers'] = {}
      let text = ''
      stream.on('response', (received) => (headers = received as SecureAnswer['headers']))
      stream.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      stream.on('close', () => {
        if (headers[':status'] === undefined) reject(new Error(`no answer, code ${stream.rstCode}`))
        else resolve({ status: Number(headers[':status']), headers, body: text })
      })
      stream.on('error', reject)
      if (body !== undefined) stream.end(body)
    })
  return {
    session,
    ask,
    [Symbol.asyncDispose]: async () => {
      if (session.closed) return
      const closed = new Promise<void>((resolve) => session.once('close', () => resolve()))
      session.close()
      await closed
    },
  }
}

/** A finished handshake, or why there is none. */
export const shakeHands = (options: ConnectionOptions): Promise<TLSSocket> =>
  new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', ...options }, () => {
      socket.off('error', reject)
      socket.on('error', () => undefined)
      resolve(socket)
    })
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('closed during the handshake')))
  })
