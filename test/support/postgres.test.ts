import assert from 'node:assert/strict'
import { test } from 'node:test'

import { within } from './deadline.ts'
import { queryUrl, useServer } from './postgres-client.ts'
import { startPostgres } from './postgres.ts'
import { describeUnless, servicesMissing } from './services.ts'

describeUnless(servicesMissing('postgres'), 'a private PostgreSQL server', () => {
  test('gives empty databases to a role without rights, and keeps what was committed through every kind of end', async () => {
    await using server = await startPostgres()
    const [one, two] = [await server.createDatabase(), await server.createDatabase()]
    const [row] = await queryUrl(one, 'select current_user as role, rolsuper from pg_roles where rolname = current_user')
    assert.deepEqual(row, { role: 'filmgate', rolsuper: false })
    await queryUrl(one, 'create table t (n integer)')
    await assert.rejects(queryUrl(two, 'select * from t'), /does not exist/)
    for (const [n, how] of (['SIGINT', 'SIGQUIT', 'SIGKILL'] as const).entries()) {
      await queryUrl(one, 'insert into t values ($1)', [n])
      await server.stop(how)
      await assert.rejects(queryUrl(one, 'select 1'), /ENOENT|ECONNREFUSED/)
      await server.start()
      assert.deepEqual(await queryUrl(one, 'select max(n) as n from t'), [{ n }], how)
    }
  })

  test('stands still and goes on', async () => {
    await using server = await startPostgres()
    const url = await server.createDatabase()
    await server.pause()
    const asked = queryUrl(url, 'select 1 as n')
    await assert.rejects(within(300, 'an answer', asked))
    server.resume()
    assert.deepEqual(await asked, [{ n: 1 }])
  })

  test('asks for the password over TCP', async () => {
    await using server = await startPostgres({ tcp: {} })
    const url = server.tcpUrl(await server.createDatabase())
    assert.deepEqual(await queryUrl(url, 'select 1 as n'), [{ n: 1 }])
    await assert.rejects(queryUrl(url.replace(server.password, 'wrong'), 'select 1'), /password authentication failed/)
  })

  test('can be one that somebody else runs: what was made there is dropped', async () => {
    await using server = await startPostgres()
    await server.query('create role maker login createdb')
    const made = async (): Promise<unknown> => server.query("select 1 from pg_database where datname like 'filmgate_test_%'")
    {
      await using used = useServer(`postgres://maker@localhost/postgres?host=${encodeURIComponent(server.folder)}`)
      const url = await used.createDatabase()
      assert.deepEqual(await queryUrl(url, 'select current_user as role'), [{ role: 'maker' }])
      assert.equal(((await made()) as unknown[]).length, 1)
    }
    assert.deepEqual(await made(), [])
  })
})
