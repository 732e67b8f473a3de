import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { pathToFileURL } from 'node:url'
import { join } from 'node:path'
import { test } from 'node:test'

import { createFilmRepository } from '../../src/api/films/repository.ts'
import { systemClock } from '../../src/core/clock.ts'
import type { Topic } from '../../src/db/channel.ts'
import type { Database } from '../../src/db/open.ts'
import { databases, openAt, type Place } from '../support/databases.ts'
import { eventually, within } from '../support/deadline.ts'
import { describeUnless } from '../support/services.ts'

/** DESIGN: effect within a second; and what a busy machine may add. */
const effectMs = 1000 + 1000

/** The moment at which `topic` is heard next. */
const hearing = ({ channel }: Database, topic: Topic): Promise<number> =>
  new Promise((resolve) => channel.subscribe(topic, () => resolve(performance.now())))

/** On PostgreSQL the connection that listens is made behind the start. */
const isListening = async ({ channel }: Database): Promise<void> => eventually(10_000, 'the channel is up', () => channel.isUp())

const open = pathToFileURL(join(import.meta.dirname, '../../src/db/open.ts')).href

/** Another process with the same data open, that announces a topic for each line it gets, and says when that is committed. */
const startOther = (place: Place): { announce(topic: Topic): Promise<void> } & AsyncDisposable => {
  const location = JSON.stringify({ url: place.url, dataDir: place.dataDir })
  const program = `
    import { createInterface } from 'node:readline'
    import { openDatabase } from ${JSON.stringify(open)}
    const { commit, channel, close } = await openDatabase(${location})
    for await (const topic of createInterface({ input: process.stdin }))
      console.log((await commit(channel.announce(topic))).result)
    await close()`
  const child: ChildProcess = spawn(process.execPath, ['-e', program], { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = once(child, 'exit')
  return {
    announce: async (topic) => {
      assert.ok(child.stdin && child.stdout)
      child.stdin.write(`${topic}\n`)
      const [answer] = (await within(20_000, 'the other process commits', once(child.stdout, 'data'))) as [Buffer]
      assert.equal(String(answer).trim(), 'committed')
    },
    [Symbol.asyncDispose]: async () => {
      child.stdin?.end()
      assert.deepEqual(await within(20_000, 'the other process ends by itself when it has closed the database', ended), [0, null])
    },
  }
}

for (const kind of databases) {
  describeUnless(kind.missing, `the channel on ${kind.name}`, () => {
    test('what another process announces is heard within a second, each time', async () => {
      await using place = await kind.place()
      await using opened = await openAt(place)
      const { database } = opened
      await isListening(database)
      await using other = startOther(place)
      for (const topic of ['account_changed', 'account_changed', 'signing_keys_changed', 'film_removed', 'account_changed'] as const) {
        const heard = hearing(database, topic)
        await other.announce(topic)
        const committedMs = performance.now()
        const heardMs = await within(10_000, `${topic} is heard`, heard)
        assert.ok(heardMs - committedMs < effectMs, `${heardMs - committedMs} ms`)
      }
    })

    test('all instances hear of a commit, its own too; what is undone is told to nobody', async () => {
      await using opened = await kind.open()
      const instances = [opened.database, await opened.another(), await opened.another()]
      for (const instance of instances) await isListening(instance)
      const [first] = instances as [Database]
      let wrongly = 0
      for (const { channel } of instances) channel.subscribe('account_changed', () => wrongly++)
      const conflict = await first.commit([
        ...first.channel.announce('account_changed'),
        { sql: 'update film set likes = 1 where id = 404', parameters: [], rows: 1 },
      ])
      assert.equal(conflict.result, 'conflict')
      const heard = Promise.all(instances.map((instance) => hearing(instance, 'signing_keys_changed')))
      assert.equal((await first.commit(first.channel.announce('signing_keys_changed'))).result, 'committed')
      const committedMs = performance.now()
      for (const heardMs of await within(10_000, 'all hear', heard)) assert.ok(heardMs - committedMs < effectMs)
      assert.equal(wrongly, 0)
    })

    test('a film that is removed is told of, and nothing else of films', async () => {
      await using opened = await kind.open()
      const other = await opened.another()
      await isListening(other)
      const films = createFilmRepository(opened.database, systemClock)
      let told = 0
      other.channel.subscribe('film_removed', () => told++)
      await films.seed([{ name: 'one' }, { name: 'two' }])
      await films.add({ name: 'three' })
      const heard = hearing(other, 'film_removed')
      assert.equal(await films.remove(404), false)
      assert.equal(await films.remove(2), true)
      await within(10_000, 'the removal is heard', heard)
      assert.equal(told, 1)
    })

    test('many announcements from several instances at once: the last one is heard after its commit', async () => {
      await using opened = await kind.open()
      const instances = [opened.database, await opened.another()]
      const listener = await opened.another()
      await isListening(listener)
      let heardMs = 0
      listener.channel.subscribe('account_changed', () => (heardMs = performance.now()))
      for (let round = 0; round < 4; round++) {
        const commits = instances.flatMap(({ commit, channel }) =>
          Array.from({ length: 25 }, () => commit(channel.announce('account_changed'))),
        )
        assert.ok((await Promise.all(commits)).every(({ result }) => result === 'committed'))
        const committedMs = performance.now()
        // A commit that an earlier look had seen must not be all that is heard: with the next announcement another one is.
        const heard = hearing(listener, 'account_changed')
        await listener.commit(listener.channel.announce('account_changed'))
        assert.ok((await within(10_000, 'the last one is heard', heard)) >= committedMs)
      }
      assert.ok(heardMs > 0)
    })
  })
}
