import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import fc from 'fast-check'

import { createManualClock } from '../../test/support/manual-clock.ts'
import type { Problem } from '../core/errors.ts'
import { HashGate, type HashGateOptions } from './hash-gate.ts'

const settled = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve))

/** Hashes that take until the test ends them, in the order in which they began. */
const setUp = (options: HashGateOptions = {}) => {
  const clock = createManualClock()
  const gate = new HashGate({ atOnce: 1, maxWaiting: 10, maxWaitingPerClient: 4, maxWaitMs: 1000, timers: clock, ...options })
  const begun: string[] = []
  const ends: (() => void)[] = []
  const codes: string[] = []
  const enter = (name: string, client = name, isGone = (): boolean => false): Promise<void> =>
    gate
      .run(
        () =>
          new Promise<void>((resolve) => {
            begun.push(name)
            ends.push(resolve)
          }),
        { client, isGone },
      )
      .catch((problem: Problem) => void codes.push(`${name} ${problem.code} ${String(problem.options.retryAfterSeconds)}`))
  const endOne = async (): Promise<void> => {
    ends.shift()?.()
    await settled()
  }
  return { clock, gate, begun, codes, enter, endOne }
}

describe('hashes take turns', () => {
  test('no more at once than allowed, the rest in order, and nothing is left behind', async () => {
    const { clock, gate, begun, enter, endOne } = setUp({ atOnce: 2 })
    const all = ['a', 'b', 'c', 'd', 'e'].map((name) => enter(name))
    assert.deepEqual([begun, gate.running, gate.waiting], [['a', 'b'], 2, 3])
    await endOne()
    assert.deepEqual(begun, ['a', 'b', 'c'])
    for (let i = 0; i < 4; i++) await endOne()
    await Promise.all(all)
    assert.deepEqual([begun.join(''), gate.running, gate.waiting, clock.timers], ['abcde', 0, 0, 0])
  })

  test('attack: who sends many delays everybody else by one', async () => {
    const { begun, codes, enter, endOne } = setUp()
    for (const name of ['f1', 'f2', 'f3', 'f4', 'f5', 'f6', 'f7']) void enter(name, 'flood')
    await settled()
    assert.deepEqual(codes, ['f6 temporary_reduced_capacity 1', 'f7 temporary_reduced_capacity 1'], 'a place for its own, not all places')
    void enter('mine', 'me')
    void enter('yours', 'you')
    for (let i = 0; i < 7; i++) await endOne()
    assert.deepEqual(begun, ['f1', 'f2', 'mine', 'yours', 'f3', 'f4', 'f5'])
  })

  test('attack: many clients fill the queue and no more; who comes then is told when to come again', async () => {
    const { gate, codes, enter } = setUp({ maxWaitMs: 2500 })
    for (let i = 0; i < 500; i++) void enter(`bot${i}`)
    await settled()
    assert.deepEqual([gate.running, gate.waiting, codes.length], [1, 10, 489])
    assert.ok(codes.every((code) => code.endsWith('temporary_reduced_capacity 3')))
  })

  test('who waits too long is refused, and the place is free again', async () => {
    const { clock, gate, begun, codes, enter, endOne } = setUp()
    void enter('slow')
    for (const name of ['a', 'b']) void enter(name)
    clock.advance(999)
    void enter('late')
    await settled()
    assert.deepEqual(codes, [])
    clock.advance(1)
    await settled()
    assert.deepEqual(codes, ['a temporary_reduced_capacity 1', 'b temporary_reduced_capacity 1'])
    assert.equal(gate.waiting, 1)
    await endOne()
    assert.deepEqual(begun, ['slow', 'late'])
  })

  test('nothing is hashed for who is gone when its turn comes', async () => {
    const { begun, gate, enter, endOne } = setUp()
    void enter('a')
    void enter('gone', 'gone', () => true)
    void enter('b')
    await endOne()
    assert.deepEqual([begun, gate.running, gate.waiting], [['a', 'b'], 1, 0])
  })

  test('work that fails frees its place', async () => {
    const gate = new HashGate({ atOnce: 1 })
    for (let i = 0; i < 3; i++)
      await assert.rejects(
        gate.run(() => Promise.reject(new Error('no memory'))),
        /no memory/,
      )
    assert.equal(await gate.run(() => Promise.resolve(1)), 1)
    assert.equal(gate.running, 0)
  })

  test('whatever comes, ends, waits and goes: the bounds hold, everybody is answered, nothing is left', async () => {
    const step = fc.oneof(
      fc.record({ enter: fc.integer({ min: 0, max: 3 }), isGone: fc.boolean() }),
      fc.constant('end' as const),
      fc.record({ advance: fc.integer({ min: 1, max: 700 }) }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 3 }), async (steps, atOnce) => {
        const { clock, gate, begun, codes, enter, endOne } = setUp({ atOnce, maxWaiting: 5, maxWaitingPerClient: 2 })
        let entered = 0
        let answered = 0
        const count = (): void => void answered++
        for (const one of steps) {
          if (one === 'end') await endOne()
          else if ('advance' in one) clock.advance(one.advance)
          else void enter(`${entered++}`, `client ${one.enter}`, () => one.isGone).then(count)
          assert.ok(gate.running <= atOnce && gate.waiting <= 5)
        }
        while (gate.running > 0) await endOne()
        await settled()
        assert.deepEqual([gate.waiting, clock.timers, answered, begun.length + codes.length], [0, 0, entered, entered])
      }),
      { numRuns: 60 },
    )
  })
})
