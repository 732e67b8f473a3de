import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { createFilmRepository } from '../../src/api/films/repository.ts'
import { systemClock } from '../../src/core/clock.ts'
import { openAt, type Place, postgresPlace } from '../support/databases.ts'
import { eventually } from '../support/deadline.ts'
import { voterEnv } from '../support/ledger.ts'
import { type PostgresServer, startPostgres } from '../support/postgres.ts'
import { signal } from '../support/process-tree.ts'
import { runToEnd, startServer, type TestServer } from '../support/server.ts'
import { describeUnless, servicesMissing } from '../support/services.ts'
import { assertConsistent } from '../support/stored.ts'

const starterFilms = readFileSync(new URL('../../data/starter-films.ndjson', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n').length

/** Programs on one database, each with a data folder of its own, started at the same moment. */
const startInstances = async (place: Place, count: number): Promise<AsyncDisposable & { readonly servers: readonly TestServer[] }> => {
  const folder = mkdtempSync(join(tmpdir(), 'filmgate-instances-'))
  const env = { ...place.env, ...voterEnv }
  const starts = Array.from({ length: count }, (_, i) => startServer({ dataDir: join(folder, String(i)), env }))
  const settled = await Promise.allSettled(starts)
  const servers = settled.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : []))
  const dispose = async (): Promise<void> => {
    for (const server of servers) await server[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true, force: true })
  }
  const failed = settled.find((start) => start.status === 'rejected')
  if (failed) {
    await dispose()
    throw failed.reason
  }
  return { servers, [Symbol.asyncDispose]: dispose }
}

const vote = async (server: TestServer, query: string, client: string): Promise<unknown> => {
  const answer = await fetch(`${server.url}/?${query}`, { headers: { 'x-forwarded-for': client } })
  return ((await answer.json()) as { vote: unknown }).vote
}

const countsOf = async (server: TestServer, id: number): Promise<[unknown, unknown]> => {
  const film = (await (await fetch(`${server.url}/v1/films/${id}`)).json()) as Record<string, unknown>
  return [film['likes'], film['dislikes']]
}

const addFilm = async (server: TestServer, key: string): Promise<number> => {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
  return (await fetch(`${server.url}/add_film`, { method: 'POST', headers, body: '{"name":"Shared"}' })).status
}

describeUnless(servicesMissing('postgres'), 'several instances on one database', () => {
  test('four that start at once on an empty one: migrated once, the starter catalogue is there once, every key works everywhere', async () => {
    await using place = await postgresPlace()
    await using instances = await startInstances(place, 4)
    await assertConsistent(place)
    const [films] = await place.query(
      "select count(*) as films, count(distinct (name || coalesce(cast(year as text), ''))) as named from film",
    )
    assert.equal(films?.['films'], starterFilms)
    assert.ok(Number(films['named']) > starterFilms * 0.98, 'none twice')
    for (const server of instances.servers) {
      for (const other of instances.servers) assert.equal(await addFilm(server, other.key()), 201)
    }
    await assertConsistent(place)
    for (const server of instances.servers) assert.equal(await server.kill('SIGTERM'), 0)
  })

  test('one voter has one vote, whichever instance takes it, also at once', async () => {
    await using place = await postgresPlace()
    await using instances = await startInstances(place, 2)
    const [here, there] = instances.servers as [TestServer, TestServer]
    for (const server of [here, there, here]) {
      assert.deepEqual(await vote(server, 'like=1', '10.7.0.1'), { film_id: 1, value: 'like', recorded: true })
    }
    assert.deepEqual(await countsOf(there, 1), [1, 0])
    await vote(there, 'dislike=1', '10.7.0.1')
    assert.deepEqual(await countsOf(here, 1), [0, 1])
    // Twenty clients, each with ten votes on one film over both instances at the same moment.
    await Promise.all(
      Array.from({ length: 200 }, (_, i) => vote(i % 2 === 0 ? here : there, i % 3 === 0 ? 'dislike=2' : 'like=2', `10.7.1.${i % 20}`)),
    )
    await assertConsistent(place)
    assert.deepEqual(await place.query('select count(*) as votes from vote where film_id = 2'), [{ votes: 20 }])
    const [likes, dislikes] = await countsOf(here, 2)
    assert.equal(Number(likes) + Number(dislikes), 20)
    assert.deepEqual(await countsOf(there, 2), [likes, dislikes])
  })

  test('another secrets.key is refused, and so is none: exit 2, and why', async () => {
    await using place = await postgresPlace()
    await using first = await startServer({ dataDir: place.dataDir, env: place.env })
    assert.equal(await first.kill('SIGTERM'), 0)
    const other = await runToEnd({ env: { ...place.env, FILMGATE_SECRETS_KEY: 'a key of the right length that the others do not have' } })
    assert.equal(other.code, 2)
    assert.match(other.stderr, /DATABASE_URL: .*another secrets\.key/)
    const none = await runToEnd({ env: { DATABASE_URL: place.url } })
    assert.equal(none.code, 2)
    assert.match(none.stderr, /DATABASE_URL: .*secrets\.key/)
  })
})

/** What stands between the commit of a removal and its effect elsewhere, on a machine that is busy with other tests. */
const effectMs = 1000
const graceMs = 500

const randomId = async (server: TestServer): Promise<unknown> => ((await (await fetch(server.url)).json()) as { id: unknown }).id
const pick = async (server: TestServer): Promise<unknown[]> => Promise.all(Array.from({ length: 8 }, () => randomId(server)))

/** Asks for random films all the time, so that every instance has films ready, and removes one behind their backs. */
const assertRemovalIsSeen = async (servers: readonly TestServer[], id: number, remove: () => Promise<boolean>): Promise<void> => {
  const before = new Set<unknown>()
  await eventually(20_000, 'the film comes', async () => {
    for (const server of servers) for (const seen of await pick(server)) before.add(seen)
    return before.has(id)
  })
  assert.equal(await remove(), true)
  const removedAtMs = performance.now()
  const late: unknown[] = []
  while (performance.now() - removedAtMs < effectMs + graceMs + 500) {
    const askedAtMs = performance.now()
    const ids = (await Promise.all(servers.map(pick))).flat()
    if (askedAtMs - removedAtMs > effectMs + graceMs) late.push(...ids)
  }
  assert.ok(late.length > 0)
  assert.ok(!late.includes(id), 'a film that was removed came again')
  for (const server of servers) assert.equal((await fetch(`${server.url}/v1/films/${id}`)).status, 404)
}

const listening = "select pid from pg_stat_activity where application_name = 'filmgate' and query in ('listen filmgate', 'select 1')"

/** What may befall the connection on which an instance listens; returns how to end it. */
const channelFaults: Readonly<Record<string, (postgres: PostgresServer) => Promise<() => Promise<void>>>> = {
  'with the channel in order': async () => async () => undefined,
  'with the channel cut again and again': async (postgres) => {
    const calm = new AbortController()
    const cut = async (): Promise<void> => {
      while (!calm.signal.aborted) await postgres.query(`select pg_terminate_backend(pid) from (${listening}) as listening`)
    }
    const running = cut()
    return async () => {
      calm.abort()
      await running
    }
  },
  'with the channel hanging': async (postgres) => {
    const pids = (await postgres.query(listening)).map(({ pid }) => Number(pid))
    assert.ok(pids.length >= 2)
    for (const pid of pids) signal(pid, 'SIGSTOP')
    return async () => {
      for (const pid of pids) signal(pid, 'SIGCONT')
    }
  },
}

describeUnless(servicesMissing('postgres'), 'a film that is removed on one instance is not served by the others a second later', () => {
  for (const [circumstances, disturb] of Object.entries(channelFaults)) {
    test(circumstances, async () => {
      await using postgres = await startPostgres()
      await using place = await postgresPlace(postgres)
      await using opened = await openAt(place)
      const films = createFilmRepository(opened.database, systemClock)
      await films.seed(['one', 'two', 'three', 'four'].map((name) => ({ name })))
      await using instances = await startInstances(place, 2)
      const calm = await disturb(postgres)
      try {
        await assertRemovalIsSeen(instances.servers, 2, () => films.remove(2))
      } finally {
        await calm()
      }
      await assertRemovalIsSeen(instances.servers, 3, () => films.remove(3))
    })
  }
})
