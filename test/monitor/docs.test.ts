import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

import { createMonitor, createMemoryDecisions, type Rule } from '../../src/layers/index.ts'
import { createManualClock } from '../support/manual-clock.ts'
import { request } from './fixtures/traffic.ts'
import { ruleRow } from './rule-row.ts'
import { allRules } from '../../src/serve/rules.ts'

const text = readFileSync(new URL('../../docs/rules.md', import.meta.url), 'utf8')

test('docs/rules.md has every rule as it is, and no other', () => {
  const rows = text.split('\n').filter((line) => /^\| `[a-z-]+` \|.*\|.*\|.*\|.*\|.*\|$/.test(line))
  assert.deepEqual(rows, allRules.map(ruleRow))
})

test('each table of docs/rules.md has its own rows: rules, what decisions do, what is told of the service', () => {
  const tables = text
    .split('\n\n')
    .filter((block) => /^\| /m.test(block))
    .map((block) => [...block.matchAll(/^\| `([a-z_-]+)` \|/gm)].map(([, name]) => name))
  assert.deepEqual(tables, [
    allRules.map(({ name }) => name),
    ['ban', 'tighten', 'require_login', 'tell'],
    ['latency', 'error_rate', 'traffic'],
  ])
})

test('every rule says what it is for in words of OWASP, MITRE or a standard', () => {
  for (const { name, references, summary } of allRules) {
    assert.ok(
      references.some((reference) => /^(OWASP|MITRE|RFC|ASVS|W3C)/.test(reference)),
      name,
    )
    assert.match(summary, /^[A-Z].{10,150}[^.]$/, name)
  }
})

test('a shared address is banned by nothing that its honest users do, or others do to them', () => {
  for (const { name, decision, spoofable } of allRules) {
    if (spoofable) assert.notEqual(decision.type, 'ban', `${name}: somebody else could be made to`)
    if (decision.scope === 'range' || decision.scope === 'account') assert.notEqual(decision.type, 'ban', `${name}: too wide`)
  }
})

test('the rule of the docs page compiles, and decides', async () => {
  const [, source = ''] = /```ts\n(const tooManyExports[\s\S]*?)\n```/.exec(text) ?? []
  const { tooManyExports } = (await import(
    `data:text/javascript,${encodeURIComponent(`${source.replace(/: Rule\b/, '')}\nexport { tooManyExports }`)}`
  )) as {
    tooManyExports: Rule
  }
  const clock = createManualClock(Date.UTC(2026, 0, 1))
  const told: string[] = []
  const policy = { mode: 'enforce', rules: {}, isExempt: () => false } as const
  const monitor = await createMonitor({
    clock,
    observe: (event) => void told.push(event.event),
    rules: [tooManyExports],
    policy: () => policy,
    store: createMemoryDecisions(),
  })
  const { request: asked } = request(0, '/exports', { as: 'key:one', status: 200 })
  assert.ok(asked !== undefined)
  for (let i = 0; i < 6; i++) {
    assert.deepEqual(told, [])
    monitor.request({ ...asked, route: '/exports', epochMs: clock.epochMs() })
  }
  assert.deepEqual(told, ['decision_created'])
})
