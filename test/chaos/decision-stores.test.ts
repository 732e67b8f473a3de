import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { nameOfChange } from '../../src/layers/monitor/outbox.ts'
import { createSharedDecisions, type SharedDecisions } from '../../src/layers/monitor/redis-store.ts'
import type { Decision, DecisionChange } from '../../src/layers/monitor/decision.ts'
import { databases, type Place, postgresPlace } from '../support/databases.ts'
import { eventually } from '../support/deadline.ts'
import { decisionSecret, hour, type Instance, openInstance, testDecision } from '../support/decisions.ts'
import { openTestStore } from '../support/limiter-redis.ts'
import { startPostgres } from '../support/postgres.ts'
import { seededRandom } from '../support/random.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { describeUnless, servicesMissing } from '../support/services.ts'

const limitMs = 30_000
const decided = (decision: Decision): DecisionChange => ({ change: 'decided', decision })
const knows = ({ monitor }: Instance, { id }: Decision): boolean => monitor.decisions.get(id) !== undefined

/** As docs/redis.md has them for operators to copy. */
const documentedRights = (): string[] => {
  const text = readFileSync(join(import.meta.dirname, '../../docs/redis.md'), 'utf8')
  const rights = /ACL SETUSER[^`]*`/.exec(text)?.[0].match(/\+[a-z]+/g) ?? []
  assert.ok(rights.length > 20)
  return rights
}

/** Each has a database of its own. */
const sqlitePlace = (): Promise<Place> => databases[0]!.place()

interface Alone extends AsyncDisposable {
  readonly shared: SharedDecisions
  readonly heard: DecisionChange[]
  readonly told: string[]
  /** How often it was said that Redis may lack something. */
  readonly lacks: () => number
}

/** Redis alone, without a database behind it. */
const openShared = async (redis: RedisServer, options: { readonly secret?: Buffer; readonly most?: number } = {}): Promise<Alone> => {
  const told: string[] = []
  const heard: DecisionChange[] = []
  let lacks = 0
  const { store } = await openTestStore(redis.url, { observe: () => undefined, onFailure: 'local' })
  const shared = createSharedDecisions({
    script: (text) => store.script(text),
    isUp: () => store.isUp,
    secret: decisionSecret,
    observe: (event) => void told.push(`${event.event} ${'store' in event ? event.store : ''}`),
    epochMs: Date.now,
    // What is published here is not tried again.
    timeoutMs: 20_000,
    ...options,
  })
  await shared.start(
    (changes) => void heard.push(...changes),
    () => void lacks++,
  )
  return {
    shared,
    heard,
    told,
    lacks: () => lacks,
    [Symbol.asyncDispose]: async () => {
      shared.close()
      await store.close()
    },
  }
}

describeUnless(servicesMissing('postgres'), 'the database goes away', () => {
  test('what the monitor decides is stored when the database is back, and is heard of by others; a person is told that it is not', async () => {
    await using postgres = await startPostgres()
    await using place = await postgresPlace(postgres)
    await using here = await openInstance({ place })
    await using there = await openInstance({ place })
    await postgres.stop('SIGKILL')
    const made = testDecision()
    const saving = here.store.save(made)
    saving.catch(() => undefined)
    const order = { scope: 'client', target: '203.0.113.5', type: 'ban', reason: 'x', by: 'uadmin', expiresAt: Date.now() + hour } as const
    await assert.rejects(here.monitor.decide(order), /Storage cannot be/)
    assert.equal(here.monitor.decisions.about('client', '203.0.113.5').length, 0, 'what is not durable is not in force')
    await assert.rejects(here.monitor.lift(made.id, 'uadmin'))
    await postgres.start()
    await saving
    await eventually(limitMs, 'the other hears of what it missed', () => knows(there, made))
    const lifted = await here.monitor.lift(made.id, 'uadmin')
    assert.equal(lifted, true)
    await eventually(limitMs, 'and of its end', () => !knows(there, made))
  })
})

describeUnless(servicesMissing('redis'), 'decisions in Redis', () => {
  test('whoever can write to Redis can neither ban nor free anybody', async () => {
    await using redis = await startRedis()
    await using first = await openShared(redis)
    await using forger = await openShared(redis, { secret: Buffer.alloc(32, 1) })
    const [own, forged, last] = [testDecision(), testDecision({ target: '0.0.0.0/0', scope: 'range' }), testDecision()]
    await first.shared.publish([decided(own)])
    await eventually(limitMs, 'it is heard of', () => first.heard.length === 1)
    await forger.shared.publish([decided(forged), { change: 'lifted', id: own.id, by: 'umallory' }])
    // Past the program: nonsense, and a true body under another name.
    const body = await redis.cli('hget', 'filmgate:{decisions}:bodies', `d${forged.id}`)
    for (const [i, text] of ['', '{', '{}', 'AAAA{"change":"lifted"}', body.slice(1), body.replace('0.0.0.0/0', '1.0.0.0/8')].entries()) {
      await redis.cli('zadd', 'filmgate:{decisions}:log', String(100 + i), `dx${i}`)
      await redis.cli('hset', 'filmgate:{decisions}:bodies', `dx${i}`, text)
    }
    await redis.cli('hset', 'filmgate:{decisions}:head', 'seq', '200')
    await first.shared.publish([decided(last)])
    await eventually(limitMs, 'what comes behind is heard', () => first.heard.some((one) => nameOfChange(one) === `decided ${last.id}`))
    assert.deepEqual(new Set(first.heard.map(nameOfChange)), new Set([`decided ${own.id}`, `decided ${last.id}`]))
  })

  test('rights that decisions alone lack are told of once, and once when they are there', async () => {
    await using redis = await startRedis()
    await using opened = await openShared(redis)
    const { shared, told } = opened
    await redis.cli('acl', 'setuser', 'default', '-zrange', '-hmget')
    await assert.rejects(shared.publish([decided(testDecision())]), /NOPERM|can't run this command/)
    await eventually(limitMs, 'it is told of', () => told.length === 1)
    await redis.cli('acl', 'setuser', 'default', '+zrange', '+hmget')
    await eventually(limitMs, 'the end, too', () => told.length === 2)
    assert.deepEqual(told, ['sys_store_failure redis decisions', 'sys_store_recovered redis decisions'])
  })

  test('the rights that the page on Redis names are enough', async () => {
    await using redis = await startRedis()
    const commands = documentedRights()
    await redis.cli('acl', 'setuser', 'filmgate', 'on', '>word', '~filmgate:*', ...commands)
    await using place = await sqlitePlace()
    await using instance = await openInstance({ place, redisUrl: redis.url.replace('redis://', 'redis://filmgate:word@') })
    const made = testDecision()
    await instance.store.save(made)
    await eventually(limitMs, 'it is published', async () => (await redis.cli('hlen', 'filmgate:{decisions}:bodies')) === '1')
    await instance.monitor.lift(made.id, 'uadmin')
    await eventually(limitMs, 'its end, too', async () => (await redis.cli('zscore', 'filmgate:{decisions}:ends', `l${made.id}`)) !== '')
    assert.doesNotMatch(JSON.stringify(instance.events), /NOPERM|can't run|redis decisions/)
  })

  test('what is over goes, of too many the newest stay, and nothing is left behind for ever', async () => {
    await using redis = await startRedis()
    await using opened = await openShared(redis, { most: 20 })
    const { shared } = opened
    const now = Date.now()
    const over = testDecision({ expiresAt: now - 1 })
    const made = Array.from({ length: 50 }, () => testDecision({ expiresAt: now + hour }))
    await shared.publish([decided(over), ...made.map(decided)])
    const kept = (await redis.cli('zrange', 'filmgate:{decisions}:log', '0', '-1')).split('\n')
    assert.deepEqual(
      kept,
      made.slice(-20).map(({ id }) => `d${id}`),
    )
    for (const name of ['log', 'bodies', 'ends']) {
      const expiresMs = Number(await redis.cli('pexpiretime', `filmgate:{decisions}:${name}`))
      assert.ok(expiresMs > now + hour && expiresMs <= now + hour + 60_000, name)
    }
    assert.deepEqual(await shared.lacking(made.slice(-21).map(decided)), [decided(made.at(-21)!)])
    const long = testDecision({
      evidence: {
        ...made[0]!.evidence!,
        signals: Array.from({ length: 20 }, () => ({ ...made[0]!.evidence!.signals[0]!, about: 'x'.repeat(1000) })),
      },
    })
    await shared.publish([decided(long)])
    await eventually(limitMs, 'it is heard', () => opened.heard.some((one) => nameOfChange(one) === `decided ${long.id}`))
    const heard = opened.heard.find((one) => nameOfChange(one) === `decided ${long.id}`)
    assert.ok(heard?.change === 'decided' && heard.decision.evidence === null, 'too long to be sent with its evidence')
  })

  test('a failover to a replica that lacks the newest: whoever knows them says them again', async () => {
    await using redis = await startRedis()
    await using one = await sqlitePlace()
    await using two = await sqlitePlace()
    await using here = await openInstance({ place: one, redisUrl: redis.url })
    const [old, lost, newer] = [testDecision(), testDecision(), testDecision()]
    await here.store.save(old)
    await eventually(limitMs, 'the first is there', async () => (await redis.cli('hlen', 'filmgate:{decisions}:bodies')) === '1')
    await here.store.save(lost)
    await eventually(limitMs, 'the second, too', async () => (await redis.cli('hlen', 'filmgate:{decisions}:bodies')) === '2')
    await using there = await openInstance({ place: two, redisUrl: redis.url })
    await eventually(limitMs, 'both are known', () => knows(there, old) && knows(there, lost))
    // As a server is that was a replica: what came last is not there, and its number is given again.
    for (const [command, key] of [
      ['zrem', 'log'],
      ['zrem', 'ends'],
      ['hdel', 'bodies'],
    ] as const)
      await redis.cli(command, `filmgate:{decisions}:${key}`, `d${lost.id}`)
    await redis.cli('hset', 'filmgate:{decisions}:head', 'seq', '1')
    await eventually(limitMs, 'it is there again', async () => (await redis.cli('hlen', 'filmgate:{decisions}:bodies')) === '2')
    await there.store.save(newer)
    await eventually(limitMs, 'what comes behind is heard', () => knows(here, newer))
  })

  test('ten thousand in Redis are known to an instance that starts, and stored in its own database', async (t) => {
    await using redis = await startRedis()
    await using publishing = await openShared(redis)
    const made = Array.from({ length: 10_000 }, (_, i) => testDecision({ target: `2001:db8:1:${i.toString(16)}::/64` }))
    for (let i = 0; i < made.length; i += 100) await publishing.shared.publish(made.slice(i, i + 100).map(decided))
    await using place = await sqlitePlace()
    const startMs = performance.now()
    await using instance = await openInstance({ place, redisUrl: redis.url })
    // At the start, unless the machine is so busy that Redis is late.
    await eventually(limitMs, 'all are known', () => instance.monitor.decisions.size === 10_000)
    t.diagnostic(`10,000 decisions are known within ${(performance.now() - startMs).toFixed(0)} ms`)
    await eventually(limitMs, 'they are stored', async () => (await instance.repository.newest()) >= 10_000)
    t.diagnostic(`stored within ${(performance.now() - startMs).toFixed(0)} ms`)
  })

  test('whatever is decided and lifted while Redis dies, hangs and forgets: behind it all instances agree, and what was lifted stays lifted', async (t) => {
    const random = seededRandom(t)
    await using redis = await startRedis()
    await using one = await sqlitePlace()
    await using two = await sqlitePlace()
    await using first = await openInstance({ place: one, redisUrl: redis.url, timeoutMs: 300 })
    await using second = await openInstance({ place: two, redisUrl: redis.url, timeoutMs: 300 })
    const instances = [first, second] as const
    const inForce = new Set<string>()
    let target = 0
    const change = async (): Promise<void> => {
      const { monitor } = instances[random.below(2) as 0 | 1]
      const known = monitor.decisions.all()
      const lifted = known[random.below(Math.max(1, known.length))]
      if (lifted !== undefined && random.often(0.4)) {
        // The other instance may have been first.
        await monitor.lift(lifted.id, 'uadmin')
        inForce.delete(lifted.id)
        return
      }
      const order = { scope: 'client', type: 'ban', reason: 'x', by: 'uadmin', expiresAt: Date.now() + hour } as const
      inForce.add((await monitor.decide({ ...order, target: `2001:db8:2:${(++target).toString(16)}::/64` })).id)
    }
    const faults: readonly (() => Promise<unknown>)[] = [
      async () => {
        await redis.stop('SIGKILL')
        for (let i = 0; i < 10; i++) await change()
        await redis.start()
      },
      async () => {
        await redis.pause()
        for (let i = 0; i < 10; i++) await change()
        redis.resume()
      },
      () => redis.cli('flushall'),
    ]
    for (let round = 0; round < 12; round++) {
      for (let i = 0; i < 10; i++) await change()
      await faults[random.below(faults.length)]!()
    }
    for (const { monitor } of instances)
      await eventually(limitMs, 'both know what is in force', () => {
        const held = monitor.decisions.all().map(({ id }) => id)
        return held.length === inForce.size && held.every((id) => inForce.has(id))
      })
    for (const { repository } of instances)
      await eventually(limitMs, 'both have stored it', async () => {
        const stored = await repository.load()
        return stored.length === inForce.size && stored.every(({ id }) => inForce.has(id))
      })
    for (const { events } of instances) assert.ok(!JSON.stringify(events).includes('redis decisions'))
  })
})
