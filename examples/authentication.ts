/**
 * Authentication and authorization in an application that has nothing else of Filmgate: a film club whose programs come with API keys, and
 * whose people come with access tokens of the OpenID Connect issuer that they log in to.
 *
 *     PORT=8080 ISSUER=https://id.example.com AUDIENCE=https://club.example.com node examples/authentication.ts
 */
import Fastify from 'fastify'

import * as filmgate from '../src/layers/index.ts'

const { ISSUER: url, AUDIENCE: audience = 'https://club.example.com', PORT: port = '0' } = process.env
const clock = filmgate.systemClock
const observe = (event: object): void => console.log(JSON.stringify(event))
const app = Fastify()
await app.register(filmgate.problems, { observe })
await app.register(filmgate.clientAddress, { addresses: filmgate.createClientAddresses({ trustedProxies: [] }) })

// 1. API keys, from wherever the application keeps them: of the secret only the hash. It is asked at each request, so a key ends at once.
const keys = new Map<string, { secretHash: string; expiresAt: number; principal: filmgate.Principal }>()
function addKey(subject: string, role: filmgate.Role): string {
  const key = filmgate.createApiKey()
  const principal = { subject, credential: `key:${key.id}`, permissions: filmgate.permissionsOf(role) }
  keys.set(key.id, { secretHash: filmgate.hashSecret(key.secret), expiresAt: clock.epochMs() + 3_600_000, principal })
  return filmgate.formatApiKey(key)
}
const lookupKey = async (id: string) => keys.get(id)

// 2. Tokens of the issuer, if there is one: `club-member` there is an editor here, everybody else is only known. One that listens on this
// machine, without TLS too, is for trying it out.
const roles = { 'club-member': 'editor', 'club-chair': 'admin' } as const
const allowPrivate = url?.startsWith('http://127.0.0.1:') === true
const known = url === undefined ? [] : [{ url, audience, roleClaim: 'roles', roles, allowPrivate }]
const issuers = filmgate.createExternalIssuers({ issuers: known, clock, observe })

await app.register(filmgate.authentication, { observe, clock, lookupKey, issuers })
// 3. What each route asks for stands beside it. One that says nothing stops the start.
await app.register(filmgate.authorization, { observe, clock, publicPermissions: new Set(['films:read'] as const) })

const films = new Map<string, string>([['1', 'Metropolis']])
app.get('/', { config: { access: 'films:read' } }, () => [...films.values()])
app.get('/me', { config: { access: 'authenticated' } }, ({ principal }) => ({ subject: principal?.subject, role: principal?.role ?? null }))
app.post('/films', { config: { access: 'films:write' } }, ({ id, principal }) => {
  films.set(id, `A film that ${principal?.subject} added`)
  return { id }
})
// Only for somebody who logged in within the last five minutes: no API key is that.
app.delete('/films', { config: { access: 'films:delete', freshLogin: true } }, () => {
  films.clear()
  return { films: films.size }
})
// Ends the key that it is called with.
app.delete('/key', { config: { access: 'authenticated' } }, ({ principal }) => ({
  ended: keys.delete(principal?.credential.replace(/^key:/, '') ?? ''),
}))

process.once('SIGTERM', () => void app.close())
console.log(`a key of this hour: ${addKey('robot', 'editor')}`)
console.log(`listens on ${await app.listen({ host: '127.0.0.1', port: Number(port) })}`)
