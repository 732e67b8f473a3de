import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import type { FastifyRequest } from 'fastify'

import { createManualClock } from '../../../test/support/manual-clock.ts'
import { Problem } from '../../core/errors.ts'
import { Journal } from '../../layers/index.ts'
import type { EventStream } from './event-stream.ts'
import { createEventStreams } from './event-streams.ts'

const request = {} as FastifyRequest
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

const open = (options: { capacity?: number; total?: number; refusedNow?: () => Promise<string | undefined> } = {}) => {
  const { capacity = 1000, total = 8, refusedNow = () => Promise.resolve(undefined) } = options
  const clock = createManualClock()
  const journal = new Journal({ capacity, share: capacity })
  const streams = createEventStreams({ journal, timers: clock, refusedNow, total, perSubject: 2 })
  const happen = (count: number): void => {
    for (let i = 0; i < count; i++) journal.add(0, { event: 'sys_startup', address: 'x'.repeat(100) })
  }
  return { clock, journal, streams, happen }
}

/** What a reader gets that takes everything there is now. */
const taken = async (stream: EventStream): Promise<string> => {
  let text = ''
  for (;;) {
    await turn()
    const chunk = stream.read() as Buffer | null
    if (chunk === null) return text
    text += chunk.toString()
  }
}
const count = (text: string): number => text.split('"event":"sys_startup"').length - 1

describe('a reader that is slow', () => {
  test('holds a few kilobytes, and learns how many it missed', async () => {
    const { streams, happen } = open({ capacity: 200 })
    const stream = streams.open(request, 'ada', () => true, undefined)
    await taken(stream)
    for (let i = 0; i < 50; i++) {
      happen(100)
      await turn()
    }
    assert.ok(stream.readableLength < 20_000, String(stream.readableLength))
    const text = await taken(stream)
    const [, dropped] = /event: dropped\ndata: \{"count":(\d+)\}/.exec(text) ?? []
    assert.equal(count(text) + Number(dropped), 5000, 'each was told or counted')
    assert.ok(count(text) >= 200)
    happen(1)
    assert.equal(count(await taken(stream)), 1, 'and then it is as any other')
    stream.destroy()
  })

  test('one that reads keeps getting all of it meanwhile', async () => {
    const { streams, happen } = open({ capacity: 200 })
    const [slow, good] = [streams.open(request, 'ada', () => true, undefined), streams.open(request, 'bob', () => true, undefined)]
    let seen = 0
    for (let i = 0; i < 50; i++) {
      happen(50)
      seen += count(await taken(good))
    }
    assert.equal(seen, 2500)
    slow.destroy()
    good.destroy()
  })

  test('is cut at the next look where it takes not even the end', async () => {
    const { streams, happen, clock } = open({ refusedNow: () => Promise.resolve('over') })
    const stream = streams.open(request, 'ada', () => true, undefined)
    happen(500)
    await turn()
    clock.advance(500)
    await turn()
    clock.advance(500)
    assert.ok(stream.destroyed)
    await turn()
    assert.deepEqual([streams.count, clock.timers], [0, 0])
  })
})

describe('how many', () => {
  test('so many of one, so many in all; each that closes makes room, and none leaves a timer behind', async () => {
    const { streams, clock } = open({ total: 3 })
    const begin = (subject: string): EventStream => streams.open(request, subject, () => true, undefined)
    const all = [begin('ada'), begin('ada')]
    assert.throws(
      () => begin('ada'),
      (error) => error instanceof Problem && error.code === 'quota_exceeded',
    )
    all.push(begin('bob'))
    assert.throws(
      () => begin('eve'),
      (error) => error instanceof Problem && error.code === 'temporary_reduced_capacity',
    )
    all[0]?.destroy()
    await turn()
    all.push(begin('ada'))
    for (const stream of all) stream.destroy()
    await turn()
    assert.deepEqual([streams.count, clock.timers], [0, 0])
  })
})

describe('whoever reads on is asked again', () => {
  test('every half second, one question at a time', async () => {
    let asked = 0
    const { streams, clock } = open({ refusedNow: () => (asked++, new Promise(() => undefined)) })
    const stream = streams.open(request, 'ada', () => true, undefined)
    await taken(stream)
    for (let i = 0; i < 8; i++) clock.advance(500)
    assert.deepEqual([asked, stream.isEnding], [1, false])
    for (let i = 0; i < 4; i++) clock.advance(500)
    assert.ok(stream.isEnding, 'what cannot be asked is not believed')
    assert.match(await taken(stream), /event: end\ndata: \{"reason":"your credentials could not be checked"\}/)
  })

  test('a question that fails ends it, too', async () => {
    const { streams, clock } = open({ refusedNow: () => Promise.reject(new Error('no database')) })
    const stream = streams.open(request, 'ada', () => true, undefined)
    clock.advance(500)
    await turn()
    assert.match(await taken(stream), /event: end/)
  })

  test('a comment every 15 s keeps the connection', async () => {
    const { streams, clock } = open()
    const stream = streams.open(request, 'ada', () => true, undefined)
    await taken(stream)
    for (let i = 0; i < 60; i++) {
      clock.advance(500)
      await turn()
    }
    assert.equal(await taken(stream), ': alive\n\n: alive\n\n')
    stream.destroy()
  })
})
