import assert from 'node:assert/strict'
import { test } from 'node:test'

import { postgresPlace } from '../support/databases.ts'
import { eventually, within } from '../support/deadline.ts'
import { becomesReady, storeEvents } from '../support/health.ts'
import { createLedger, voterEnv } from '../support/ledger.ts'
import { startLoad } from '../support/load.ts'
import { startPostgres } from '../support/postgres.ts'
import { startServer } from '../support/server.ts'
import { servicesMissing } from '../support/services.ts'

const name = 'failing over to a synchronous standby, under load: no restart, and every acknowledged write is there'
test(name, { skip: servicesMissing('postgres') }, async () => {
  await using primary = await startPostgres()
  await using place = await postgresPlace(primary)
  await using standby = await primary.startStandby()
  await primary.query("alter system set synchronous_standby_names = '*'")
  await primary.query('select pg_reload_conf()')
  await eventually(20_000, 'the standby is synchronous', async () => {
    return (await primary.query("select pid from pg_stat_replication where sync_state = 'sync'")).length === 1
  })

  await using server = await startServer({ dataDir: place.dataDir, env: { ...place.env, ...voterEnv } })
  const ledger = createLedger({ unavailableIsUnknown: true })
  const load = startLoad(server, ledger)
  try {
    await within(20_000, 'the load is under way', load.acknowledged(200))
    await primary.stop('SIGKILL')
    await standby.takeOver(primary)
    await within(20_000, 'writes go on', load.acknowledged(200))
  } finally {
    await load.stop()
  }
  await becomesReady(server)
  assert.ok(load.refusals() > 0, 'the load met the failover')
  await ledger.verify(place)
  assert.deepEqual(await standby.query('select pg_is_in_recovery() as standby'), [{ standby: false }])
  assert.equal(storeEvents(server).at(-1), 'sys_store_recovered')
  assert.equal(await server.kill('SIGTERM'), 0)
})
