import assert from 'node:assert/strict'
import { createServer, Socket } from 'node:net'
import { describe, test } from 'node:test'

import fc from 'fast-check'

import { FailedHandshakes, type HandshakeBounds } from './failed-handshakes.ts'

const createScene = (bounds: Partial<HandshakeBounds> = {}) => {
  let nowMs = 0
  const told: Socket[] = []
  const failed = new FailedHandshakes({
    monotonicMs: () => nowMs,
    clientPrefixOf: () => 'a',
    isTrusted: () => false,
    onTooMany: (socket) => void told.push(socket),
    bounds: { burst: 3, perSecond: 2, mostClients: 100, ...bounds },
  })
  const fail = (prefix: string, times = 1): void => {
    for (let i = 0; i < times; i++) failed.add(prefix)
  }
  return { failed, fail, told, wait: (ms: number) => void (nowMs += ms) }
}

describe('handshakes that fail', () => {
  test('a burst is let through, one more is not, and nobody else is touched', () => {
    const { failed, fail } = createScene()
    fail('a', 2)
    assert.equal(failed.isFull('a'), false)
    fail('a')
    assert.equal(failed.isFull('a'), true)
    assert.equal(failed.isFull('b'), false)
  })

  test('they are forgotten one by one, and not before their time', () => {
    const { failed, fail, wait } = createScene()
    fail('a', 3)
    wait(499)
    assert.equal(failed.isFull('a'), true)
    wait(1)
    assert.equal(failed.isFull('a'), false)
    fail('a')
    assert.equal(failed.isFull('a'), true)
  })

  test('what was open when the bucket was full is paid back too', () => {
    const { failed, fail, wait } = createScene()
    fail('a', 10)
    wait(3999)
    assert.equal(failed.isFull('a'), true)
    wait(1)
    assert.equal(failed.isFull('a'), false)
  })

  test('no rest saves anything up: in any span no more than the burst and what the span forgives', () => {
    const pauses = fc.array(fc.integer({ min: 0, max: 3000 }), { maxLength: 100 })
    fc.assert(
      fc.property(pauses, (steps) => {
        const { failed, fail, wait } = createScene()
        const admitted: number[] = []
        let nowMs = 0
        for (const pauseMs of steps) {
          wait(pauseMs)
          nowMs += pauseMs
          if (failed.isFull('a')) continue
          fail('a')
          admitted.push(nowMs)
          for (const [i, atMs] of admitted.entries()) assert.ok(admitted.length - i <= 3 + ((nowMs - atMs) * 2) / 1000)
        }
      }),
    )
  })

  test('clients whose failures are forgotten take no room', () => {
    const { failed, fail, wait } = createScene()
    // Each of somebody new, as from a whole IPv6 site, long after the one before.
    for (let i = 0; i < 10_000; i++) {
      fail(`client ${i}`)
      wait(500)
    }
    assert.ok(failed.remembered <= 10, `${failed.remembered} remembered`)
  })

  test('more clients than there is room for: the room does not grow, and nobody who is remembered is let off', () => {
    const { failed, fail, wait } = createScene()
    fail('a', 100)
    for (let i = 0; i < 10_000; i++) fail(`client ${i}`)
    assert.equal(failed.remembered, 100)
    assert.equal(failed.isFull('a'), true)
    wait(500)
    fail('newcomer', 3)
    assert.equal(failed.isFull('newcomer'), true, 'there is room again')
    assert.equal(failed.isFull('a'), true)
  })

  test('a Node that does not tell which connection was completed: nobody is refused', () => {
    const { failed, told } = createScene()
    const server = createServer()
    failed.attach(server)
    for (let i = 0; i < 10; i++) {
      const socket = new Socket()
      server.emit('connection', socket)
      server.emit('secureConnection', {})
      socket.emit('close')
    }
    assert.deepEqual(told, [])
  })
})
