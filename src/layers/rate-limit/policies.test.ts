import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import fc from 'fast-check'

import { formatLimits, LimitSyntaxError, parseLimits } from './notation.ts'
import { type LimitOverride, type LimitRules, quotasOf, type RouteLimits, type SourcedQuota, totalQuotas } from './policies.ts'
import type { Quota } from './store.ts'

const rules: LimitRules = { anonymous: '200 per day; 50 per hour', authenticated: '20000 per day' }

/** Each quota as `scope: limits`, so that a case reads as one line. */
const shown = (quotas: readonly Quota[] = []): string[] =>
  quotas.map(({ scope, windows }) => `${scope}: ${formatLimits(windows.map((window) => ({ ...window, name: '' })))}`)

const quotas = (limits: RouteLimits, override?: LimitOverride, name = 'GET /') => {
  const found = quotasOf(name, limits, { ...rules, routes: override === undefined ? {} : { 'GET /': override } })
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
      const found = quotasOf('GET /', { add: own }, { ...rules, anonymous, routes: { 'GET /': { add: added } } })
      const windows = found?.anonymous[0]?.windows ?? []
      for (const one of [own, added, anonymous]) {
        const [said] = parseLimits(one)
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
  const found = quotasOf(
    'GET /',
    { add: '1 per second; 100 per day', failures: '5 per hour' },
    { ...rules, keys: { 'key:1': { add: '7 per hour' } } },
  )
  for (const all of [found?.anonymous, found?.authenticated, found?.byKey.get('key:1')]) {
    assert.ok(all !== undefined)
    const names = [...totalQuotas('20 per second; 3000 per day').guarded, ...all].flatMap(({ windows }) => windows.map(({ name }) => name))
    assert.equal(new Set(names).size, names.length, names.join())
  }
})

const totals = (prefix: string, factor: number) => [
  { name: `${prefix}-second`, limit: 20 * factor, windowMs: 1000, source: 'limits.total' },
  { name: `${prefix}-hour`, limit: 3000 * factor, windowMs: 3_600_000, source: 'limits.total' },
  { name: `${prefix}-minute-rate`, limit: 5 * factor, windowMs: 60_000, burst: 2 * factor, source: 'limits.total' },
]

test('total is one quota over everything; a prefix of IPv6 counts in that of its network too, 32 times as large', () => {
  const { plain, guarded } = totalQuotas('20 per second; 3000 per hour; 5 per minute burst 2')
  assert.deepEqual(plain, [{ scope: 'total', windows: totals('total', 1) }])
  assert.deepEqual(guarded, [...plain, { scope: 'network', windows: totals('network', 32), of: 'wider' }])
})

const byKey = (rule: LimitOverride, limits: RouteLimits = {}): readonly string[] | undefined => {
  const found = quotasOf('GET /', limits, { ...rules, keys: { 'key:1': rule } })
  assert.ok(found !== undefined && found.byKey.has('key:1') && !found.byKey.has('key:2'))
  assert.deepEqual(shown(found.anonymous), shown(quotasOf('GET /', limits, rules)?.anonymous), 'other clients are not touched')
  const quotasOfKey = found.byKey.get('key:1')
  return quotasOfKey && shown(quotasOfKey)
}

describe('what the operator says of an API key', () => {
  test('add: narrows the key, which still counts with its subject', () => {
    assert.deepEqual(byKey({ add: '9 per minute' }), ['subject: 20000 per day', 'key key:1: 9 per minute'])
    assert.deepEqual(byKey({ add: '9 per minute' }, { add: '1 per second' }), [
      'route GET /: 1 per second',
      'subject: 20000 per day',
      'key key:1: 9 per minute',
    ])
  })

  test('only: counts it alone, but for what the route says', () => {
    assert.deepEqual(byKey({ only: '9 per minute' }, { add: '1 per second' }), ['route GET /: 1 per second', 'key key:1: 9 per minute'])
    assert.deepEqual(byKey({ only: '9 per minute' }, { only: '3 per second' }), ['route GET /: 3 per second', 'key key:1: 9 per minute'])
  })

  test('exempt: frees it', () => {
    assert.equal(byKey('exempt'), undefined)
    assert.equal(byKey('exempt', { only: '1 per second' }), undefined)
  })
})

test('failures count in a quota of their own, for everyone, and are told apart as what can be given back', () => {
  const failures = ['failures GET /: 5 per hour']
  for (const limits of [{ failures: '5 per hour' }, { failures: '5 per hour', only: '9 per hour' }]) {
    const found = quotasOf('GET /', limits, { ...rules, keys: { k: { only: '7 per hour' } } })
    assert.deepEqual(shown(found?.failures), failures)
    for (const all of [found?.anonymous, found?.authenticated, found?.byKey.get('k')])
      assert.ok(all !== undefined && found?.failures.every((quota) => all.includes(quota)), 'refunded by the very quota that counted')
  }
})

const sources = (found: readonly SourcedQuota[] = []): string[] => found.flatMap(({ windows }) => windows.map(({ source }) => source))

test('each window says which text it is from', () => {
  const found = quotasOf(
    'GET /',
    { add: '1 per second' },
    { ...rules, routes: { 'GET /': { add: '2 per minute' } }, keys: { k: { add: '3 per hour' } } },
  )
  assert.deepEqual(sources(found?.anonymous), ['route', 'limits.routes."GET /"', 'limits.default', 'limits.default'])
  assert.deepEqual(sources(found?.byKey.get('k')), ['route', 'limits.routes."GET /"', 'limits.authenticated', 'limits.keys.k'])
  assert.deepEqual(sources(quotasOf('GET /', {}, { anonymous: '1 per day' })?.authenticated), ['limits.default'])
})

test('what is no limit stops the start', () => {
  for (const limits of [{ add: 'fast' }, { only: '' }, { add: '0 per second' }]) assert.throws(() => quotas(limits), LimitSyntaxError)
  assert.throws(() => quotasOf('GET /', {}, { ...rules, authenticated: '1 per blink' }), LimitSyntaxError)
  assert.throws(() => quotasOf('GET /', {}, { ...rules, keys: { k: { add: '1 per blink' } } }), LimitSyntaxError)
  assert.throws(() => quotasOf('GET /', { failures: 'some' }, rules), LimitSyntaxError)
})
