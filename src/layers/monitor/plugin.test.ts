import assert from 'node:assert/strict'
import { test } from 'node:test'

import Fastify, { type FastifyPluginCallback } from 'fastify'

import { createClientAddresses } from '../client-address.ts'
import type { SecurityEvent } from '../../core/events.ts'
import type { Principal } from '../../core/request.ts'
import { wholeServer } from '../../core/plugin.ts'
import type { Decision } from './decision.ts'
import { Decisions } from './decisions.ts'
import { clientDecisions, principalDecisions } from './plugin.ts'

const now = 1_800_000_000_000
const decisionOf = (members: Partial<Decision>): Decision => ({
  id: 'decision-1',
  scope: 'client',
  target: '203.0.113.7',
  type: 'ban',
  rule: 'path-probing',
  reason: 'distinct unknown paths',
  by: 'monitor',
  createdAt: now - 1000,
  expiresAt: now + 60_500,
  offence: 1,
  observed: false,
  evidence: null,
  ...members,
})

interface Options {
  readonly isExempt?: (address: string) => boolean
  readonly takeTightened?: () => number | Promise<number>
  readonly isKnownPlace?: () => Promise<boolean>
}

/** An application with nothing but the two hooks; `x-address` and `x-subject` say who asks. */
const start = async (given: readonly Decision[], options: Options = {}) => {
  const events: SecurityEvent[] = []
  const decisions = new Decisions(() => now)
  for (const decision of given) decisions.apply({ change: 'decided', decision })
  const app = Fastify()
  const shared = {
    decisions,
    isExempt: options.isExempt ?? (() => false),
    epochMs: () => now,
    observe: (event: SecurityEvent) => void events.push(event),
  }
  const addresses = createClientAddresses({ trustedProxies: ['127.0.0.1/32'] })
  const known = wholeServer<FastifyPluginCallback>('client-address', (server, _options, done) => {
    server.addHook('onRequest', (request, _reply, next) => {
      request.client = addresses.of(request.raw)
      next()
    })
    done()
  })
  const authenticated = wholeServer<FastifyPluginCallback>('authentication', (server, _options, done) => {
    server.addHook('onRequest', (request, _reply, next) => {
      const subject = request.headers['x-subject']
      const credential = String(request.headers['x-credential'] ?? 'key:one')
      Object.assign(request, {
        principal: subject === undefined ? null : ({ subject, credential, permissions: new Set() } as unknown as Principal),
      })
      next()
    })
    done()
  })
  await app.register(known)
  await app.register(clientDecisions, { ...shared, takeTightened: options.takeTightened ?? (() => 0) })
  await app.register(authenticated)
  await app.register(principalDecisions, {
    ...shared,
    isLogin: ({ routeOptions }) => routeOptions.url === '/login',
    isKnownPlace: options.isKnownPlace ?? (() => Promise.resolve(false)),
  })
  app.get('/', () => 'ok')
  app.get('/login', () => 'ok')
  const ask = async (address: string, who: Readonly<Record<string, string>> = {}, url = '/'): Promise<number> =>
    (await app.inject({ url, headers: { 'x-forwarded-for': address, ...who } })).statusCode
  return { ask, events, app }
}

const refused = 429

test('a ban refuses the client prefix and nobody else, and says which decision it was', async () => {
  const { ask, events } = await start([decisionOf({}), decisionOf({ id: 'decision-2', target: '2001:db8::/64' })])
  assert.equal(await ask('203.0.113.7'), refused)
  assert.equal(await ask('203.0.113.8'), 200)
  assert.equal(await ask('2001:db8::5'), refused)
  assert.equal(await ask('2001:db8::ffff:1:2:3'), refused)
  assert.equal(await ask('2001:db8:0:1::5'), 200)
  assert.deepEqual(
    events.map((event) => (event.event === 'decision_enforced' ? event.decision : event.event)),
    ['decision-1', 'decision-2', 'decision-2'],
  )
})

test('what has expired, or was only observed, refuses nobody', async () => {
  const { ask, events } = await start([decisionOf({ expiresAt: now }), decisionOf({ id: 'seen', observed: true })])
  assert.equal(await ask('203.0.113.7'), 200)
  assert.deepEqual(events, [])
})

test('whoever is exempt is served at once, whatever was decided about the address, the credential or the account', async () => {
  const all = [
    decisionOf({}),
    decisionOf({ id: 'b', scope: 'range', target: '203.0.113.0/24' }),
    decisionOf({ id: 'c', scope: 'principal', target: 'key:one' }),
    decisionOf({ id: 'd', scope: 'account', target: 'u1' }),
  ]
  const { ask } = await start(all, { isExempt: (address) => address === '203.0.113.7' })
  assert.equal(await ask('203.0.113.7', { 'x-subject': 'u1' }), 200)
  assert.equal(await ask('198.51.100.1', { 'x-subject': 'u1' }), refused)
  assert.equal(await ask('203.0.113.9'), refused)
})

test('a ban of a credential refuses that one wherever it is used; the other credentials of the account go on', async () => {
  const { ask } = await start([decisionOf({ scope: 'principal', target: 'key:one' })])
  assert.equal(await ask('198.51.100.1', { 'x-subject': 'u1', 'x-credential': 'key:one' }), refused)
  assert.equal(await ask('198.51.100.1', { 'x-subject': 'u1', 'x-credential': 'key:two' }), 200)
  assert.equal(await ask('198.51.100.1'), 200)
})

test('a ban of an account does not shut its owner out where the account was used before', async () => {
  const decision = decisionOf({ scope: 'account', target: 'u1' })
  const away = await start([decision])
  assert.equal(await away.ask('198.51.100.1', { 'x-subject': 'u1' }), refused)
  assert.equal(await away.ask('198.51.100.1', { 'x-subject': 'u2' }), 200)
  const home = await start([decision], { isKnownPlace: () => Promise.resolve(true) })
  assert.equal(await home.ask('198.51.100.1', { 'x-subject': 'u1' }), 200)
})

test('require_login: nobody is served without credentials, but for the way to some', async () => {
  const { ask } = await start([decisionOf({ type: 'require_login' })])
  assert.equal(await ask('203.0.113.7'), refused)
  assert.equal(await ask('203.0.113.7', {}, '/login'), 200)
  assert.equal(await ask('203.0.113.7', { 'x-subject': 'u1' }), 200)
})

test('attack: who is slowed down besides is not let in without the login that is asked of everybody there', async () => {
  const login = decisionOf({ id: 'login', type: 'require_login', scope: 'range', target: '203.0.113.0/24' })
  const { ask, events } = await start([decisionOf({ type: 'tighten' }), login])
  assert.equal(await ask('203.0.113.7'), refused)
  assert.deepEqual(
    events.map((event) => event.event === 'decision_enforced' && event.decision),
    ['login'],
  )
  assert.equal(await ask('203.0.113.7', {}, '/login'), 200)
  assert.equal(await ask('203.0.113.7', { 'x-subject': 'u1' }), 200)
})

test('tighten: refused where none of the few requests is left; a store that is gone refuses by itself what it must', async () => {
  const decision = decisionOf({ type: 'tighten' })
  const steps = [0, 5001]
  const { ask } = await start([decision], { takeTightened: () => steps.shift() ?? 1 })
  assert.deepEqual([await ask('203.0.113.7'), await ask('203.0.113.7')], [200, refused])
  const gone = await start([decision], { takeTightened: () => Promise.reject(new Error('gone')) })
  assert.equal(await gone.ask('203.0.113.7'), 200)
})

test('of several decisions the strongest holds', async () => {
  const { ask, events } = await start([
    decisionOf({ id: 'weak', type: 'require_login' }),
    decisionOf({ id: 'strong', scope: 'range', target: '203.0.113.0/24' }),
  ])
  assert.equal(await ask('203.0.113.7', { 'x-subject': 'u1' }), refused)
  assert.equal(events[0]?.event === 'decision_enforced' ? events[0].decision : undefined, 'strong')
})
