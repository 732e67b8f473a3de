import assert from 'node:assert/strict'
import { createHook } from 'node:async_hooks'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, test } from 'node:test'

import type { Topic } from './channel.ts'
import { openSqliteChannel } from './sqlite-channel.ts'

/** A file with the table and nothing else; `writer` stands for another process. */
const openFile = (journal: 'wal' | 'delete') => {
  const folder = mkdtempSync(join(tmpdir(), 'filmgate-channel-'))
  const file = join(folder, 'filmgate.db')
  const writer = new DatabaseSync(file)
  writer.exec(
    `pragma journal_mode = ${journal}; create table announcement (topic text not null primary key, count integer not null) strict`,
  )
  const channel = openSqliteChannel(file)
  const heard: Topic[] = []
  for (const topic of ['film_removed', 'account_changed', 'signing_keys_changed'] as const)
    channel.subscribe(topic, () => heard.push(topic))
  return {
    file,
    writer,
    channel,
    announce: (topic: Topic): void => {
      for (const { sql, parameters } of channel.announce(topic)) writer.prepare(sql).run(...parameters)
    },
    /** What was heard since the last call. */
    heard: (): readonly Topic[] => heard.splice(0),
    [Symbol.dispose]: () => {
      channel.close()
      if (writer.isOpen) writer.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** As a pause of the whole process does, a suspended machine for one: no timer fires. */
const pauseProcess = (ms: number): void => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)

/** So long that a look is due when somebody asks. */
const stalenessMs = 510

describe('the channel between processes on one SQLite file', () => {
  test('after a pause of the process, whoever asks gets a look first: no credential is believed from before it', () => {
    using file = openFile('wal')
    file.announce('account_changed')
    file.announce('account_changed')
    file.announce('film_removed')
    pauseProcess(stalenessMs)
    assert.deepEqual(file.heard(), [])
    assert.equal(file.channel.isUp(), true)
    assert.deepEqual(file.heard().toSorted(), ['account_changed', 'film_removed'], 'each once, however often it was announced')
    pauseProcess(stalenessMs)
    assert.equal(file.channel.isUp(), true)
    assert.deepEqual(file.heard(), [], 'other looks tell nothing new')
  })

  test('other commits announce nothing, and a unit that is undone neither', () => {
    using file = openFile('wal')
    file.writer.exec('create table other (n integer)')
    file.writer.exec('begin')
    file.announce('account_changed')
    file.writer.exec('rollback')
    pauseProcess(stalenessMs)
    assert.equal(file.channel.isUp(), true)
    assert.deepEqual(file.heard(), [])
    file.writer.exec('begin')
    file.announce('account_changed')
    pauseProcess(stalenessMs)
    assert.equal(file.channel.isUp(), true)
    assert.deepEqual(file.heard(), [], 'not committed yet')
    file.writer.exec('commit')
    pauseProcess(stalenessMs)
    assert.equal(file.channel.isUp(), true)
    assert.deepEqual(file.heard(), ['account_changed'])
  })

  test('a locked file: it is down at once instead of waiting for the lock, and what was missed is heard when it is up again', () => {
    using file = openFile('delete')
    file.announce('film_removed')
    pauseProcess(stalenessMs)
    file.channel.isUp()
    file.heard()
    file.writer.exec('begin exclusive')
    file.announce('account_changed')
    pauseProcess(stalenessMs)
    const startedMs = performance.now()
    assert.equal(file.channel.isUp(), false)
    assert.ok(performance.now() - startedMs < 2500, 'it waited for the lock')
    assert.deepEqual(file.heard(), [])
    file.writer.exec('commit')
    pauseProcess(stalenessMs)
    assert.equal(file.channel.isUp(), true)
    assert.deepEqual(file.heard(), ['account_changed'])
  })

  test('a file in which the table cannot be read: down until it can be, then told of what came meanwhile', () => {
    using file = openFile('wal')
    file.writer.exec('alter table announcement rename to elsewhere')
    pauseProcess(stalenessMs)
    assert.equal(file.channel.isUp(), false)
    pauseProcess(stalenessMs)
    assert.equal(file.channel.isUp(), false, 'it stays down')
    file.writer.exec('alter table elsewhere rename to announcement')
    file.announce('signing_keys_changed')
    pauseProcess(stalenessMs)
    assert.equal(file.channel.isUp(), true)
    assert.deepEqual(file.heard(), ['signing_keys_changed'])
  })

  test('it looks by itself, and closing leaves no timer behind', async () => {
    const timers = new Set<number>()
    const hook = createHook({
      init: (id, type) => void (type === 'Timeout' && timers.add(id)),
      destroy: (id) => void timers.delete(id),
    }).enable()
    try {
      using file = openFile('wal')
      assert.equal(timers.size, 1)
      const heard = new Promise<void>((resolve) => file.channel.subscribe('film_removed', resolve))
      file.announce('film_removed')
      // Its own timer keeps no process alive.
      const alive = setTimeout(() => undefined, 60_000)
      await heard
      clearTimeout(alive)
      file.heard()
      file.channel.close()
      // Node tells of timers that ended a turn later.
      await new Promise(setImmediate)
      assert.equal(timers.size, 0)
      file.announce('film_removed')
      assert.equal(file.channel.isUp(), false)
      assert.deepEqual(file.heard(), [])
    } finally {
      hook.disable()
    }
  })
})
