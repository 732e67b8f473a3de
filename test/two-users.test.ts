import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'

import { createPasskeys } from '../src/api/accounts/factors/passkey-table.ts'
import { passkeyName } from '../src/api/accounts/factors/passkey-table.ts'
import { systemClock as clock } from '../src/core/clock.ts'
import { openAccessApp } from './support/access-app.ts'
import { type Answer, ask, assertSafe } from './support/attack.ts'

/**
 * Every route that names one thing, and what somebody may do with what belongs to another of the same role (BOLA, OWASP API Security Top 10
 * 2023, API1). `owned`: the answer is that for a thing that does not exist. `public`: it belongs to everybody. `administered`: who may use the
 * route may use it for anybody, which is what it is for; the access matrix says who.
 */
const expected = {
  'GET /v1/films/:id': 'public',
  'HEAD /v1/films/:id': 'public',
  'GET /problems/:code': 'public',
  'HEAD /problems/:code': 'public',
  'GET /v1/keys/:id': 'owned',
  'HEAD /v1/keys/:id': 'owned',
  'DELETE /v1/keys/:id': 'owned',
  'DELETE /v1/auth/sessions/:id': 'owned',
  'DELETE /v1/me/passkeys/:id': 'owned',
  'GET /v1/users/:id': 'administered',
  'HEAD /v1/users/:id': 'administered',
  'PATCH /v1/users/:id': 'administered',
  'DELETE /v1/users/:id': 'administered',
  'GET /v1/limits/:identity': 'administered',
  'HEAD /v1/limits/:identity': 'administered',
  'DELETE /v1/limits/:identity': 'administered',
} as const

const { app, api, database, addMember, addKey, close } = await openAccessApp()
after(close)

const roles = ['viewer', 'editor', 'moderator'] as const
const passkeys = createPasskeys(database, clock.epochMs)

/** Somebody with one of everything that can be owned. */
const addOwner = async (username: string, role: (typeof roles)[number]) => {
  const member = await addMember(username, role, { mfa: true })
  const key = await addKey(member.id, ['votes:write'])
  const passkeyId = Buffer.from(`the passkey of ${username}`).toString('base64url')
  const passkey = { id: passkeyId, accountId: member.id, name: 'a phone', publicKey: 'AA', counter: 0, transports: [] }
  assert.equal((await database.commit([passkeys.add(passkey)])).result, 'committed')
  return { ...member, keyBearer: key.bearer, things: { keys: key.id, sessions: member.sid, passkeys: passkeyName(passkeyId) } }
}

const nobodys = { keys: 'nobodyhasit1', sessions: 'nobodyhasthisid-atall0', passkeys: passkeyName('of nobody') }

const call = (route: string, things: typeof nobodys, bearer: string): Promise<Answer> => {
  const [method = '', url = ''] = route.split(' ')
  const [, kind = ''] = /\/(\w+)\/:id$/.exec(url) ?? []
  return ask(api, { method, target: url.replace(':id', things[kind as keyof typeof nobodys]), fields: { Authorization: bearer } })
}

/** All of an answer but what differs between any two. */
const shape = ({ status, fields, body }: Answer) => ({
  status,
  fields: fields.filter(([name]) => !/^(x-request-id|date|ratelimit)$/.test(name)),
  body: body.replace(/"request_id":"\w+"/, ''),
})

const stored = async () => ({
  keys: await database.reader.selectFrom('api_key').select(['id', 'revoked_at']).orderBy('id').execute(),
  sessions: await database.reader.selectFrom('session').select(['id', 'revoked_at']).orderBy('id').execute(),
  passkeys: await database.reader.selectFrom('passkey').select('id').orderBy('id').execute(),
})

test('every route with a parameter has a row, every row a route', () => {
  const named = app.routes.filter(({ url }) => url.includes(':')).map(({ method, url }) => `${method} ${url}`)
  assert.deepEqual(named.toSorted(), Object.keys(expected).toSorted())
})

describe('[ASVS 8.2.2] what belongs to another', () => {
  for (const route of Object.keys(expected).filter((one) => expected[one as keyof typeof expected] === 'owned')) {
    for (const role of roles) {
      test(`${route}, both a ${role}: as if it were not there, and untouched`, async () => {
        const id = route.replaceAll(/\W/g, '').toLowerCase()
        const [ann, bob] = [await addOwner(`ann-${role}-${id}`, role), await addOwner(`bob-${role}-${id}`, role)]
        const before = await stored()
        for (const bearer of [bob.bearer, bob.keyBearer]) {
          const [theirs, none] = [await call(route, ann.things, bearer), await call(route, nobodys, bearer)]
          assertSafe(theirs)
          assert.ok(theirs.status === 404 || (theirs.status === 403 && bearer === bob.keyBearer), theirs.body)
          assert.deepEqual(shape(theirs), shape(none))
        }
        assert.deepEqual(await stored(), before)
        assert.ok((await call(route, ann.things, ann.bearer)).status < 300, 'its owner may')
      })
    }
  }

  test('lists show nothing of it', async () => {
    const [ann, bob] = [await addOwner('ann-lists', 'editor'), await addOwner('bob-lists', 'editor')]
    for (const target of ['/v1/keys', '/v1/auth/sessions', '/v1/me/passkeys']) {
      const { status, body } = await ask(api, { target, fields: { Authorization: bob.bearer } })
      assert.equal(status, 200, body)
      for (const thing of Object.values(ann.things)) assert.ok(!body.includes(thing), target)
      assert.ok(
        Object.values(bob.things).some((thing) => body.includes(thing)),
        `${target} shows the own`,
      )
    }
  })
})
