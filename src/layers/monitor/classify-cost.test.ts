import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import fc from 'fast-check'

import { asked } from '../../../test/support/asked-request.ts'
import { agentTags } from './scanner-agents.ts'

/** The least of some tries, in ms. */
const timed = (brick: string, length: number): number => {
  const text = brick.repeat(Math.ceil(length / brick.length)).slice(0, length)
  let least = Infinity
  for (let i = 0; i < 7; i++) {
    const from = performance.now()
    asked(`/?a=${text}`, { body: { a: text }, userAgent: `${i}${text}` })
    least = Math.min(least, performance.now() - from)
  }
  return least
}

describe('whoever sends the text does not choose what it costs', () => {
  const bricks = [
    'select ',
    "'",
    '(',
    ' ',
    '../',
    '%25',
    'or 1',
    'or ((((((((',
    'union ',
    '<',
    '{{',
    '/*!1',
    "'--",
    'a',
    '1',
    ';',
    "' or '",
    'select a from ',
    '%',
    '&',
    '=',
    '\n',
    '.',
    '${',
    'and a=',
    'http',
  ]

  test('time grows with the text, and not beyond 4 KB', () => {
    for (const brick of bricks) {
      // What backtracks takes 16 to 256 times as long for four times the text, or seconds; a slow machine takes some times as long for both.
      const [short, long, huge] = [timed(brick, 1000), timed(brick, 4000), timed(brick, 400_000)]
      assert.ok(long < 12 * short + 2, `${brick}: ${short} ms, then ${long} ms`)
      assert.ok(huge < 12 * long + 20, `${brick}: ${long} ms, then ${huge} ms`)
    }
  })

  test('no text, no body and no agent makes it throw', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', maxLength: 300 }),
        fc.anything({ maxDepth: 6 }),
        fc.string({ unit: 'binary' }),
        (target, body, userAgent) => {
          asked(target, { body, userAgent })
          asked(`/?${target}`, { body: { [target]: [body] } })
        },
      ),
      { numRuns: 500 },
    )
  })

  test('a body as deep or as wide as it can be', () => {
    let deep: unknown = "' OR 1=1--"
    for (let i = 0; i < 10_000; i++) deep = [deep]
    assert.deepEqual(asked('/', { body: deep }), [])
    assert.deepEqual(asked('/', { body: Array.from({ length: 100_000 }, () => 'a'.repeat(10)) }), [])
  })

  test('a flood of agents is not remembered', () => {
    for (let i = 0; i < 5000; i++) agentTags(`agent ${i}`)
    assert.deepEqual([...agentTags('sqlmap')], ['scanner_agent'])
  })
})
