import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'

import type { Certificate } from './certificates.ts'

/** An issuer that a test makes do anything: what it publishes, how it answers, what it signs. */
export interface OwnIssuer extends AsyncDisposable {
  readonly url: string
  readonly port: number
  /** What it answers where not as an issuer should, by path. */
  readonly answers: Map<string, RequestListener>
  /** Paths that were asked for, in order. */
  readonly asked: string[]
  /** How many connections there were. */
  readonly connections: () => number
  readonly document: Record<string, unknown>
  readonly keys: Record<string, unknown>[]
  readonly pair: Pair
}

export interface Pair {
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
}

export const discoveryPath = '/.well-known/openid-configuration'
export const keysPath = '/keys'

export const json =
  (value: unknown, status = 200): RequestListener =>
  (_request, response) =>
    void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))

/** Listens on 127.0.0.1, which `host` must mean. */
export const startOwnIssuer = async ({ tls, host = '127.0.0.1' }: { tls?: Certificate; host?: string } = {}): Promise<OwnIssuer> => {
  const answers = new Map<string, RequestListener>()
  const asked: string[] = []
  const sockets = new Set<Socket>()
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const document: Record<string, unknown> = {}
  const keys = [{ ...pair.publicKey.export({ format: 'jwk' }), kid: 'key-1', alg: 'ES256', use: 'sig' } as Record<string, unknown>]

  const answer: RequestListener = (request, response) => {
    const path = request.url ?? ''
    asked.push(path)
    const own = path === discoveryPath ? json(document) : path === keysPath ? json({ keys }) : json({}, 404)
    ;(answers.get(path) ?? own)(request, response)
  }
  const server = tls === undefined ? createServer(answer) : createTlsServer({ cert: tls.certificate, key: tls.key }, answer)
  server.on('connection', (socket: Socket) => void sockets.add(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const url = `${tls === undefined ? 'http' : 'https'}://${host}:${port}`
  Object.assign(document, { issuer: url, jwks_uri: `${url}${keysPath}` })
  return {
    url,
    port,
    answers,
    asked,
    connections: () => sockets.size,
    document,
    keys,
    pair,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

const encode = (text: string): string => Buffer.from(text).toString('base64url')

/** A compact JWS over any two texts, whatever they say; the signature is that of the key: ECDSA, Ed25519, or RSA with PKCS #1 v1.5. */
export const signTexts = (header: string, payload: string, privateKey: KeyObject): string => {
  const input = `${encode(header)}.${encode(payload)}`
  const hash = privateKey.asymmetricKeyType === 'ed25519' ? null : 'sha256'
  return `${input}.${sign(hash, Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
}

/** Claims of a good access token for `audience`, with what a test changes; a member that is undefined is left out. */
export const claimsOf = (
  issuer: Pick<OwnIssuer, 'url'>,
  audience: string,
  nowMs: number,
  changes: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> => {
  const now = Math.floor(nowMs / 1000)
  return { iss: issuer.url, aud: audience, sub: 'somebody', iat: now, exp: now + 300, ...changes }
}

/** A token of that issuer, signed by its own key. */
export const signToken = (
  issuer: Pick<OwnIssuer, 'pair'>,
  claims: Readonly<Record<string, unknown>>,
  header: Readonly<Record<string, unknown>> = {},
): string => {
  const full = { alg: 'ES256', typ: 'at+jwt', kid: 'key-1', ...header }
  return signTexts(JSON.stringify(full), JSON.stringify(claims), issuer.pair.privateKey)
}
