import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { DecisionType } from '../../src/layers/monitor/decision.ts'
import { eventually } from '../support/deadline.ts'
import { hour, type Instance, sharingKinds, testDecision } from '../support/decisions.ts'
import { describeUnless } from '../support/services.ts'

/** The promise is 1 s; a machine that runs other tests has more to do. Both are measured. */
const limitMs = 10_000

const scopes = [
  ['client', '203.0.113.7'],
  ['client', '2001:db8::/64'],
  ['range', '198.51.100.0/24'],
  ['principal', 'key:4fGh7Kq2LmZx'],
  ['account', 'u2345'],
] as const
const types = ['ban', 'tighten', 'require_login', 'tell'] as const satisfies readonly DecisionType[]

const client = (target: string) => ({ address: target, prefix: target, wide: target }) as never
const order = (target: string, expiresAt = Date.now() + hour) => ({
  ...({ scope: 'client', target, type: 'ban', reason: 'a person said so', by: 'uadmin' } as const),
  expiresAt,
})
const origin = { requestId: 'request-1', client: '198.51.100.1' }

const isBanned = ({ monitor }: Instance, target: string): boolean => monitor.decisions.ofClient(client(target))?.type === 'ban'

const auditOf = async ({ database }: Instance, id: string) =>
  database.reader.selectFrom('audit').select(['actor', 'action', 'request_id', 'client']).where('target', '=', id).orderBy('seq').execute()

/** Milliseconds until it is so. */
const took = async (what: string, isSo: () => boolean): Promise<number> => {
  const startMs = performance.now()
  await eventually(limitMs, what, isSo)
  return performance.now() - startMs
}

for (const kind of sharingKinds) {
  describeUnless(kind.missing, `decisions of instances that share ${kind.name}`, () => {
    test('what one decides and lifts holds on the other within a second, and survives a restart of both with its evidence', async (t) => {
      await using sharing = await kind.begin()
      const first = await sharing.open('first')
      const second = await sharing.open('second')
      const made = testDecision({ target: '203.0.113.7' })
      await first.store.save(made)
      const byRule = await took('the ban of a rule is heard of', () => isBanned(second, '203.0.113.7'))
      const ordered = await first.monitor.decide(order('203.0.113.8'), origin)
      const byHand = await took('the ban of a person is heard of', () => isBanned(second, '203.0.113.8'))
      const gone = await first.monitor.decide(order('203.0.113.9'), origin)
      await eventually(limitMs, 'the third is heard of', () => isBanned(second, '203.0.113.9'))
      assert.equal(await first.monitor.lift(gone.id, 'uadmin', origin), true)
      assert.equal(isBanned(first, '203.0.113.9'), false)
      const lifted = await took('the end is heard of', () => !isBanned(second, '203.0.113.9'))
      t.diagnostic(`heard after ${[byRule, byHand, lifted].map((ms) => ms.toFixed(0)).join(', ')} ms`)

      await eventually(limitMs, 'the second has stored them', async () => (await second.repository.find(gone.id))?.liftedBy === 'uadmin')
      await first[Symbol.asyncDispose]()
      await second[Symbol.asyncDispose]()
      const [again, other] = [await sharing.open('first'), await sharing.open('second')]
      for (const instance of [again, other]) {
        assert.ok(isBanned(instance, '203.0.113.7'))
        assert.ok(isBanned(instance, '203.0.113.8'))
        assert.ok(!isBanned(instance, '203.0.113.9'), 'what was lifted stays so')
        assert.equal(instance.monitor.decisions.size, 2)
        assert.deepEqual(await instance.repository.find(made.id), { ...made, liftedAt: null, liftedBy: null })
      }
      const acted = { actor: 'uadmin', request_id: origin.requestId, client: origin.client }
      assert.deepEqual(await auditOf(again, made.id), [], 'the trail is of persons')
      assert.deepEqual(await auditOf(again, ordered.id), [{ ...acted, action: 'decision.create' }])
      assert.deepEqual(
        (await auditOf(again, gone.id)).map(({ action }) => action),
        ['decision.create', 'decision.lift'],
      )
    })

    test('every kind of decision is kept and shared as it is', async () => {
      await using sharing = await kind.begin()
      const first = await sharing.open('first')
      const second = await sharing.open('second')
      const made = scopes.flatMap(([scope, target]) =>
        types.map((type) => testDecision({ scope, target, type, observed: type === 'tell', rule: type === 'ban' ? null : 'a-rule' })),
      )
      await Promise.all(made.map((decision) => first.store.save(decision)))
      for (const instance of [first, second])
        for (const decision of made) {
          await eventually(limitMs, 'it is stored', async () => (await instance.repository.find(decision.id)) !== undefined)
          assert.deepEqual(await instance.repository.find(decision.id), { ...decision, liftedAt: null, liftedBy: null })
          await eventually(limitMs, 'it is in force', () => instance.monitor.decisions.get(decision.id) !== undefined)
          assert.deepEqual(instance.monitor.decisions.get(decision.id), { ...decision, evidence: null })
        }
    })

    test('offences count across restarts and instances, observed and lifted ones do not', async () => {
      await using sharing = await kind.begin()
      const first = await sharing.open('first')
      const second = await sharing.open('second')
      const target = '203.0.113.20'
      const now = Date.now()
      // Over by now, or soon: it still makes the next one longer.
      await first.store.save(testDecision({ target, createdAt: now - 2 * hour, expiresAt: now + 3000 }))
      await first.store.save(testDecision({ target, observed: true }))
      await eventually(limitMs, 'both are heard of', () => second.monitor.decisions.about('client', target).length === 2)
      const mistaken = await second.monitor.decide(order(target))
      assert.equal(mistaken.offence, 2)
      await second.monitor.lift(mistaken.id, 'uadmin')
      const next = await second.monitor.decide(order(target))
      assert.equal(next.offence, 2)
      await eventually(limitMs, 'that too', () => isBanned(first, target))
      await first[Symbol.asyncDispose]()
      const again = await sharing.open('first')
      assert.equal((await again.monitor.decide(order(target))).offence, 3)
    })

    test('of many who lift one decision at once, on two instances, it is lifted once by each database', async () => {
      await using sharing = await kind.begin()
      const first = await sharing.open('first')
      const second = await sharing.open('second')
      const { id } = await first.monitor.decide(order('203.0.113.30'))
      await eventually(
        limitMs,
        'it is known and stored',
        async () => (await second.repository.find(id)) !== undefined && isBanned(second, '203.0.113.30'),
      )
      const lifts = await Promise.all([first, second, first, second].map((each, i) => each.monitor.lift(id, `u${i}`)))
      const isOneDatabase = kind.name.startsWith('one')
      assert.equal(lifts.filter(Boolean).length, isOneDatabase ? 1 : 2)
      for (const each of [first, second]) {
        await eventually(limitMs, 'nobody is banned', () => !isBanned(each, '203.0.113.30'))
        assert.equal(await each.monitor.lift(id, 'ulate'), false)
        assert.equal(each.events.filter(({ event }) => event === 'decision_lifted').length <= 1, true)
      }
      assert.equal(await first.monitor.lift('unknown', 'uadmin'), false)
    })

    test('a thousand decisions of two instances at once are all heard of, once each', async () => {
      await using sharing = await kind.begin()
      const instances = [await sharing.open('first'), await sharing.open('second')]
      const made = Array.from({ length: 1000 }, (_, i) => testDecision({ target: `2001:db8:0:${i.toString(16)}::/64` }))
      await Promise.all(made.map((decision, i) => instances[i % 2]!.store.save(decision)))
      for (const { monitor } of instances) await eventually(30_000, 'all are in force', () => monitor.decisions.size === 1000)
      for (const { repository } of instances)
        await eventually(30_000, 'all are stored', async () => (await repository.newer(0, 2000)).changes.length === 1000)
    })
  })
}
