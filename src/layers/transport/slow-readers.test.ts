import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import { describe, test } from 'node:test'

import fc from 'fast-check'

import { SlowReaders } from './slow-readers.ts'

const windowMs = 10_000
const leastBytesPerSecond = 1024

/** A connection as libuv shows it: what was handed over, and what of it the system did not take. */
class Connection extends EventEmitter {
  readonly handle: { bytesWritten: number; writeQueueSize: number }

  constructor(pending: number) {
    super()
    this.handle = { bytesWritten: pending, writeQueueSize: pending }
    Object.assign(this, { _handle: this.handle })
  }

  take(bytes: number): void {
    this.handle.writeQueueSize = Math.max(0, this.handle.writeQueueSize - bytes)
  }

  hand(bytes: number): void {
    this.handle.bytesWritten += bytes
    this.handle.writeQueueSize += bytes
  }
}

const watching = (connections: readonly Connection[]) => {
  const cut: Connection[] = []
  const readers = new SlowReaders({
    monotonicMs: () => 0,
    windowMs,
    leastBytesPerSecond,
    cut: (socket) => {
      cut.push(socket as unknown as Connection)
      socket.emit('close')
    },
  })
  for (const one of connections) readers.add(one as unknown as Socket)
  return { cut, look: (nowMs: number) => readers.look(nowMs) }
}

describe('a reader', () => {
  test('that leaves its answer untaken is cut when the time is over, and not before', () => {
    const reader = new Connection(1)
    const { cut, look } = watching([reader])
    for (let second = 0; second < 10; second++) look(second * 1000)
    assert.deepEqual(cut, [])
    look(10_000)
    assert.deepEqual(cut, [reader])
    look(30_000)
    assert.equal(cut.length, 1, 'what is closed is not looked at again')
  })

  test('that takes something and then stops is cut within two windows', () => {
    fc.assert(
      fc.property(fc.nat({ max: 60 }), fc.integer({ min: 1024, max: 100_000 }), (seconds, rate) => {
        const reader = new Connection(1e9)
        const { cut, look } = watching([reader])
        for (let second = 0; second <= seconds; second++) {
          look(second * 1000)
          reader.take(rate)
        }
        assert.deepEqual(cut, [])
        let cutAt: number | undefined
        for (let second = seconds + 1; cutAt === undefined && second < seconds + 100; second++) {
          look(second * 1000)
          if (cut.length > 0) cutAt = second
        }
        assert.ok(cutAt !== undefined && cutAt - seconds <= 21, `${cutAt} for ${seconds}`)
      }),
    )
  })

  test('of less than 1 KiB/s is cut, of 1 KiB/s is not, however irregular', () => {
    const slow = new Connection(1e9)
    const enough = new Connection(1e9)
    const { cut, look } = watching([slow, enough])
    for (let second = 0; second < 100; second++) {
      look(second * 1000)
      slow.take(1023)
      // Everything of a window at its end.
      if (second % 10 === 9) enough.take(10_240)
    }
    assert.deepEqual(cut, [slow])
  })

  test('whose answer grows faster than it takes it is judged by what it takes', () => {
    const reader = new Connection(1)
    const { cut, look } = watching([reader])
    for (let second = 0; second < 50; second++) {
      look(second * 1000)
      reader.hand(50_000)
      reader.take(2000)
    }
    assert.deepEqual(cut, [])
  })

  test('with nothing pending waits as long as it likes, and begins afresh with the next answer', () => {
    const idle = new Connection(0)
    const { cut, look } = watching([idle])
    for (let second = 0; second < 100; second++) look(second * 1000)
    idle.hand(100)
    for (let second = 100; second < 110; second++) look(second * 1000)
    idle.take(100)
    look(110_000)
    idle.hand(100)
    for (let second = 111; second < 121; second++) look(second * 1000)
    assert.deepEqual(cut, [])
  })

  test('whose connection is gone is passed over', () => {
    const gone = new Connection(1)
    Object.assign(gone, { _handle: null })
    const { cut, look } = watching([gone])
    for (let second = 0; second < 100; second++) look(second * 1000)
    assert.deepEqual(cut, [])
  })
})
