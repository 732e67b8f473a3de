import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'

import { assertUnavailable, readiness, storeEvents } from '../support/health.ts'
import { createLedger, type Ledger, voterEnv, type Written } from '../support/ledger.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { mountSmallDisk } from '../support/small-disk.ts'
import { storedInFolder } from '../support/stored.ts'

const run = promisify(execFile)

/** Node ignores SIGXFSZ, so past the limit a write fails with EFBIG; only the soft limit moves, so that it can be raised again. */
const limitFileSize = (server: TestServer, bytes: number | 'unlimited'): Promise<unknown> =>
  run('prlimit', ['--pid', String(server.process.pid), `--fsize=${bytes}:unlimited`])

/** Writes of many clients at once: they share groups, so they meet the failure together. */
const writeMuch = (server: TestServer, ledger: Ledger): Promise<Written[]> =>
  Promise.all([
    ...Array.from({ length: 40 }, (_, i) => ledger.vote(server, `10.1.0.${i}`, 1 + (i % 5), i % 3 === 0 ? -1 : 1)),
    ...Array.from({ length: 5 }, () => ledger.addFilm(server)),
  ])

const assertRefused = (written: Written): void => {
  assert.equal(written.fate, 'refused')
  assertUnavailable(written)
}

const assertReadable = async (server: TestServer): Promise<void> => {
  for (const path of ['/', '/v1/films/1', '/v1/films/3200']) {
    const answer = await fetch(server.url + path)
    assert.equal(answer.status, 200, path)
    assert.equal(typeof ((await answer.json()) as { name: unknown }).name, 'string')
  }
  assert.equal((await fetch(server.url, { method: 'HEAD' })).status, 200)
}

/** A second of failure as clients and the operator see it, and the way back. */
const failAndRecover = async (
  server: TestServer,
  ledger: Ledger,
  fail: () => unknown,
  mend: () => unknown,
  verify: () => Promise<void>,
): Promise<void> => {
  for (const written of await writeMuch(server, ledger)) assert.equal(written.fate, 'acknowledged')
  assert.deepEqual(await readiness(server), { status: 200, database: true })
  await fail()
  for (const written of await writeMuch(server, ledger)) assertRefused(written)
  await assertReadable(server)
  assert.deepEqual(await readiness(server), { status: 503, database: false })
  // The second time too: nothing was worn out by the first.
  for (const written of await writeMuch(server, ledger)) assertRefused(written)
  assert.equal((await fetch(`${server.opsUrl}/livez`)).status, 200)
  await verify()
  await mend()
  for (const written of await writeMuch(server, ledger)) assert.equal(written.fate, 'acknowledged')
  assert.deepEqual(await readiness(server), { status: 200, database: true })
  await verify()
}

test('[ASVS 16.5.2] a database file that cannot be written: writes 503, reads go on, recovery by itself', async () => {
  const ledger = createLedger()
  await using server = await startServer({ env: voterEnv })
  const verify = (): Promise<void> => ledger.verify(storedInFolder(server.dataDir))
  await failAndRecover(
    server,
    ledger,
    () => limitFileSize(server, 1),
    () => limitFileSize(server, 'unlimited'),
    verify,
  )
  assert.equal(await server.kill('SIGTERM'), 0)
  assert.deepEqual(storeEvents(server), ['sys_store_failure', 'sys_store_recovered'], 'each told once')
  await verify()
})

test('a probe alone finds out that the store fails and that it is back', async () => {
  await using server = await startServer()
  await limitFileSize(server, 1)
  assert.deepEqual(await readiness(server), { status: 503, database: false })
  assert.deepEqual(await readiness(server), { status: 503, database: false })
  await limitFileSize(server, 'unlimited')
  assert.deepEqual(await readiness(server), { status: 200, database: true })
  await server.kill('SIGTERM')
  assert.deepEqual(storeEvents(server), ['sys_store_failure', 'sys_store_recovered'])
})

test('a limit anywhere within the log of writes: what was refused is not there, what was acknowledged is', async () => {
  const ledger = createLedger()
  await using server = await startServer({ env: voterEnv })
  const wal = join(server.dataDir, 'filmgate.db-wal')
  // Within the header of a frame, within its page, after some whole frames, one byte short of a frame.
  for (const room of [1, 20, 2000, 4119, 4120 * 2 + 7, 4120 * 5 + 4000, 4120 * 9 - 1]) {
    await limitFileSize(server, statSync(wal).size + room)
    const written = [...(await writeMuch(server, ledger)), ...(await writeMuch(server, ledger)), ...(await writeMuch(server, ledger))]
    const refused = written.filter(({ fate }) => fate === 'refused')
    assert.ok(refused.length > 0, 'the limit was met')
    refused.forEach(assertRefused)
    await ledger.verify(storedInFolder(server.dataDir))
    await limitFileSize(server, 'unlimited')
    assert.equal((await ledger.vote(server, '10.2.0.1', 7, room % 2 === 0 ? 1 : -1)).fate, 'acknowledged')
    await ledger.verify(storedInFolder(server.dataDir))
  }
})

test('SIGKILL while the file cannot be written: the next start finds none of the refused writes', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'filmgate-unwritable-'))
  const dataDir = join(folder, 'data')
  const ledger = createLedger()
  try {
    for (const room of [0, 2000, 4120 * 3 + 100]) {
      await using server = await startServer({ dataDir, env: voterEnv })
      for (const written of await writeMuch(server, ledger)) assert.equal(written.fate, 'acknowledged')
      await limitFileSize(server, statSync(join(dataDir, 'filmgate.db-wal')).size + room)
      const written = [...(await writeMuch(server, ledger)), ...(await writeMuch(server, ledger))]
      assert.ok(written.some(({ fate }) => fate === 'refused'))
      await server.kill('SIGKILL')
      await using again = await startServer({ dataDir, env: voterEnv })
      await ledger.verify(storedInFolder(dataDir))
      assert.equal(await again.kill('SIGTERM'), 0)
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test('[ASVS 16.5.2] a full disk: writes 503, reads go on, recovery by itself', async () => {
  const ledger = createLedger()
  await using disk = await mountSmallDisk(80)
  const verify = async (): Promise<void> => {
    disk.look()
    await ledger.verify(storedInFolder(disk.dataDir))
  }
  await using server = await startServer({ dataDir: disk.dataDir, wrap: disk.wrap, env: voterEnv })
  disk.look()
  await failAndRecover(
    server,
    ledger,
    () => disk.fill(),
    () => disk.free(),
    verify,
  )
  assert.equal(await server.kill('SIGTERM'), 0)
  assert.deepEqual(storeEvents(server), ['sys_store_failure', 'sys_store_recovered'], 'each told once')
  await verify()
})

test('SIGTERM while the disk is full: exit 0, and the next start has everything that was acknowledged', async () => {
  const ledger = createLedger()
  await using disk = await mountSmallDisk(80)
  const options = { dataDir: disk.dataDir, wrap: disk.wrap, env: voterEnv }
  {
    await using server = await startServer(options)
    disk.look()
    for (const written of await writeMuch(server, ledger)) assert.equal(written.fate, 'acknowledged')
    disk.fill()
    for (const written of await writeMuch(server, ledger)) assertRefused(written)
    assert.equal(await server.kill('SIGTERM'), 0)
  }
  disk.free()
  await using server = await startServer(options)
  disk.look()
  await ledger.verify(storedInFolder(disk.dataDir))
  for (const written of await writeMuch(server, ledger)) assert.equal(written.fate, 'acknowledged')
})

test('a first start on a full disk ends with the reason; once there is room the next one works', async () => {
  const ledger = createLedger()
  await using disk = await mountSmallDisk(80)
  const options = { dataDir: disk.dataDir, wrap: disk.wrap, env: voterEnv }
  disk.fill()
  await assert.rejects(startServer(options), /filmgate: .*(?:ENOSPC|no space|full)/i)
  disk.free()
  await using server = await startServer(options)
  disk.look()
  for (const written of await writeMuch(server, ledger)) assert.equal(written.fate, 'acknowledged')
  disk.look()
  await ledger.verify(storedInFolder(disk.dataDir))
  assert.deepEqual(await readiness(server), { status: 200, database: true })
})
