import assert from 'node:assert/strict'
import { test } from 'node:test'

import { limitedRouteNames, Limits, quotasFor } from './limits.ts'
import { formatLimits, LimitSyntaxError } from './notation.ts'
import type { Quota } from './store.ts'

const rules = { anonymous: '5 per minute', authenticated: '50 per minute', total: '9 per second' }
const route = { method: 'GET', url: '/films', config: { access: 'public' } } as const
const client = (address: string) => ({ address, prefix: address, network: undefined })
const principal = (credential: string) => ({ subject: 'bob', credential, permissions: new Set<never>() })
const shown = (quotas: readonly Quota[] | undefined) => quotas?.map(({ scope, windows }) => `${scope}: ${formatLimits(windows)}`)

test('replace changes what routes, total, exemptions and mode are from then on, and none of the scopes', () => {
  const limits = new Limits(rules)
  const live = limits.route(route)
  assert.deepEqual(shown(quotasFor(live, null)), ['route GET /films: 5 per minute'])
  limits.replace({
    anonymous: '7 per hour',
    routes: { 'GET /films': { add: '1 per second' } },
    exempt: ['10.0.0.0/8', 'fd00::/8'],
    mode: 'observe',
  })
  assert.deepEqual(shown(quotasFor(live, null)), ['route GET /films: 1 per second; 7 per hour'])
  assert.deepEqual([limits.total(client('10.0.0.1')), limits.isObserving], [undefined, true])
  const exempt = ['10.1.2.3', '11.0.0.1', 'fd12::1', 'fe80::1', 'unknown'].map((address) => limits.isExempt(client(address)))
  assert.deepEqual(exempt, [true, false, true, false, false])
  limits.replace(rules)
  assert.deepEqual([shown(limits.total(client('10.0.0.1'))), limits.isObserving], [['total: 9 per second'], false])
  assert.equal(limits.isExempt(client('10.1.2.3')), false)
})

test('rules that mean nothing change nothing', () => {
  const limits = new Limits(rules)
  const live = limits.route(route)
  const before = [live.quotas, limits.total(client('10.0.0.1'))]
  for (const wrong of [
    { ...rules, anonymous: 'fast' },
    { ...rules, authenticated: '0 per day' },
    { ...rules, total: '1 per blink' },
    { ...rules, routes: { 'GET /films': { only: '' } } },
    { ...rules, keys: { k: { add: '?' } } },
  ]) {
    assert.throws(() => limits.replace(wrong), LimitSyntaxError)
    assert.throws(() => limits.replace({ ...wrong, mode: 'observe' }), LimitSyntaxError)
  }
  assert.throws(() => limits.replace({ ...rules, exempt: ['10.0.0.1/99'], mode: 'observe' }), TypeError)
  assert.deepEqual([live.quotas, limits.total(client('10.0.0.1'))], before)
  assert.equal(limits.isObserving, false)
  assert.throws(() => new Limits({ anonymous: '' }), LimitSyntaxError)
})

test('a key may have limits of its own or none, a subject without one has those of all', () => {
  const limits = new Limits({ ...rules, keys: { 'key:1': { only: '500 per minute' }, 'key:2': 'exempt' } })
  const live = limits.route(route)
  assert.deepEqual(shown(quotasFor(live, principal('key:1'))), ['key key:1: 500 per minute'])
  assert.equal(quotasFor(live, principal('key:2')), undefined)
  assert.deepEqual(shown(quotasFor(live, principal('session'))), ['subject: 50 per minute'])
  const exempt = [principal('key:1'), principal('key:2'), null, undefined].map((one) => limits.isExemptKey(one))
  assert.deepEqual(exempt, [false, true, false, false])
  assert.equal(limits.isExemptKey(principal('toString')), false)
})

test('HEAD is the GET that it stands for, and what has no limits has no name to limit it by', () => {
  const routes = [
    { ...route, method: 'HEAD' },
    route,
    { method: 'POST', url: '/free', config: { access: 'public', limits: 'none' } },
    { method: 'POST', url: '/shared', config: { access: 'public', limits: { sharedAs: 'both' } } },
  ] as const
  assert.deepEqual([...limitedRouteNames(routes)], ['GET /films', 'both'])
  const limits = new Limits(rules)
  assert.deepEqual(limits.effective(routes[0]), { ...limits.effective(route), name: 'GET /films' })
})
