import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import fc from 'fast-check'

import { formatLimits, LimitSyntaxError } from './notation.ts'
import { type LimitDefaults, quotasOf, type RouteLimits, type RouteOverride, totalQuota } from './route-quotas.ts'
import type { Quota } from './store.ts'

const defaults: LimitDefaults = { anonymous: '200 per day; 50 per hour', authenticated: '20000 per day', overrides: {} }

/** Each quota as `scope: limits`, so that a case reads as one line. */
const shown = (quotas: readonly Quota[] = []): string[] =>
  quotas.map(({ scope, windows }) => `${scope}: ${formatLimits(windows.map((window) => ({ ...window, name: '' })))}`)

const quotas = (limits: RouteLimits, override?: RouteOverride, name = 'GET /') => {
  const found = quotasOf(name, limits, { ...defaults, overrides: override === undefined ? {} : { 'GET /': override } })
  return found && { anonymous: shown(found.anonymous), authenticated: shown(found.authenticated) }
}

const untouched = { anonymous: ['route GET /: 50 per hour; 200 per day'], authenticated: ['subject: 20000 per day'] }

describe('what a route says', () => {
  test('nothing: the defaults, per route for anonymous clients, over all routes for a subject', () => {
    assert.deepEqual(quotas({}), untouched)
  })

  test('add: on top of the defaults, for everyone, each identity on its own', () => {
    assert.deepEqual(quotas({ add: '1 per second' }), {
      anonymous: ['route GET /: 1 per second; 50 per hour; 200 per day'],
      authenticated: ['route GET /: 1 per second', 'subject: 20000 per day'],
    })
  })

  test('only: instead of the defaults, for everyone', () => {
    const own = ['route GET /: 3 per minute']
    assert.deepEqual(quotas({ only: '3 per minute' }), { anonymous: own, authenticated: own })
  })

  test('none: no quota but total', () => {
    assert.equal(quotas('none'), undefined)
    assert.equal(quotas('none', { only: '1 per second' }), undefined)
  })

  test('sharedAs: counts together with the other route, and is overridden under its name', () => {
    assert.deepEqual(quotas({ sharedAs: 'GET /' }, undefined, 'HEAD /add'), untouched)
    assert.deepEqual(quotas({ sharedAs: 'GET /', add: '1 per second' }, { only: '5 per day' }, 'HEAD /add')?.anonymous, [
      'route GET /: 5 per day',
    ])
  })
})

describe('what the operator says of it', () => {
  test('add: on top of what the route says', () => {
    assert.deepEqual(quotas({ add: '1 per second' }, { add: '10 per minute' }), {
      anonymous: ['route GET /: 1 per second; 10 per minute; 50 per hour; 200 per day'],
      authenticated: ['route GET /: 1 per second; 10 per minute', 'subject: 20000 per day'],
    })
  })

  test('add, for a route that counts in its own limits only: on top of those', () => {
    const both = ['route GET /: 1 per second; 3 per minute']
    assert.deepEqual(quotas({ only: '3 per minute' }, { add: '1 per second' }), { anonymous: both, authenticated: both })
  })

  test('only: instead of everything that was there', () => {
    const own = ['route GET /: 9 per day']
    assert.deepEqual(quotas({ add: '1 per second' }, { only: '9 per day' }), { anonymous: own, authenticated: own })
    assert.deepEqual(quotas({ only: '1 per second' }, { only: '9 per day' }), { anonymous: own, authenticated: own })
  })

  test('exempt: free of all but total', () => {
    assert.equal(quotas({ add: '1 per second' }, 'exempt'), undefined)
  })

  test('of one route changes no other', () => {
    assert.deepEqual(quotas({}, 'exempt', 'GET /other')?.authenticated, untouched.authenticated)
  })
})

test('of several limits over the same time the strictest holds: adding never loosens', () => {
  const limit = fc.integer({ min: 1, max: 1000 })
  const unit = fc.constantFrom('second', '60 seconds', 'minute', 'hour', '3600 seconds', 'day')
  const text = fc.tuple(limit, unit).map(([count, name]) => `${count} per ${name}`)
  fc.assert(
    fc.property(text, text, text, (own, added, anonymous) => {
      const found = quotasOf('GET /', { add: own }, { ...defaults, anonymous, overrides: { 'GET /': { add: added } } })
      const windows = found?.anonymous[0]?.windows ?? []
      for (const one of [own, added, anonymous]) {
        const [said] = totalQuota(one).windows
        assert.ok(
          windows.some(({ windowMs, limit: held }) => windowMs === said?.windowMs && held <= said.limit),
          one,
        )
      }
      const lengths = windows.map(({ windowMs }) => windowMs)
      assert.deepEqual(
        lengths,
        [...new Set(lengths)].toSorted((a, b) => a - b),
        'shortest first, none twice',
      )
    }),
  )
})

test('no two windows that one answer speaks of have one name', () => {
  const found = quotasOf('GET /', { add: '1 per second; 100 per day' }, defaults)
  for (const all of [found?.anonymous ?? [], found?.authenticated ?? []]) {
    const names = [totalQuota('20 per second; 3000 per day'), ...all].flatMap(({ windows }) => windows.map(({ name }) => name))
    assert.equal(new Set(names).size, names.length, names.join())
  }
})

test('total is one quota over everything', () => {
  assert.deepEqual(totalQuota('20 per second; 3000 per hour'), {
    scope: 'total',
    windows: [
      { name: 'total-second', limit: 20, windowMs: 1000 },
      { name: 'total-hour', limit: 3000, windowMs: 3_600_000 },
    ],
  })
})

test('what is no limit stops the start', () => {
  for (const limits of [{ add: 'fast' }, { only: '' }, { add: '0 per second' }]) assert.throws(() => quotas(limits), LimitSyntaxError)
  assert.throws(() => quotasOf('GET /', {}, { ...defaults, authenticated: '1 per blink' }), LimitSyntaxError)
})
