import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { describe, test } from 'node:test'

import { Problem } from '../../core/errors.ts'
import type { SecurityEvent } from '../../core/events.ts'
import { createManualClock } from '../../../test/support/manual-clock.ts'
import { createIssuerKeys } from './issuer-keys.ts'
import type { VerificationKeys } from './verification-keys.ts'

const { publicKey } = generateKeyPairSync('ed25519')
const setOf = (...kids: readonly string[]): VerificationKeys => new Map(kids.map((kid) => [kid, { key: publicKey, algorithms: [kid] }]))

/** An issuer that publishes, fails or hangs as the test says, and how often it was asked. */
const scene = () => {
  const clock = createManualClock(1000)
  const events: SecurityEvent[] = []
  const issuer = { answer: (_signal: AbortSignal): Promise<VerificationKeys> => Promise.resolve(setOf('a')), fetches: 0 }
  const fetchKeys = (signal: AbortSignal): Promise<VerificationKeys> => {
    issuer.fetches++
    return issuer.answer(signal)
  }
  const keys = createIssuerKeys({
    issuer: 'https://id.example.com',
    fetchKeys,
    clock,
    timers: clock,
    observe: (event) => void events.push(event),
  })
  const publishes = (...kids: readonly string[]): void => void (issuer.answer = () => Promise.resolve(setOf(...kids)))
  const fails = (): void => void (issuer.answer = () => Promise.reject(new Error('down')))
  const hangs = (): void =>
    void (issuer.answer = (signal) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(new Error('aborted')))
      }))
  const has = async (kid: string): Promise<boolean> => (await keys.find(kid)) !== undefined
  const unavailable = (seconds: number, kid = 'a') =>
    assert.rejects(keys.find(kid), (error) => {
      assert.ok(error instanceof Problem)
      assert.deepEqual([error.code, error.options.retryAfterSeconds], ['store_unavailable', seconds])
      return true
    })
  return { clock, events, issuer, keys, publishes, fails, hangs, has, unavailable }
}

const minute = 60_000

describe('the keys of an issuer', () => {
  test('are fetched when the first token comes, once for all who ask, and are good for ten minutes', async () => {
    const { clock, issuer, keys, has } = scene()
    assert.equal(issuer.fetches, 0)
    const found = await Promise.all(Array.from({ length: 100 }, () => keys.find('a')))
    assert.ok(found.every((key) => key?.algorithms[0] === 'a'))
    clock.advance(10 * minute - 1)
    assert.ok(await has('a'))
    assert.equal(issuer.fetches, 1)
    clock.advance(1)
    assert.ok(await has('a'))
    assert.equal(issuer.fetches, 2)
    assert.equal(clock.timers, 0, 'no deadline is left behind')
  })

  test('key ids that nobody has: thousands cost the issuer one fetch in thirty seconds', async () => {
    const { clock, issuer, has } = scene()
    for (let i = 0; i < 2000; i++) assert.equal(await has(`x${i}`), false)
    assert.equal(issuer.fetches, 1)
    clock.advance(29_999)
    assert.equal(await has('y'), false)
    assert.equal(issuer.fetches, 1)
    clock.advance(1)
    await Promise.all(Array.from({ length: 2000 }, (_, i) => has(`z${i}`)))
    assert.equal(issuer.fetches, 2)
  })

  test('a new key is known as soon as a token has it, an old one is gone with the next fetch', async () => {
    const { clock, publishes, has } = scene()
    assert.ok(await has('a'))
    clock.advance(30_000)
    publishes('b')
    assert.ok(await has('a'), 'nobody asked for b yet')
    assert.ok(await has('b'))
    assert.equal(await has('a'), false)
  })

  test('an issuer that is down keeps its keys for an hour, and is asked every thirty seconds', async () => {
    const { clock, events, issuer, fails, publishes, has, unavailable } = scene()
    assert.ok(await has('a'))
    fails()
    for (let i = 0; i < 59; i++) {
      clock.advance(minute)
      assert.ok(await has('a'), `after ${i + 1} minutes`)
      assert.ok(await has('a'))
    }
    assert.equal(issuer.fetches, 51)
    clock.advance(minute)
    await unavailable(30)
    clock.advance(12_500)
    await unavailable(18)
    assert.equal(issuer.fetches, 52, 'one more, for both')
    publishes('a')
    clock.advance(17_500)
    assert.ok(await has('a'))
    assert.deepEqual(
      [...new Set(events.map((event) => JSON.stringify(event)))],
      [
        '{"event":"sys_store_failure","store":"issuer https://id.example.com","error":"down"}',
        '{"event":"sys_store_recovered","store":"issuer https://id.example.com"}',
      ],
    )
  })

  test('an issuer that is down at the first token: try again, never no and never yes', async () => {
    const { clock, issuer, fails, publishes, has, unavailable } = scene()
    fails()
    await unavailable(30)
    publishes('a')
    clock.advance(29_000)
    await unavailable(1)
    assert.equal(issuer.fetches, 1)
    clock.advance(1000)
    assert.ok(await has('a'))
  })

  test('a key id that is new while the issuer is down: nobody knows yet, and those that are known go on', async () => {
    const { clock, fails, has, unavailable } = scene()
    assert.ok(await has('a'))
    fails()
    clock.advance(minute)
    await unavailable(30, 'b')
    assert.ok(await has('a'))
  })

  test('an issuer that hangs is given five seconds, and who has a key need not wait again', async () => {
    const { clock, events, hangs, keys, has, unavailable } = scene()
    assert.ok(await has('a'))
    hangs()
    clock.advance(10 * minute)
    const waiting = keys.find('a')
    clock.advance(5000)
    assert.ok(await waiting)
    assert.deepEqual(events, [{ event: 'sys_store_failure', store: 'issuer https://id.example.com', error: 'no answer within 5000 ms' }])
    clock.advance(30_000)
    assert.ok(await has('a'), 'while the next fetch hangs')
    const unknown = unavailable(25, 'b')
    clock.advance(5000)
    await unknown
  })
})
