import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { test } from 'node:test'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'

import { systemClock } from '../../src/core/clock.ts'
import type { RedisStore, RedisStoreOptions } from '../../src/layers/rate-limit/redis-store.ts'
import type { Decision } from '../../src/layers/rate-limit/store.ts'
import { createAuthority } from '../support/certificates.ts'
import { eventually, within } from '../support/deadline.ts'
import { many, openTestStore, quota } from '../support/limiter-redis.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { describeUnless, servicesMissing } from '../support/services.ts'

const minute = 60_000
const limitMs = 10_000
const timeoutMs = 300
const id = { id: '192.0.2.1' }

type Modes = 'local' | 'deny' | 'allow'

/** How Redis stops answering, and answers again. */
const faults: Readonly<
  Record<string, { readonly end: (redis: RedisServer) => Promise<void>; readonly mend: (redis: RedisServer) => Promise<void> }>
> = {
  killed: { end: (redis) => redis.stop('SIGKILL'), mend: (redis) => redis.start() },
  stopped: { end: (redis) => redis.pause(), mend: async (redis) => redis.resume() },
}

const untilDown = async (store: RedisStore, ask: () => unknown): Promise<void> =>
  eventually(limitMs, 'the failure is noticed', async () => {
    await Promise.resolve(ask()).catch(() => undefined)
    return !store.isUp
  })

const untilUp = (...stores: readonly RedisStore[]): Promise<void> =>
  eventually(limitMs, 'Redis is found again', () => stores.every(({ isUp }) => isUp))

const allowed = (decisions: readonly Decision[]): number => decisions.filter((each) => each.allowed).length

/** The words with which it refuses to be opened. */
const refusalOf = async (url: string, options: Partial<RedisStoreOptions> = {}): Promise<string> => {
  let words = ''
  await assert.rejects(within(6000, url, openTestStore(url, options)), (error: Error) => {
    words = error.message
    return !`${words} ${error.stack}`.includes('-secret')
  })
  return words
}

describeUnless(servicesMissing('redis'), 'Redis fails under the limiter', () => {
  for (const [fault, { end, mend }] of Object.entries(faults)) {
    test(`${fault}, local: each instance goes on with its share, and twice the limit is the most in all`, async () => {
      await using redis = await startRedis({ persistent: true })
      await using first = await openTestStore(redis.url, { onFailure: 'local', timeoutMs })
      await using second = await openTestStore(redis.url, { onFailure: 'local', timeoutMs })
      const stores = [first.store, second.store] as const
      await eventually(limitMs, 'both know of each other', () => stores.every(({ instances }) => instances === 2))
      const quotas = quota(50, minute)
      const before = allowed(await many(40, (i) => stores[i % 2]!.consume(id, quotas, 1)))
      assert.equal(before, 40)
      await end(redis)
      const during = allowed(await many(200, (i) => stores[i % 2]!.consume(id, quotas, 1)))
      await eventually(limitMs, 'both have noticed', async () => {
        for (const store of stores) await store.consume({ id: 'other' }, quotas, 1)
        return stores.every(({ isUp }) => !isUp)
      })
      const answer = stores[0].consume(id, quotas, 1)
      assert.ok(!(answer instanceof Promise), 'nothing waits for a store that is known to be gone')
      const later = allowed(await many(200, (i) => stores[i % 2]!.consume(id, quotas, 1)))
      assert.equal(during + later, 50, 'a share of 25 each')
      assert.equal(answer.states[0]!.window, quotas[0]!.windows[0])
      await mend(redis)
      await untilUp(...stores)
      const after = allowed(await many(200, (i) => stores[i % 2]!.consume(id, quotas, 1)))
      assert.equal(after, 10, 'what was asked meanwhile is not replayed, and what was counted before still counts')
      for (const { events } of [first, second])
        assert.deepEqual(
          events.map(({ event }) => event),
          ['sys_store_failure', 'sys_store_recovered'],
        )
    })

    for (const onFailure of ['deny', 'allow'] satisfies Modes[]) {
      const row = onFailure === 'deny' ? '[ASVS 16.5.3] ' : ''
      test(`${row}${fault}, ${onFailure}: one wait of at most the deadline, then every answer at once`, async () => {
        await using redis = await startRedis({ persistent: true })
        await using opened = await openTestStore(redis.url, { onFailure, timeoutMs })
        const { store, events } = opened
        const quotas = quota(5, minute)
        await store.consume(id, quotas, 1)
        await end(redis)
        const startedMs = systemClock.monotonicMs()
        const outcomes = await Promise.allSettled(Array.from({ length: 100 }, async () => store.consume(id, quotas, 1)))
        assert.ok(systemClock.monotonicMs() - startedMs < 3 * timeoutMs)
        assert.ok(outcomes.every(({ status }) => status === (onFailure === 'deny' ? 'rejected' : 'fulfilled')))
        assert.equal(store.isUp, false)
        const next = await Promise.resolve(store.consume(id, quotas, 1)).then(
          (decision) => decision.states[0]!.remaining,
          (error: unknown) => String(error),
        )
        if (onFailure === 'deny') assert.match(String(next), /lost Redis/)
        else assert.equal(next, 5)
        await assert.rejects(async () => store.reset(id), /lost Redis/)
        await mend(redis)
        await untilUp(store)
        assert.equal((await store.peek(id, quotas)).states[0]!.remaining, 4, 'none of the hundred was counted later')
        assert.equal(events.length, 2)
      })
    }
  }

  test('stopped for less than the deadline: nobody notices', async () => {
    await using redis = await startRedis()
    await using opened = await openTestStore(redis.url, { timeoutMs: 5000 })
    await redis.pause()
    const asked = many(20, () => opened.store.consume(id, quota(5, minute), 1))
    redis.resume()
    assert.equal(allowed(await asked), 5)
    assert.deepEqual(opened.events, [])
  })

  test('this process is busy for longer than the deadline: the answer that lies in its socket is not late', async () => {
    await using redis = await startRedis()
    await using opened = await openTestStore(redis.url, { timeoutMs: 50 })
    const quotas = quota(50, minute)
    for (let round = 0; round < 10; round++) {
      const asked = opened.store.consume(id, quotas, 1)
      // Before the command is written, and after.
      if (round % 2 === 1) await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
      const untilMs = systemClock.monotonicMs() + 200
      while (systemClock.monotonicMs() < untilMs);
      assert.equal((await asked).states[0]!.remaining, 49 - round)
    }
    assert.deepEqual(opened.events, [])
  })

  test('it becomes a replica, which can be read from and not written to', async () => {
    await using redis = await startRedis()
    await using other = await startRedis()
    await using opened = await openTestStore(redis.url, { onFailure: 'allow' })
    await redis.cli('replicaof', '127.0.0.1', String(other.port))
    await untilDown(opened.store, () => opened.store.consume(id, quota(5, minute), 1))
    await redis.cli('replicaof', 'no', 'one')
    await untilUp(opened.store)
    assert.equal((await opened.store.consume(id, quota(5, minute), 1)).allowed, true)
  })

  test('its memory is full', async () => {
    await using redis = await startRedis()
    await using opened = await openTestStore(redis.url, { onFailure: 'allow' })
    await redis.cli('config', 'set', 'maxmemory', '1')
    await untilDown(opened.store, () => opened.store.consume(id, quota(5, minute), 1))
    assert.match(JSON.stringify(opened.events), /OOM/)
    await redis.cli('config', 'set', 'maxmemory', '0')
    await untilUp(opened.store)
  })

  test('it refuses to be opened, within 5 s and without the password: nobody there, silent, wrong password, replica, another installation', async () => {
    await using redis = await startRedis({ password: 'right-secret' })
    const silent = createServer(() => undefined).listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const address = silent.address()
    assert.ok(address !== null && typeof address === 'object')
    assert.match(
      await refusalOf(`redis://:wrong-secret@127.0.0.1:${redis.port}`),
      /cannot count in Redis at redis:\/\/127\.0\.0\.1:\d+: WRONGPASS/,
    )
    assert.match(await refusalOf(`redis://127.0.0.1:${redis.port}`), /NOAUTH/)
    assert.match(await refusalOf(`redis://:a-secret@127.0.0.1:1`), /ECONNREFUSED/)
    assert.match(await refusalOf(`redis://:a-secret@127.0.0.1:${address.port}`), /cannot count/)
    silent.close()
    for (const bad of ['http://:a-secret@x', 'redis://:a-secret@', 'redis://:a-secret@h/x', 'redis://:%zz-secret@h', 'a-secret'])
      assert.match(await refusalOf(bad), /address of Redis/)
    await using opened = await openTestStore(redis.url.replace('redis:', 'valkey:'))
    assert.equal(opened.store.isUp, true)
    assert.match(await refusalOf(redis.url, { keySecret: Buffer.alloc(32, 8) }), /another installation/)
    await using other = await openTestStore(redis.url, { keySecret: Buffer.alloc(32, 8), prefix: 'other:' })
    assert.deepEqual(other.store.warnings, [])
    await using replica = await redis.startReplica()
    assert.match(await refusalOf(replica.url), /replica/)
    await redis.cli('config', 'set', 'maxmemory-policy', 'allkeys-lru')
    await using warned = await openTestStore(redis.url)
    assert.match(warned.store.warnings.join(), /allkeys-lru/)
  })
})

describeUnless(servicesMissing('redis', 'openssl'), 'Redis over TLS', () => {
  test('is trusted by its certificate, and refused without', async () => {
    using authority = createAuthority('limiter test')
    await using redis = await startRedis({ tls: authority.issue('localhost'), password: 'right-secret' })
    assert.match(await refusalOf(redis.url), /certificate/)
    const trusted = getCACertificates()
    setDefaultCACertificates([...trusted, readFileSync(authority.file, 'utf8')])
    try {
      await using opened = await openTestStore(redis.url.replace('rediss:', 'valkeys:'))
      assert.equal((await opened.store.consume(id, quota(5, minute), 1)).allowed, true)
    } finally {
      setDefaultCACertificates(trusted)
    }
  })
})

describeUnless(servicesMissing('redis', 'faketime'), "Redis' clock moves under the limiter", () => {
  test('an hour forward and an hour back, with a call each time: no failure, no second count, nobody blocked for longer than the window', async () => {
    await using redis = await startRedis({ clock: true })
    await using opened = await openTestStore(redis.url, { timeoutMs })
    const { store, events } = opened
    const quotas = quota(10, 2 * 3_600_000)
    for (const [i, offsetMs] of [0, 3_600_000, 0, -3_600_000, 0].entries()) {
      redis.setClockOffset(offsetMs)
      assert.equal((await store.consume(id, quotas, 1)).states[0]!.remaining, 9 - i)
    }
    const short = quota(1, 500, 'short')
    redis.setClockOffset(0)
    await store.consume(id, short, 1)
    redis.setClockOffset(-3_600_000)
    await eventually(limitMs, 'the window is over', async () => (await store.consume(id, short, 1)).allowed)
    assert.deepEqual(events, [])
  })
})
