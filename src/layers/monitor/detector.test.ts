import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { SecurityEvent } from '../../core/events.ts'
import { compileRules } from './compile.ts'
import { createDetector, type DetectorOptions, type Overflow } from './detector.ts'
import { Keys } from './keys.ts'
import type { Rule } from './rule.ts'
import { builtInRules } from './rules/all.ts'
import type { EndedRequest } from './signal.ts'

const rule = (parts: Partial<Rule>): Rule => ({
  name: 'probing',
  summary: 'Somebody probes',
  groupBy: ['client'],
  bucket: { capacity: 3, leakPerSecond: 0.1 },
  when: [{ request: { statuses: [404] } }],
  decision: { type: 'ban', scope: 'client', durationMs: 1000, maxDurationMs: 1000 },
  confidence: 'high',
  spoofable: false,
  references: [],
  ...parts,
})

const notFound: EndedRequest = {
  epochMs: 1_700_000_000_000,
  requestId: 'r1',
  method: 'GET',
  route: null,
  status: 404,
  durationMs: 1,
  verdict: 'not_found',
  userAgent: 'canary-agent',
  client: { address: '203.0.113.7', prefix: '203.0.113.7' },
  principal: null,
  isForeign: false,
  target: '/canary-path?canary-name=canary-value',
  params: { '*': 'canary-parameter' },
  body: { canary: 'canary-body' },
}

const watch = (rules: readonly Rule[], options: Partial<DetectorOptions> = {}) => {
  const clock = { nowMs: 0, monotonicMs: () => clock.nowMs }
  const overflows: Overflow[] = []
  const detector = createDetector({
    rules,
    clock,
    maxTracked: 1000,
    isExempt: () => false,
    onOverflow: (overflow) => void overflows.push(overflow),
    ...options,
  })
  const request = (parts: Partial<EndedRequest> = {}): void =>
    detector.see({ kind: 'request', epochMs: notFound.epochMs, request: { ...notFound, ...parts } })
  const from = (address: string, parts: Partial<EndedRequest> = {}): void => request({ client: { address, prefix: address }, ...parts })
  const event = (one: SecurityEvent): void => detector.see({ kind: 'event', epochMs: notFound.epochMs, event: one })
  return { clock, overflows, detector, request, from, event }
}

test('what goes beyond the capacity is the decision, the bucket is empty then, and what leaked is forgiven', () => {
  const { clock, overflows, request, detector } = watch([rule({})])
  for (let i = 0; i < 3; i++) request()
  assert.deepEqual(detector.bucketsOf('203.0.113.7'), [{ rule: 'probing', group: '203.0.113.7', level: 3, capacity: 3 }])
  clock.nowMs = 10_000
  request()
  assert.equal(overflows.length, 0)
  request()
  assert.deepEqual([overflows.length, detector.bucketsOf('203.0.113.7'), detector.tracked], [1, [], 0])
})

test('capacity 0: the first signal is the decision, with itself as the evidence', () => {
  const { overflows, request } = watch([rule({ bucket: { capacity: 0, leakPerSecond: 1 } })])
  request()
  assert.deepEqual(overflows[0]?.evidence, {
    bucket: { capacity: 0, leakPerSecond: 1, level: 1 },
    signals: [
      {
        at: notFound.epochMs,
        requestId: 'r1',
        name: 'request',
        client: '203.0.113.7',
        method: 'GET',
        route: null,
        status: 404,
        about: 'not_found',
      },
    ],
  })
})

test('a clock that stands still or goes back fills no bucket again and empties none', () => {
  const { clock, overflows, request, detector } = watch([rule({})])
  clock.nowMs = 100_000
  request()
  clock.nowMs = 0
  assert.equal(detector.bucketsOf('203.0.113.7')[0]?.level, 1)
  for (let i = 0; i < 2; i++) request()
  assert.equal(overflows.length, 0)
  request()
  assert.equal(overflows.length, 1)
})

test('after ten years of uptime a signal is still a signal', () => {
  const { clock, overflows, request } = watch([rule({ bucket: { capacity: 300, leakPerSecond: 2 } })])
  clock.nowMs = 10 * 365 * 86_400_000 + 0.123
  for (let i = 0; i < 300; i++) request()
  assert.equal(overflows.length, 0)
  request()
  assert.equal(overflows.length, 1)
})

test('attack: whoever goes on while refused by a decision does not fill the next bucket with it', () => {
  const { overflows, request, detector } = watch([rule({ when: [{ request: { statuses: [404, 429] } }] })])
  for (let i = 0; i < 50; i++) request({ status: 429, verdict: 'abnormal_usage_detected' })
  assert.deepEqual([overflows.length, detector.tracked], [0, 0])
})

test('nothing is poured for who is exempt, who is asked about only where something would be', () => {
  const asked: string[] = []
  const isExempt = (who: string): boolean => asked.push(who) > 0
  const { overflows, from, event, detector } = watch([rule({}), rule({ name: 'login', when: [{ event: 'authn_login_fail' }] })], {
    isExempt,
  })
  for (let i = 0; i < 10; i++) from('127.0.0.1', { status: 200, verdict: 'ok' })
  assert.deepEqual(asked, [])
  for (let i = 0; i < 10; i++) from('127.0.0.1')
  for (let i = 0; i < 10; i++) event({ event: 'authn_login_fail', requestId: null, client: '10.0.0.1', reason: 'wrong password' })
  assert.deepEqual([overflows.length, detector.tracked, new Set(asked)], [0, 0, new Set(['127.0.0.1', '10.0.0.1'])])
})

test('[ASVS 16.2.5] nothing that a client sent is in the evidence, or in what is told of buckets', () => {
  const groups = ['path', 'id', 'vote', 'listing', 'cursor', 'parameters', 'pointer', 'origin'] as const
  const when = [{ request: {} }, { event: ['input_validation_fail', 'malicious_cors'] as const }]
  const rules = groups.map((group) => rule({ name: group, groupBy: ['client', group], when }))
  const { overflows, request, event, detector } = watch(rules)
  const told: unknown[] = []
  for (let i = 0; i < 4; i++) {
    request({
      route: '/v1/films/:id',
      target: '/v1/canary?like=canary&cursor=canary',
      params: { id: 'canary' },
      body: { value: 'like', canary: 'canary' },
    })
    const facts = { requestId: 'r1', client: '203.0.113.7' }
    event({ event: 'input_validation_fail', ...facts, code: 'validation_failed', pointers: ['/canary'] })
    event({ event: 'malicious_cors', ...facts, origin: 'https://canary.example', preflight: false })
    told.push(detector.bucketsOf('203.0.113.7'))
  }
  assert.deepEqual(new Set(overflows.map(({ rule: { name } }) => name)), new Set(groups))
  assert.equal(told.flat().length, 3 * groups.length)
  assert.doesNotMatch(JSON.stringify([overflows.map(({ evidence, target }) => [evidence, target]), told]), /canary/)
})

test('evidence is the newest twenty, oldest first, of what filled the bucket since it was last empty', () => {
  const { clock, overflows, request } = watch([rule({ bucket: { capacity: 30, leakPerSecond: 1 } })])
  for (let i = 0; i < 25; i++) request({ requestId: `old${i}` })
  clock.nowMs = 60_000
  for (let i = 0; i < 31; i++) request({ requestId: `new${i}` })
  const signals = overflows[0]?.evidence.signals.map(({ requestId }) => requestId)
  assert.deepEqual(
    signals,
    Array.from({ length: 20 }, (_, i) => `new${11 + i}`),
  )
})

test('a name that was only tried is counted, and nobody is refused for it', () => {
  const { overflows, event } = watch([
    rule({
      groupBy: ['account'],
      distinct: 'client',
      when: [{ event: 'authn_login_fail' }],
      decision: { type: 'require_login', scope: 'account', durationMs: 1, maxDurationMs: 1 },
    }),
  ])
  const guess = (i: number, subject: string | null): void =>
    event({ event: 'authn_login_fail', requestId: null, client: `203.0.113.${i}`, subject, tried: 'digest', reason: 'x' })
  for (let i = 0; i < 20; i++) guess(i, null)
  assert.equal(overflows.length, 0)
  for (let i = 0; i < 4; i++) guess(i, 'u1')
  assert.deepEqual(
    overflows.map(({ target }) => target),
    ['u1'],
  )
})

test('attack: a vote behind another vote counts, by query or by body', () => {
  const voting = rule({
    groupBy: ['vote'],
    distinct: 'client',
    when: [{ request: { parameters: ['like', 'dislike'] } }, { request: { methods: ['PUT'] } }],
  })
  const { overflows, from } = watch([voting])
  const ok = { status: 200, verdict: 'ok', route: '/' }
  from('203.0.113.1', { ...ok, target: '/?like=1' })
  from('203.0.113.2', { ...ok, target: '/?dislike=77&like=1' })
  from('203.0.113.3', { ...ok, target: '/?%6cike=%31&dislike=78' })
  assert.equal(overflows.length, 0)
  from('203.0.113.4', {
    ...ok,
    method: 'PUT',
    route: '/v1/films/:id/vote',
    target: '/v1/films/1/vote',
    params: { id: '1' },
    body: { value: 'like' },
  })
  assert.equal(overflows.length, 1)
})

test('attack: pages of a listing are one listing in whatever order the parameters come', () => {
  const { overflows, request } = watch([
    rule({ groupBy: ['client', 'listing'], distinct: 'cursor', when: [{ request: { parameters: ['cursor'] } }] }),
  ])
  const page = (target: string): void => request({ status: 200, verdict: 'ok', route: '/v1/films', target })
  page('/v1/films?genre=a&studio=b&cursor=1')
  page('/v1/films?cursor=2&studio=b&genre=a')
  page('/v1/f%69lms?studio=b&cur%73or=3&genre=a')
  assert.equal(overflows.length, 0)
  page('/v1/films?%67enre=a&studio=%62&cursor=4')
  assert.equal(overflows.length, 1)
})

test('attack: a flood of prefixes makes nothing forget the attacker, and takes no more room', () => {
  const { overflows, from, detector } = watch([rule({})], { maxTracked: 100 })
  for (let i = 0; i < 3; i++) from('198.51.100.1')
  for (let i = 0; i < 50_000; i++) from(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`)
  assert.ok(detector.tracked <= 100 + 16, `${detector.tracked} buckets`)
  assert.ok(detector.shared > 0)
  const known = overflows.length
  from('198.51.100.1')
  assert.deepEqual(
    overflows.slice(known).map(({ target }) => target),
    ['198.51.100.1'],
  )
})

test('attack: who comes from ever new addresses of one network when there is no room is seen all the same', () => {
  const { clock, overflows, from, detector } = watch([rule({})], { maxTracked: 64 })
  for (let i = 0; i < 64; i++) from(`10.0.0.${i}`)
  assert.equal(detector.tracked, 64)
  for (let i = 0; i < 4; i++) from(`203.0.113.${i}`)
  assert.deepEqual(
    overflows.map(({ target }) => target),
    ['203.0.113.3'],
  )
  // What has run out makes room.
  clock.nowMs = 60_000
  for (let i = 0; i < 3; i++) from('198.51.100.1')
  assert.equal(detector.bucketsOf('198.51.100.1')[0]?.level, 3)
})

test('attack: addresses that were found to share their place in one process share none in another', () => {
  const [compiled] = compileRules([rule({})]).rules
  const place = (keys: Keys, address: string): number => keys.ofGroup(compiled!, [address]).lo & 1023
  const [one, other] = [new Keys(), new Keys()]
  const all = Array.from({ length: 200_000 }, (_, i) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`)
  const chosen = all.filter((address) => place(one, address) === 0)
  // About 195 of them, of which about none; both numbers are far out in the tail of what chance does.
  assert.ok(chosen.length > 100 && chosen.length < 300, `${chosen.length}`)
  const most = Math.max(...Object.values(Object.groupBy(chosen, (address) => place(other, address))).map((same) => same?.length ?? 0))
  assert.ok(most < 10, `${most} of ${chosen.length} at one place`)
})

test('completed by: the burst alone decides nothing, the success within it does, and is of the same group', () => {
  const burst = rule({ groupBy: ['client', 'account'], when: [{ event: 'authn_login_fail' }], completedBy: { event: 'session_created' } })
  const { clock, overflows, event } = watch([{ ...burst, decision: { ...burst.decision, scope: 'principal' } }])
  const facts = { requestId: 'r1', client: '203.0.113.7' }
  const fail = (subject: string): void => event({ event: 'authn_login_fail', ...facts, subject, reason: 'wrong password' })
  const succeed = (subject: string): void => event({ event: 'session_created', ...facts, subject, session: `s-${subject}` })
  for (let i = 0; i < 10; i++) fail('u1')
  fail('u2')
  succeed('u2')
  assert.equal(overflows.length, 0)
  clock.nowMs = 9000
  succeed('u1')
  assert.deepEqual(
    overflows.map(({ target, evidence: { signals } }) => [target, signals.length, signals.at(-1)?.name]),
    [['session:s-u1', 11, 'session_created']],
  )
  for (let i = 0; i < 3; i++) fail('u1')
  clock.nowMs = 20_000
  succeed('u1')
  assert.equal(overflows.length, 1)
})

test('a rule that means nothing is refused', () => {
  const wrong: readonly Partial<Rule>[] = [
    { bucket: { capacity: -1, leakPerSecond: 1 } },
    { bucket: { capacity: 1, leakPerSecond: 0 } },
    { bucket: { capacity: Infinity, leakPerSecond: 1 } },
    { bucket: { capacity: 1, leakPerSecond: Number.NaN } },
    { cost: 0 },
    { groupBy: [] },
    { bucket: { capacity: 0, leakPerSecond: 1 }, completedBy: { event: 'session_created' } },
  ]
  for (const parts of wrong) assert.throws(() => watch([rule(parts)]), RangeError)
  assert.throws(() => watch([rule({}), rule({})]), RangeError)
  assert.doesNotThrow(() => watch(builtInRules))
})
