import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EventLog } from './event-log.ts'
import { Slabs } from './slabs.ts'

const sizeClassOf = (log: EventLog): number => log.ref & 7

test('a log grows with its entries and gives the room back when all of them are dead', () => {
  const log = new EventLog(new Slabs(), { isRate: false, quantumMs: null, longestMs: 1000, mostUnits: 200 })
  log.openEmpty()
  log.claim()
  for (let nowMs = 0; nowMs < 200; nowMs++) log.append(nowMs, 1)
  assert.deepEqual([log.count, sizeClassOf(log)], [200, 6])
  log.append(1200, 1)
  assert.deepEqual([log.count, sizeClassOf(log)], [1, 0])
})

test('entries that no window counts make room before the log grows', () => {
  for (const quantumMs of [null, 10]) {
    const log = new EventLog(new Slabs(), { isRate: false, quantumMs, longestMs: 100, mostUnits: 256 })
    log.openEmpty()
    log.claim()
    for (let nowMs = 0; nowMs < 100_000; nowMs += 60) log.append(nowMs, 1)
    assert.ok(sizeClassOf(log) <= 1, `grew to class ${sizeClassOf(log)}`)
    assert.equal(log.unitsFrom(log.firstInside(100_000, 100)), 1)
  }
})

test('a coarse log holds any number of units in 64 entries', () => {
  const log = new EventLog(new Slabs(), { isRate: false, quantumMs: 10, longestMs: 600, mostUnits: 1e9 })
  log.openEmpty()
  log.claim()
  for (let nowMs = 0; nowMs < 6000; nowMs++) log.append(nowMs, 1000)
  assert.ok(log.count <= 64)
  const counted = (nowMs: number): number => log.unitsFrom(log.firstInside(nowMs, 600)) / 1000
  // Moments 5400 to 5409 are one sub-window and stay until the last of them leaves.
  assert.deepEqual([counted(6000), counted(6008.9), counted(6009)], [600, 600, 590])
})
