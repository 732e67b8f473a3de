import assert from 'node:assert/strict'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'

import Fastify from 'fastify'

import { createApiKey, formatApiKey, hashSecret } from '../src/credentials/api-key.ts'
import { authentication, type AuthenticationOptions, problems } from '../src/layers/index.ts'
import { ask } from './support/attack.ts'

const observe = (): void => undefined

/** Somebody else's application with this layer alone. */
const someoneElses = async (options: Omit<AuthenticationOptions, 'observe'>) => {
  const app = Fastify()
  await app.register(problems, { observe })
  await app.register(authentication, { ...options, observe })
  app.get('/hello', (request) => ({ subject: request.principal?.subject ?? null }))
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  return { port, [Symbol.asyncDispose]: () => app.close() }
}

const hello = { target: '/hello' }

test('authentication with a look-up of their own', async () => {
  const key = createApiKey()
  const principal = { subject: 'bob', credential: 'key:1', permissions: new Set<never>() }
  const lookupKey = async (id: string) => (id === key.id ? { secretHash: hashSecret(key.secret), principal } : undefined)
  await using server = await someoneElses({ lookupKey })
  const withKey = (text: string) => ask(server, { ...hello, fields: { Authorization: `Bearer ${text}` } })
  assert.equal((await withKey(formatApiKey(key))).json()['subject'], 'bob')
  assert.equal((await ask(server, hello)).json()['subject'], null)
  for (const wrong of [formatApiKey(createApiKey()), 'x']) assert.equal((await withKey(wrong)).status, 401)
})

test('authentication with tokens of issuers alone: no keys, no database', async () => {
  const principal = { subject: 'xbob', credential: 'issuer:https://id.example', permissions: new Set<never>() }
  const token = ['{"alg":"ES256"}', '{"iss":"https://id.example"}', 'signature']
    .map((part) => Buffer.from(part).toString('base64url'))
    .join('.')
  let verified = 0
  const issuers = {
    knows: (issuer: string) => issuer === 'https://id.example',
    verify: async (text: string) => {
      verified++
      return text === token ? { principal, expiresAt: Date.now() + 3_600_000 } : undefined
    },
  }
  await using server = await someoneElses({ issuers })
  const present = (text: string) => ask(server, { ...hello, fields: { Authorization: `Bearer ${text}` } })
  for (let i = 0; i < 3; i++) assert.equal((await present(token)).json()['subject'], 'xbob')
  assert.equal(verified, 1, 'it is remembered: nothing here can change what it says')
  const other = token.replace(/[^.]+$/, 'AAAA')
  for (const wrong of [other, formatApiKey(createApiKey()), 'x']) assert.equal((await present(wrong)).status, 401)
  assert.equal(verified, 2)
})

test('authentication with neither: whoever sends credentials is refused, whoever sends none is nobody', async () => {
  await using server = await someoneElses({})
  assert.equal((await ask(server, hello)).json()['subject'], null)
  for (const text of [formatApiKey(createApiKey()), 'x'])
    assert.equal((await ask(server, { ...hello, fields: { Authorization: `Bearer ${text}` } })).status, 401)
})
