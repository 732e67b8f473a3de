import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { createFilmRepository } from '../../src/api/films/repository.ts'
import { systemClock } from '../../src/core/clock.ts'
import { type Database, openDatabase } from '../../src/db/open.ts'
import { startCommand, temporaryFolder } from '../support/command.ts'
import { type Place, postgresPlace } from '../support/databases.ts'
import { eventually, within } from '../support/deadline.ts'
import { type PostgresServer, startPostgres } from '../support/postgres.ts'
import { describeUnless, servicesMissing } from '../support/services.ts'
import { startSilentProxy } from '../support/silent-proxy.ts'

/** What a client waits at most (src/db/postgres-pool.ts), and what a busy machine may add. */
const limitMs = 7000

const setting = (name: string) => [{ sql: `select current_setting('${name}') as setting`, parameters: [] }]

describeUnless(servicesMissing('postgres'), 'the sessions on PostgreSQL', () => {
  let postgres: PostgresServer
  let place: Place

  before(async () => {
    postgres = await startPostgres({ tcp: {} })
    place = await postgresPlace(postgres)
  })
  after(async () => {
    await place[Symbol.asyncDispose]()
    await postgres[Symbol.asyncDispose]()
  })

  const throughProxy = (port: number): string => postgres.tcpUrl(place.url).replace(`:${postgres.port}/`, `:${port}/`)

  const change = async (sql: string): Promise<void> => {
    await postgres.query(`alter system ${sql}`)
    await postgres.query('select pg_reload_conf()')
  }

  test('a flood of writes on a server that stands still: no more than 5,000 wait, the others are refused at once, all of them in time', async () => {
    const database = await openDatabase({ url: place.url, dataDir: place.dataDir })
    await postgres.pause()
    try {
      const startedMs = performance.now()
      const flood = Array.from({ length: 5500 }, async () => {
        const outcome = await database.commit(setting('port'))
        const reason = outcome.result === 'unavailable' ? outcome.reason : outcome.result
        return { atOnce: /too many are waiting/.test(reason), result: outcome.result, afterMs: performance.now() - startedMs }
      })
      const answers = await within(limitMs, 'everybody is answered', Promise.all(flood))
      assert.ok(answers.every(({ result }) => result === 'unavailable'))
      const refused = answers.filter(({ atOnce }) => atOnce)
      // Ten have a connection each, 5,000 wait.
      assert.ok(refused.length >= 480 && refused.length <= 500, String(refused.length))
      const firstOfTheOthersMs = Math.min(...answers.filter(({ atOnce }) => !atOnce).map(({ afterMs }) => afterMs))
      assert.ok(
        refused.every(({ afterMs }) => afterMs < firstOfTheOthersMs),
        'they waited for nothing',
      )
    } finally {
      postgres.resume()
      await database.close()
    }
  })

  test('the server falls silent when a connection was made but not prepared: refused in time, and closing ends', async () => {
    await using proxy = await startSilentProxy(postgres.port)
    const database = await openDatabase({ url: throughProxy(proxy.port), dataDir: place.dataDir })
    const write = () => database.commit(setting('port'))
    const read = () =>
      database.reader
        .selectFrom('film')
        .select('id')
        .execute()
        .catch(() => [])
    /** The connections end, and of those that come instead one falls silent; every call is answered all the same. */
    const loseConnections = async (packet: RegExp, call: () => Promise<unknown>): Promise<void> => {
      proxy.fallSilentAt(packet)
      const state = { silent: false }
      void proxy.silent().then(() => (state.silent = true))
      await postgres.query("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'filmgate'")
      while (!state.silent) await within(limitMs, 'the call is answered', call())
      proxy.fallSilentAt(undefined)
    }
    await Promise.all([write(), read()])
    await loseConnections(/synchronous_commit/, write)
    await loseConnections(/default_transaction_read_only/, read)
    await eventually(limitMs, 'it works again', async () => (await write()).result === 'committed')
    const hanging = loseConnections(/synchronous_commit/, write)
    await within(limitMs, 'one falls silent', proxy.silent())
    await within(limitMs, 'it closes', database.close())
    await hanging
  })

  test('SIGTERM while the database hangs during a start: exit 0 at once', async () => {
    await using proxy = await startSilentProxy(postgres.port)
    // The last step of the migrations, and the first thing behind them.
    for (const packet of [/commit/, /installation/]) {
      proxy.fallSilentAt(packet)
      using folder = temporaryFolder()
      const env = { ...place.env, DATABASE_URL: throughProxy(proxy.port) }
      const start = startCommand(['serve'], { cwd: folder.path, env })
      await within(20_000, 'it hangs', proxy.silent())
      start.process.kill('SIGTERM')
      const { code, stderr } = await within(2000, 'the program ends', start.ended)
      assert.equal(code, 0, stderr)
      assert.doesNotMatch(stderr, /listens on/)
    }
  })

  test('writes are durable whatever the server says, also when it changes its mind later', async () => {
    const database = await openDatabase({ url: place.url, dataDir: place.dataDir })
    const another = async (): Promise<void> => {
      const fresh = await openDatabase({ url: place.url, dataDir: place.dataDir })
      assert.deepEqual(await fresh.commit(setting('synchronous_commit')), { result: 'committed', rows: [[{ setting: 'on' }]] })
      await fresh.close()
    }
    try {
      await database.probe()
      await change('set synchronous_commit = off')
      const show = "select reset_val from pg_settings where name = 'synchronous_commit'"
      await eventually(limitMs, 'the server has read it', async () => (await postgres.query(show))[0]?.['reset_val'] === 'off')
      assert.deepEqual(await database.commit(setting('synchronous_commit')), { result: 'committed', rows: [[{ setting: 'on' }]] })
      await another()
    } finally {
      await change('reset synchronous_commit')
      await database.close()
    }
  })

  test('films are added at once, also where the server isolates transactions more strictly', async () => {
    await using strict = await postgresPlace(postgres)
    await postgres.query('alter role filmgate set default_transaction_isolation = serializable')
    const [database, another] = await Promise.all([strict, strict].map(({ url, dataDir }) => openDatabase({ url, dataDir })))
    try {
      const repositories = [database, another].map((one) => createFilmRepository(one as Database, systemClock))
      await Promise.all(repositories.flatMap((films) => Array.from({ length: 25 }, (_, i) => films.add({ name: `Film ${i}` }))))
    } finally {
      await postgres.query('alter role filmgate reset default_transaction_isolation')
      await database?.close()
      await another?.close()
    }
  })
})
