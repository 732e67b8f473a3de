import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { after, before, describe, test } from 'node:test'

import type { FastifyInstance, FastifyRequest } from 'fastify'

import { Problem } from '../../src/core/errors.ts'
import type { Observe } from '../../src/core/events.ts'
import { clientIdentity, createFailureLimit, type LimiterStore } from '../../src/layers/index.ts'
import { type Answer, ask } from '../support/attack.ts'
import { limitPlaces, type OpenLimitPlace } from '../support/limit-places.ts'
import { describeUnless } from '../support/services.ts'
import { remaining, statuses } from './hits.ts'
import { openLimitedApp, openStoreAt, type OpenStore } from './limited-app.ts'

const plenty = '100000000 per day'
const limit = 10

type Login = FastifyRequest<{ Body: { readonly username: string; readonly password: string } }>

/** As a program spells the account whose password it is to look at. */
const accountOf = (username: string): string => username.trim().toLowerCase()

/** As a hash takes its time: all that are let in are in there together. */
const look = async (password: string): Promise<void> => {
  await turn()
  if (password === 'broken') throw new Error('the disk is full')
  if (password !== 'right') throw new Problem('unauthenticated', { detail: 'Wrong.' })
}

/** A login that takes a failure of the prefix and of the account there, before it looks at the password; `verified` has the looks. */
const loginRoute = (store: LimiterStore, verified: string[]) => (app: FastifyInstance, observe: Observe) => {
  const failures = createFailureLimit({ store, observe, policy: 'login', limits: `${limit} per hour` })
  const handler = async (request: Login): Promise<string> => {
    const { username, password } = request.body
    const account = accountOf(username)
    const { client } = request
    const giveBack = await failures.reserve(request, [clientIdentity(client), { id: `${client.prefix} ${account}` }])
    verified.push(account)
    await look(password)
    await giveBack()
    return 'welcome'
  }
  app.route({ method: 'POST', url: '/login', handler })
}

/** The same by the option of the route alone: it knows the client, and no account. */
const failuresRoute = (verified: string[]) => (app: FastifyInstance) => {
  app.route({
    method: 'POST',
    url: '/login',
    config: { limits: { failures: `${limit} per hour` } },
    handler: async (request: Login) => {
      verified.push(request.body.username)
      await look(request.body.password)
      return 'welcome'
    },
  })
}

const login = (server: { readonly port: number }, from: string, username: string, password: string): Promise<Answer> => {
  const body = JSON.stringify({ username, password })
  return ask(server, { target: '/login', method: 'POST', fields: { 'Content-Type': 'application/json' }, body, from })
}

const cost = (request: FastifyRequest): number => Number(request.headers['x-cost'])

const costlyRoutes = (app: FastifyInstance): void => {
  app.get('/export', { config: { limits: { only: '10 per minute; 25 per hour', cost } } }, () => 'much')
  app.get('/huge', { config: { limits: { only: '10 per minute', cost: 11 } } }, () => 'too much')
}

const openCostly = (store: LimiterStore) => openLimitedApp({ store, rules: { anonymous: plenty }, routes: costlyRoutes })

const exportOf = (server: { readonly port: number }, from: string, units: number): Promise<Answer> =>
  ask(server, { target: '/export', from, fields: { 'X-Cost': String(units) } })

const left = (answer: Answer): number[] => [remaining(answer, 'minute'), remaining(answer, 'hour')]

const several = <T>(count: number, one: (index: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, index) => one(index)))

for (const place of limitPlaces) {
  describeUnless(place.missing, `limits counted in ${place.name}`, () => {
    let at: OpenLimitPlace
    let opened: OpenStore
    before(async () => {
      at = await place.open()
      opened = await openStoreAt(at)
    })
    after(async () => {
      await opened[Symbol.asyncDispose]()
      await at[Symbol.asyncDispose]()
    })
    const openLogin = (verified: string[]) =>
      openLimitedApp({ store: opened.store, rules: { anonymous: plenty }, routes: loginRoute(opened.store, verified) })

    test(`case 19: 50 wrong passwords at once: ${limit} are looked at`, async () => {
      const verified: string[] = []
      await using server = await openLogin(verified)
      const answers = await several(50, () => login(server, '127.0.33.1', 'bob', 'wrong'))
      assert.deepEqual(statuses(answers), { 401: limit, 429: 50 - limit })
      assert.equal(verified.length, limit)
      assert.equal((await login(server, '127.0.33.1', 'bob', 'right')).status, 429)
      const events = server.events.filter(({ event }) => event === 'excess_rate_limit_exceeded')
      assert.equal(events.length, 50 - limit + 1)
    })

    test('case 19: every spelling of an account is that account', async () => {
      const verified: string[] = []
      await using server = await openLogin(verified)
      const spellings = ['A@x', 'a@X ', ' a@x', 'A@X']
      const answers = await several(40, (i) => login(server, '127.0.33.2', spellings[i % spellings.length]!, 'wrong'))
      assert.deepEqual(statuses(answers), { 401: limit, 429: 40 - limit })
      assert.deepEqual([...new Set(verified)], ['a@x'])
    })

    test('case 19: one prefix tries many accounts: it is the prefix that is refused', async () => {
      const verified: string[] = []
      await using server = await openLogin(verified)
      await several(40, (i) => login(server, '127.0.33.3', `user${i}`, 'wrong'))
      assert.equal(verified.length, limit)
    })

    test("case 19: an attacker's failures do not lock the owner out on another network", async () => {
      await using server = await openLogin([])
      await several(40, () => login(server, '127.0.33.4', 'carol', 'wrong'))
      assert.equal((await login(server, '127.0.33.4', 'carol', 'right')).status, 429)
      assert.equal((await login(server, '127.0.33.5', 'carol', 'right')).status, 200)
    })

    test('case 19: right passwords cost nothing, and a failure of ours is counted: nobody knows what it was', async () => {
      await using server = await openLogin([])
      for (let i = 0; i < 2 * limit; i++) assert.equal((await login(server, '127.0.33.6', 'dave', 'right')).status, 200)
      for (let i = 0; i < limit; i++) assert.equal((await login(server, '127.0.33.6', 'dave', 'broken')).status, 500)
      assert.equal((await login(server, '127.0.33.6', 'dave', 'wrong')).status, 429)
    })

    test('case 19, as an option of the route: 50 wrong ones at once: as many as the limit reach it', async () => {
      const verified: string[] = []
      await using server = await openLimitedApp({ store: opened.store, rules: { anonymous: plenty }, routes: failuresRoute(verified) })
      const from = '127.0.33.7'
      // Neither what went well nor what failed by our fault is one.
      for (let i = 0; i < limit + 1; i++) assert.equal((await login(server, from, 'erin', 'right')).status, 200)
      for (let i = 0; i < limit + 1; i++) assert.equal((await login(server, from, 'erin', 'broken')).status, 500)
      verified.length = 0
      const answers = await several(50, () => login(server, from, 'erin', 'wrong'))
      assert.deepEqual(statuses(answers), { 401: limit, 429: 50 - limit })
      assert.equal(verified.length, limit)
      const refused = await login(server, from, 'erin', 'right')
      assert.deepEqual(refused.json()['violated-policies'], ['failures-hour'])
      assert.equal((await login(server, '127.0.33.8', 'erin', 'right')).status, 200)
    })

    describe('case 20', () => {
      test('case 20: a cost above what is left is refused and takes nothing', async () => {
        await using server = await openCostly(opened.store)
        const from = '127.0.34.1'
        assert.deepEqual(left(await exportOf(server, from, 7)), [3, 18])
        for (let i = 0; i < 5; i++) {
          const refused = await exportOf(server, from, 4)
          assert.equal(refused.status, 429)
          assert.deepEqual(left(refused), [3, 18])
          const seconds = Number(refused.field('retry-after'))
          assert.ok(seconds > 50 && seconds <= 60, `Retry-After ${seconds}`)
        }
        const fits = await exportOf(server, from, 3)
        assert.equal(fits.status, 200)
        assert.deepEqual(left(fits), [0, 15])
      })

      test('case 20: at once, the units that are admitted are never more than the limit', async () => {
        await using server = await openCostly(opened.store)
        const costs = [3, 4, 5, 1, 2]
        const answers = await several(50, (i) => exportOf(server, '127.0.34.2', costs[i % costs.length]!))
        const units = answers.reduce((sum, { status }, i) => sum + (status === 200 ? costs[i % costs.length]! : 0), 0)
        // A unit of 1 was among the refused, so nothing can be left.
        assert.equal(units, 10)
      })

      test('case 20: a cost above the limit is refused for good: no Retry-After, nothing taken, in words', async () => {
        await using server = await openCostly(opened.store)
        const from = '127.0.34.3'
        for (const answer of [
          await exportOf(server, from, 11),
          await exportOf(server, from, 1e9),
          await ask(server, { target: '/huge', from }),
        ]) {
          assert.equal(answer.status, 429)
          assert.equal(answer.field('retry-after'), undefined)
          assert.match(String(answer.json()['detail']), /never be allowed/)
          assert.doesNotMatch(`${answer.body}${answer.fields.join()}`, /Infinity|NaN|null/)
        }
        assert.deepEqual(left(await exportOf(server, from, 10)), [0, 15])
      })
    })
  })
}
