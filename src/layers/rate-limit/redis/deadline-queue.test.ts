import assert from 'node:assert/strict'
import { test } from 'node:test'

import { eventually } from '../../../../test/support/deadline.ts'
import { DeadlineQueue } from './deadline-queue.ts'

const nowMs = (): number => performance.now()

test('what is not settled in time expires once, in order, and what is settled never does', async () => {
  const queue = new DeadlineQueue(nowMs, 20)
  const expired: number[] = []
  const startedMs = nowMs()
  const awaited = [0, 1, 2, 3].map((i) => queue.add(() => void expired.push(i)))
  awaited[1]!.settled = true
  await eventually(5000, 'the others expire', () => expired.length === 3)
  assert.ok(nowMs() - startedMs >= 20)
  const later = queue.add(() => void expired.push(4))
  assert.equal(later.settled, false)
  await eventually(5000, 'a later one expires too', () => expired.includes(4))
  assert.deepEqual(expired, [0, 2, 3, 4])
})

test('a process that was busy for longer than the deadline gives what it waits for another turn', async () => {
  const queue = new DeadlineQueue(nowMs, 50)
  let expired = 0
  const awaited = queue.add(() => void expired++)
  const untilMs = nowMs() + 200
  while (nowMs() < untilMs);
  // As an answer that is read in the turn after the timer.
  setTimeout(() => setImmediate(() => (awaited.settled = true)), 1)
  await eventually(5000, 'it is settled', () => awaited.settled)
  assert.equal(expired, 0)
  const hopeless = queue.add(() => void expired++)
  const againMs = nowMs() + 200
  while (nowMs() < againMs);
  await eventually(5000, 'it expires all the same when nothing comes', () => hopeless.settled)
  assert.equal(expired, 1)
})

test('closed, nothing waits any longer', () => {
  const queue = new DeadlineQueue(nowMs, 1_000_000)
  let expired = 0
  queue.add(() => void expired++)
  queue.close()
  assert.equal(expired, 1)
})
