import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import fc from 'fast-check'

import type { Principal } from '../../core/request.ts'
import type { Speaker } from './credentials.ts'
import { createRemembered } from './remembered.ts'

const principalOf = (subject: string): Principal => ({ subject, credential: 'session:1', permissions: new Set() })

/** A source that answers when the test says so, with what it knew when it was asked. */
const createSource = ({ isSelfContained = false, maxRemembered = 10 } = {}) => {
  let nowMs = 1000
  let generation: number | undefined = 0
  let subject: string | undefined = 'first'
  let checks = 0
  const waiting: (() => void)[] = []
  const speakerNow = (): Speaker | undefined =>
    subject === undefined ? undefined : { principal: principalOf(subject), expiresAt: 1_000_000_000 }
  const ask = (): Promise<Speaker | undefined> => {
    const { promise, resolve } = Promise.withResolvers<Speaker | undefined>()
    const known = speakerNow()
    waiting.push(() => resolve(known))
    return promise
  }
  const remembered = createRemembered({
    clock: { epochMs: () => nowMs, monotonicMs: () => nowMs },
    check: async (credential) => {
      checks++
      return credential === 'wrong' ? 'wrong signature' : { ask, isSelfContained }
    },
    generation: () => generation,
    maxRemembered,
  })
  return {
    remembered,
    checks: () => checks,
    waiting,
    change: (to: string | undefined): void => {
      subject = to
      if (generation !== undefined) generation++
    },
    goDeaf: (): void => void (generation = undefined),
    advance: (ms: number): void => void (nowMs += ms),
    answerAll: (): void => {
      for (const answer of waiting.splice(0)) answer()
    },
  }
}

type Source = ReturnType<typeof createSource>

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** As the plugin does it. */
const find = (source: Source, credential = 'token'): Promise<string> => {
  const known = source.remembered.fresh(credential)
  const found = known === undefined ? source.remembered.find(credential, credential) : Promise.resolve(known)
  return found.then((one) => (typeof one === 'string' ? `refused: ${one}` : one.subject))
}

/** Until the answers that are asked for on the way have all been given. */
const answered = async <T>(source: Source, work: Promise<T>): Promise<T> => {
  const state = { isDone: false }
  const done = work.finally(() => (state.isDone = true))
  while (!state.isDone) {
    await settle()
    source.answerAll()
  }
  return done
}

describe('what is remembered', () => {
  test('is checked once, and asked once for many at the same time', async () => {
    const source = createSource()
    const many = Promise.all(Array.from({ length: 20 }, () => find(source)))
    await settle()
    assert.deepEqual([source.checks(), source.waiting.length], [1, 1])
    assert.deepEqual(new Set(await answered(source, many)), new Set(['first']))
    assert.equal(source.remembered.fresh('token')?.subject, 'first')
  })

  test('a change while it is asked: whoever comes afterwards asks anew', async () => {
    const source = createSource()
    const early = find(source)
    await settle()
    source.change('second')
    const late = find(source)
    await settle()
    assert.equal(source.waiting.length, 2, 'no question is shared over a change')
    assert.deepEqual(await answered(source, Promise.all([early, late])), ['first', 'second'])
    assert.equal(await answered(source, find(source)), 'second')
  })

  test('an answer from before a change that comes last brings nobody back', async () => {
    const source = createSource()
    const early = find(source)
    await settle()
    source.change(undefined)
    const late = find(source)
    await settle()
    const [first, second] = source.waiting.splice(0)
    second?.()
    assert.equal(await late, 'refused: speaks for nobody')
    first?.()
    assert.equal(await early, 'first', 'it came before the change')
    assert.equal(source.remembered.fresh('token'), undefined)
    assert.equal(await answered(source, find(source)), 'refused: speaks for nobody')
  })

  test('while announcements are missed each request asks for itself', async () => {
    const source = createSource()
    assert.equal(await answered(source, find(source)), 'first')
    source.goDeaf()
    assert.equal(source.remembered.fresh('token'), undefined)
    const some = Promise.all([find(source), find(source), find(source)])
    await settle()
    assert.equal(source.waiting.length, 3)
    assert.deepEqual(await answered(source, some), ['first', 'first', 'first'])
    assert.equal(source.checks(), 1)
    source.change('second')
    assert.equal(await answered(source, find(source)), 'second')
  })

  test('what stands in the token itself holds over changes, for a minute', async () => {
    const source = createSource({ isSelfContained: true })
    assert.equal(await answered(source, find(source)), 'first')
    source.change('second')
    assert.equal(source.remembered.fresh('token')?.subject, 'first')
    source.advance(60_000)
    assert.equal(source.remembered.fresh('token'), undefined)
    assert.equal(await answered(source, find(source)), 'second')
  })

  test('a wrong one is checked each time, and never kept', async () => {
    const source = createSource({ maxRemembered: 1 })
    assert.equal(await answered(source, find(source)), 'first')
    for (let i = 0; i < 3; i++) assert.equal(await find(source, 'wrong'), 'refused: wrong signature')
    assert.equal(source.checks(), 4)
    assert.equal(source.remembered.fresh('token')?.subject, 'first')
  })

  test('whatever the order: nobody is told what held before a change that came before they asked', async () => {
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.record({ kind: fc.constant('find' as const), credential: fc.constantFrom('a', 'b', 'c') }) },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('change' as const) }) },
      { weight: 3, arbitrary: fc.record({ kind: fc.constant('answer' as const), which: fc.nat() }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('advance' as const) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('deaf' as const) }) },
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.integer({ min: 1, max: 3 }), async (steps, maxRemembered) => {
        const source = createSource({ maxRemembered })
        let version = 0
        source.change('0')
        const asked: { readonly since: number; readonly found: Promise<string> }[] = []
        for (const one of steps) {
          if (one.kind === 'find') asked.push({ since: version, found: find(source, one.credential) })
          else if (one.kind === 'change') source.change(String(++version))
          else if (one.kind === 'advance') source.advance(61_000)
          else if (one.kind === 'deaf') source.goDeaf()
          else if (source.waiting.length > 0) source.waiting.splice(one.which % source.waiting.length, 1)[0]?.()
          await settle()
        }
        const found = await answered(source, Promise.all(asked.map((one) => one.found)))
        for (const [i, { since }] of asked.entries()) assert.ok(Number(found[i]) >= since, `${found[i]} is older than ${since}`)
      }),
      { numRuns: 200 },
    )
  })
})
