import assert from 'node:assert/strict'
import { test } from 'node:test'

import pg from 'pg'

import { postgresPlace, type Place } from '../support/databases.ts'
import { eventually, within } from '../support/deadline.ts'
import { assertUnavailable, becomesReady, readiness, storeEvents } from '../support/health.ts'
import { createLedger, type Ledger, voterEnv } from '../support/ledger.ts'
import { type Load, startLoad } from '../support/load.ts'
import { type PostgresOptions, type PostgresServer, startPostgres } from '../support/postgres.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { describeUnless, servicesMissing } from '../support/services.ts'

/** What a client waits at most (src/db/postgres-pool.ts), and what a busy machine may add. */
const storageDeadlineMs = 5000
const graceMs = 2000

interface Scene {
  readonly postgres: PostgresServer
  readonly place: Place
  readonly server: TestServer
  readonly ledger: Ledger
  readonly load: Load
}

const readingCalls = ['/v1/films/1', '/v1/films/999999']

const read = async (server: TestServer, path: string) => {
  const startedMs = performance.now()
  const answer = await fetch(server.url + path)
  const body = (await answer.json()) as Record<string, unknown>
  return { status: answer.status, headers: answer.headers, body, tookMs: performance.now() - startedMs }
}

const assertLive = async ({ server }: Scene): Promise<void> => assert.equal((await fetch(`${server.opsUrl}/livez`)).status, 200)

/** As clients and the operator see it while nothing can be read or written. */
const assertDown = async (scene: Scene): Promise<void> => {
  const { server } = scene
  assert.deepEqual(await readiness(server), { status: 503, database: false })
  await assertLive(scene)
  const answers = await Promise.all(readingCalls.map((path) => read(server, path)))
  for (const answer of answers) {
    assertUnavailable(answer)
    assert.ok(answer.tookMs < storageDeadlineMs + graceMs, `a read took ${answer.tookMs} ms`)
  }
  // Films that were read just before may still be handed out, for a second at most.
  await eventually(10_000, 'no film is left to hand out', async () => (await read(server, '/')).status !== 200)
  assertUnavailable(await read(server, '/'))
  await assertLive(scene)
}

/** Back by itself: reads, writes, readiness; and everything that was promised is there. */
const assertRecovered = async (scene: Scene): Promise<void> => {
  const { postgres, place, server, ledger, load } = scene
  await becomesReady(server)
  await within(20_000, 'writes go on', load.acknowledged(100))
  await assertLive(scene)
  await load.stop()
  for (const path of ['/v1/films/1', '/']) assert.equal((await read(server, path)).status, 200, path)
  await settled(postgres)
  await ledger.verify(place)
  assert.ok(load.refusals() > 0, 'the load met the fault')
  assert.ok(load.slowestRefusalMs() < storageDeadlineMs + graceMs, `a refusal took ${load.slowestRefusalMs()} ms`)
  for (const store of ['postgres reads', 'postgres writes']) {
    const events = storeEvents(server, store)
    assert.ok(
      events.every((event, i) => event === (i % 2 === 0 ? 'sys_store_failure' : 'sys_store_recovered')),
      `${store}: each told once, in turn`,
    )
    assert.notEqual(events.at(-1), 'sys_store_failure', store)
  }
  assert.ok(storeEvents(server, 'postgres writes').length > 0)
  assert.equal(await server.kill('SIGTERM'), 0)
}

/** What a client gave up may still be carried out for a moment. */
const settled = (postgres: PostgresServer): Promise<void> =>
  eventually(10_000, 'the server is at rest', async () => {
    const busy = "select pid from pg_stat_activity where usename = 'filmgate' and state <> 'idle' and query <> 'listen filmgate'"
    return (await postgres.query(busy)).length === 0
  })

const underLoad = async (options: PostgresOptions, play: (scene: Scene) => Promise<void>): Promise<void> => {
  await using postgres = await startPostgres(options)
  await using place = await postgresPlace(postgres)
  await using server = await startServer({ dataDir: place.dataDir, env: { ...place.env, ...voterEnv } })
  const ledger = createLedger({ unavailableIsUnknown: true })
  const load = startLoad(server, ledger)
  try {
    await within(20_000, 'the load is under way', load.acknowledged(100))
    await play({ postgres, place, server, ledger, load })
  } finally {
    postgres.resume()
    await load.stop()
  }
}

/** Every connection that the server gives to ordinary roles, held by somebody else. */
const takeAllConnections = async (postgres: PostgresServer, url: string): Promise<pg.Client[]> => {
  const taken: pg.Client[] = []
  const dismiss = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'filmgate'"
  const takeOne = async (): Promise<boolean> => {
    const client = new pg.Client({ connectionString: url })
    client.on('error', () => undefined)
    try {
      await client.connect()
    } catch {
      return false
    }
    taken.push(client)
    return true
  }
  // Those who were dismissed come back as fast as others go in: until nobody of them is left.
  await eventually(20_000, 'others hold every connection', async () => {
    await postgres.query(dismiss)
    while (await takeOne());
    return (await postgres.query("select pid from pg_stat_activity where application_name = 'filmgate'")).length === 0
  })
  return taken
}

/** How long a stop waits for answers in flight (CONTRACT section 1). */
const drainMs = 10_000

const goneFor: Readonly<Record<string, (postgres: PostgresServer) => Promise<void>>> = {
  'is dead': (postgres) => postgres.stop('SIGKILL'),
  'stands still': (postgres) => postgres.pause(),
}

describeUnless(servicesMissing('postgres'), 'PostgreSQL in trouble, under load', () => {
  test('killed and started again', () =>
    underLoad({}, async (scene) => {
      await scene.postgres.stop('SIGKILL')
      await assertDown(scene)
      await scene.postgres.start()
      await assertRecovered(scene)
    }))

  test('restarted at once, three times', () =>
    underLoad({}, async (scene) => {
      for (let time = 0; time < 3; time++) {
        await scene.postgres.stop('SIGINT')
        await scene.postgres.start()
        await within(20_000, 'writes go on', scene.load.acknowledged(50))
      }
      await assertRecovered(scene)
    }))

  test('standing still: 503 within the deadline, and it goes on when the server does', () =>
    underLoad({}, async (scene) => {
      await scene.postgres.pause()
      await assertDown(scene)
      scene.postgres.resume()
      await assertRecovered(scene)
    }))

  for (const [name, happens] of Object.entries(goneFor)) {
    test(`SIGTERM while the server ${name}: exit 0 in time, and what was acknowledged is there`, () =>
      underLoad({}, async ({ postgres, place, server, ledger, load }) => {
        await happens(postgres)
        await eventually(10_000, 'the load meets it', () => load.refusals() > 0)
        const stopping = load.stop()
        const code = await within(drainMs + storageDeadlineMs + graceMs, 'the program ends', server.kill('SIGTERM'))
        assert.equal(code, 0)
        await stopping
        postgres.resume()
        if (name === 'is dead') await postgres.start()
        await place.left()
        await ledger.verify(place)
      }))
  }

  test('out of connections', () =>
    underLoad({ settings: { max_connections: '24' } }, async (scene) => {
      const others = await takeAllConnections(scene.postgres, scene.place.url)
      await assertDown(scene)
      await Promise.all(others.map((client) => client.end()))
      await assertRecovered(scene)
    }))

  test('somebody holds a lock on the tables', () =>
    underLoad({}, async (scene) => {
      const operator = new pg.Client({ connectionString: scene.place.url })
      operator.on('error', () => undefined)
      await operator.connect()
      // In the order in which films are added, or the two would wait for each other.
      await operator.query('begin; lock table catalogue; lock table film')
      await assertDown(scene)
      await operator.end()
      await assertRecovered(scene)
    }))

  test('a primary that was demoted: writes 503, reads go on', () =>
    underLoad({}, async (scene) => {
      const { postgres, server } = scene
      const reload = async (setting: string): Promise<void> => {
        await postgres.query(`alter system ${setting}`)
        await postgres.query('select pg_reload_conf()')
      }
      await reload('set default_transaction_read_only = on')
      await eventually(10_000, 'it is noticed', async () => (await readiness(server)).status === 503)
      for (const path of ['/v1/films/1', '/']) assert.equal((await read(server, path)).status, 200, path)
      await assertLive(scene)
      await reload('reset default_transaction_read_only')
      await assertRecovered(scene)
    }))
})
