import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Queue } from './queue.ts'

/** A queue of `names`, one slot each 10 ms from 10 on, and what was given back. */
const queueOf = (names: string) => {
  const queue = new Queue<string>()
  const given: number[] = []
  for (const [i, name] of names.split('').entries()) queue.join(name, { atMs: 10 * (i + 1), giveBack: () => void given.push(10 * (i + 1)) })
  return { queue, given }
}

test('each leaves at its own slot, in the order of arrival', () => {
  const { queue, given } = queueOf('abc')
  assert.deepEqual([queue.takeDue(9), queue.nextMs, queue.length], [[], 10, 3])
  assert.deepEqual([queue.takeDue(10), queue.nextMs, queue.length], [['a'], 20, 2])
  assert.deepEqual([queue.takeDue(100), queue.nextMs, queue.length], [['b', 'c'], undefined, 0])
  assert.deepEqual(given, [])
})

test('when one leaves, all behind move up and the last slot is given back', () => {
  const { queue, given } = queueOf('abcd')
  queue.leave('b')
  assert.deepEqual(given, [40])
  assert.deepEqual([queue.takeDue(10), queue.takeDue(20), queue.takeDue(30), queue.takeDue(40)], [['a'], ['c'], ['d'], []])
})

test('the first moves the others up, the last nobody; leaving twice or after the turn is nothing', () => {
  const { queue, given } = queueOf('abc')
  queue.leave('a')
  queue.leave('a')
  queue.leave('c')
  assert.deepEqual(given, [30, 20])
  assert.deepEqual(queue.takeDue(10), ['b'])
  queue.leave('b')
  assert.deepEqual(given, [30, 20])
})

test('a slot before the last one is no way to overtake', () => {
  const { queue, given } = queueOf('ab')
  queue.join('late', { atMs: 5, giveBack: () => void given.push(5) })
  assert.deepEqual([queue.takeDue(19), queue.takeDue(20)], [['a'], ['b', 'late']])
})

test('all at once: slots go back from the last on', () => {
  const { queue, given } = queueOf('abc')
  assert.deepEqual(queue.takeAll(), ['a', 'b', 'c'])
  assert.deepEqual([given, queue.length, queue.nextMs], [[30, 20, 10], 0, undefined])
})
