import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'

import { createClient } from 'redis'

import { createAuthority } from './certificates.ts'
import { within } from './deadline.ts'
import { hasEnded } from './process-tree.ts'
import { startRedis } from './redis.ts'
import { describeUnless, servicesMissing } from './services.ts'

describeUnless(servicesMissing('redis'), 'a private Redis server', () => {
  test('forgets everything at its end, whichever that is, and answers on the same port again', async () => {
    await using server = await startRedis()
    for (const how of ['SIGTERM', 'SIGKILL'] as const) {
      assert.equal(await server.cli('incr', 'n'), '1')
      const { pid = 0 } = server
      await server.stop(how)
      assert.ok(hasEnded(pid))
      assert.equal(server.pid, undefined)
      await assert.rejects(server.cli('get', 'n'), /Connection refused/)
      await server.start()
    }
    assert.equal(await server.cli('get', 'n'), '')
  })

  test('keeps what was counted through every kind of end, if it is to', async () => {
    await using server = await startRedis({ persistent: true })
    assert.equal(await server.cli('incr', 'n'), '1')
    await server.stop('SIGKILL')
    await server.start()
    assert.equal(await server.cli('incr', 'n'), '2')
    await server.stop('SIGTERM')
    await server.start()
    assert.equal(await server.cli('incr', 'n'), '3')
  })

  test('stands still and goes on, and can be ended while it stands still', async () => {
    await using server = await startRedis()
    await server.pause()
    const asked = server.cli('ping')
    await assert.rejects(within(300, 'an answer', asked))
    server.resume()
    assert.equal(await asked, 'PONG')
    for (const how of ['SIGTERM', 'SIGKILL'] as const) {
      await server.pause()
      await server.stop(how)
      await server.start()
      assert.equal(await server.cli('ping'), 'PONG')
    }
  })

  test('leaves nothing behind', async () => {
    const server = await startRedis()
    const { pid = 0, folder } = server
    await server.pause()
    await server[Symbol.asyncDispose]()
    assert.ok(hasEnded(pid))
    assert.equal(existsSync(folder), false)
  })

  test('asks for the password, which is in its URL', async () => {
    await using server = await startRedis({ password: 'a/b:c@d' })
    assert.equal(await server.cli('ping'), 'PONG')
    const client = createClient({ url: server.url })
    await client.connect()
    assert.equal(await client.ping(), 'PONG')
    client.destroy()
    const stranger = createClient({ url: `redis://127.0.0.1:${server.port}`, socket: { reconnectStrategy: false } }).on('error', () => {})
    await assert.rejects(stranger.connect(), /NOAUTH/)
  })

  test('says why it cannot start, and rejects what the server refuses', async () => {
    await assert.rejects(startRedis({ settings: { nonsense: '1' } }), /ended before it was ready[^]*nonsense/)
    await using server = await startRedis()
    await assert.rejects(server.cli('incrby', 'n', 'x'), /not an integer/)
  })

  test('has a replica that takes over', async () => {
    await using server = await startRedis({ password: 'secret' })
    await server.cli('set', 'n', '7')
    await using replica = await server.startReplica()
    assert.equal(await replica.cli('get', 'n'), '7')
    await assert.rejects(replica.cli('incr', 'n'), /READONLY/)
    await server.stop('SIGKILL')
    await replica.promote()
    assert.equal(await replica.cli('incr', 'n'), '8')
  })
})

describeUnless(servicesMissing('redis', 'openssl'), 'a private Redis server that speaks TLS', () => {
  test('shows its certificate to those who trust its authority, and speaks nothing else', async () => {
    using authority = createAuthority('Filmgate test')
    await using server = await startRedis({ tls: authority.issue('localhost') })
    assert.match(server.url, /^rediss:\/\/localhost:\d+$/)
    assert.equal(await server.cli('ping'), 'PONG')
    const client = createClient({ url: server.url, socket: { tls: true, ca: readFileSync(authority.file) } })
    await client.connect()
    assert.equal(await client.ping(), 'PONG')
    client.destroy()
    const stranger = createClient({ url: server.url, socket: { tls: true, reconnectStrategy: false } }).on('error', () => {})
    await assert.rejects(stranger.connect(), /certificate/)
  })
})

describeUnless(servicesMissing('redis', 'faketime'), 'a private Redis server with a clock of its own', () => {
  test('shows another time at once, forth and back, and keys expire by it', async () => {
    await using server = await startRedis({ clock: true })
    /** Of the server's wall clock from ours, in milliseconds. */
    const offset = async (): Promise<number> => {
      const [seconds = '', micros = ''] = (await server.cli('time')).split('\n')
      return Number(seconds) * 1000 + Number(micros) / 1000 - Date.now()
    }
    const isNear = async (expected: number): Promise<void> => {
      const is = await offset()
      assert.ok(Math.abs(is - expected) < 2000, `${is} is not ${expected}`)
    }
    await isNear(0)
    await server.cli('set', 'k', 'v', 'px', '60000')
    server.setClockOffset(50_000)
    await isNear(50_000)
    assert.equal(await server.cli('get', 'k'), 'v')
    server.setClockOffset(61_000)
    assert.equal(await server.cli('get', 'k'), '')
    server.setClockOffset(-3_600_000)
    await isNear(-3_600_000)
    await server.stop('SIGKILL')
    await server.start()
    await isNear(-3_600_000)
    server.setClockOffset(0)
    await isNear(0)
  })

  test('is not to be had by default', async () => {
    await using server = await startRedis()
    assert.throws(() => server.setClockOffset(1), /without a clock/)
  })
})
