import assert from 'node:assert/strict'
import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'

import Provider from 'oidc-provider'

/** What a client may ask for: the name of an API, as RFC 8707 has it. */
export const audience = 'https://films.example.com/api'

export interface IdentityProvider extends AsyncDisposable {
  readonly issuer: string
  /** A token of the client credentials grant for somebody (RFC 6749 section 4.4), with these claims besides. */
  token(subject: string, claims?: Readonly<Record<string, unknown>>, resource?: string): Promise<string>
  /** Signs with a new key from now on, and no longer publishes the old one. */
  rotate(): void
  /** Paths that were asked for since the last call. */
  asked(): string[]
  /** Stops listening; `start` listens at the same address again. */
  stop(): Promise<void>
  start(): Promise<void>
}

const secret = 'a secret of a client that exists in this test alone'

/** A real authorization server (node-oidc-provider, which is certified) on loopback, with one client for each subject. */
export const startIdentityProvider = async (subjects: readonly string[]): Promise<IdentityProvider> => {
  let claims: Readonly<Record<string, unknown>> = {}
  let answer: RequestListener | undefined
  let paths: string[] = []
  const server = createServer((request, response) => {
    paths.push(request.url ?? '')
    answer?.(request, response)
  })
  const start = async (port: number): Promise<number> => {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  }
  const stop = async (): Promise<void> => {
    if (!server.listening) return
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  }
  const port = await start(0)
  const issuer = `http://127.0.0.1:${port}`
  const rotate = (): void =>
    void (answer = new Provider(
      issuer,
      configuration(subjects, () => claims),
    ).callback())
  rotate()
  return {
    issuer,
    rotate,
    token: async (subject, also = {}, resource = audience) => {
      claims = also
      const body = new URLSearchParams({ grant_type: 'client_credentials', scope: 'films', resource })
      const authorization = `Basic ${Buffer.from(`${subject}:${encodeURIComponent(secret)}`).toString('base64')}`
      const response = await fetch(`${issuer}/token`, { method: 'POST', headers: { authorization }, body })
      const { access_token: token } = (await response.json()) as { access_token?: unknown }
      assert.ok(typeof token === 'string', `no token: ${response.status}`)
      return token
    },
    asked: () => {
      const asked = paths
      paths = []
      return asked.filter((path) => path !== '/token')
    },
    stop,
    start: async () => void (await start(port)),
    [Symbol.asyncDispose]: stop,
  }
}

const configuration = (subjects: readonly string[], extraTokenClaims: () => object) => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const key = { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg: 'RS256' }
  return {
    jwks: { keys: [key] },
    ttl: { ClientCredentials: 600 },
    cookies: { keys: ['unused'] },
    clients: subjects.map((id) => ({
      client_id: id,
      client_secret: secret,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    })),
    extraTokenClaims,
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: { enabled: true, getResourceServerInfo: resourceServer, defaultResource: () => audience },
    },
  }
}

const resourceServer = (_context: unknown, resource: string) => ({
  scope: 'films',
  audience: resource,
  accessTokenFormat: 'jwt',
  accessTokenTTL: 600,
  jwt: { sign: { alg: 'RS256' } },
})
