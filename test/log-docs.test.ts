import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'

import { eventLevels } from '../src/layers/access-log/log.ts'
import { createJsonFormat } from '../src/layers/access-log/record.ts'

const read = (path: string): string => readFileSync(join(import.meta.dirname, '..', path), 'utf8')
const page = read('docs/log.md')

/** The cells of each row of the table whose first column has that heading, after the heading row. */
const tablesOf = (text: string, heading: string): string[][][] =>
  text
    .split('\n\n')
    .map((block) => block.split('\n').filter((line) => line.startsWith('|')))
    .filter(([first = '']) => first.startsWith(`| ${heading} |`))
    .map((lines) => lines.slice(2).map((line) => line.split(' | ').map((cell) => cell.replaceAll(/^\| | \|$/g, ''))))

const codes = (cell = ''): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code)

const [fields = [], members = []] = tablesOf(page, 'member')
const [events = []] = tablesOf(page, 'event')

/** Each shape of an event as src/core/events.ts declares it: its name, then its members, optional ones with a question mark. */
const declared = (): string[] => {
  const source = read('src/core/events.ts')
  const union = source.slice(source.indexOf('export type SecurityEvent ='), source.indexOf('interface RequestFacts'))
  return union
    .replaceAll(/\/\*\*[\s\S]*?\*\//g, '')
    .split(/^  \| /m)
    .slice(1)
    .flatMap((shape) => {
      const own = [...shape.matchAll(/readonly (\w+\??):/g)].map(([, name = '']) => name).filter((name) => name !== 'event')
      const all = [...(shape.includes('RequestFacts &') ? ['request_id', 'client'] : []), ...own]
      const names = [...(/readonly event:([^;\n}]+)/.exec(shape)?.[1]?.matchAll(/'(\w+)'/g) ?? [])].map(([, name = '']) => name)
      return names.map((name) => `${name}: ${all.toSorted().join(' ')}`)
    })
    .toSorted()
}

/** CONTRACT section 6. */
const ofTheContract =
  'authn_login_success, authn_login_fail, authn_login_fail_max, authn_login_lock, authn_token_created, authn_token_revoked, authn_token_reuse, authn_password_change, authz_fail, authz_change, authz_admin, excess_rate_limit_exceeded, input_validation_fail, malicious_excess_404, malicious_extraneous, malicious_attack_tool, malicious_cors, malicious_direct_reference, session_created, session_expired, sys_startup, sys_shutdown, sys_crash, sys_config_reload, sys_store_failure, sys_store_recovered, user_created, user_updated, privilege_permissions_changed, decision_created, decision_lifted, decision_enforced, abnormal_performance, sensitive_read, upload_validation'
const laterEvents = /^`(\w+)` is of a later release/m.exec(page)?.slice(1) ?? []

describe('[ASVS 16.1.1] docs/log.md is the inventory of the log', () => {
  test('has the level of every event, and no other event', () => {
    const told = new Map(events.map(([event, level = '']) => [codes(event)[0], /^\w+/.exec(level)?.[0]]))
    assert.deepEqual(Object.fromEntries(told), eventLevels)
  })

  test('has the members of every event as they are declared', () => {
    const told = events.map(([event, , , listed]) => `${codes(event)[0]}: ${codes(listed).toSorted().join(' ')}`).toSorted()
    assert.deepEqual(told, declared())
  })

  test('explains each of these members once, and no other', () => {
    const used = new Set(events.flatMap(([, , , listed]) => codes(listed).map((name) => name.replace('?', ''))))
    assert.deepEqual(members.map(([name]) => String(codes(name)[0])).toSorted(), [...used].toSorted())
  })

  test('says of every event of the contract where it is, or that it comes later', () => {
    assert.deepEqual([...Object.keys(eventLevels), ...laterEvents].toSorted(), ofTheContract.split(', ').toSorted())
    for (const event of laterEvents) assert.ok(!(event in eventLevels), event)
  })

  test('[ASVS 16.2.1] has the members of a request line in their order, with their types and an example of each', () => {
    const examples = fields.map(([name, , , example]) => [codes(name)[0], JSON.parse(codes(example)[0] ?? '')] as const)
    const given = Object.fromEntries(examples) as Record<string, never>
    const line = createJsonFormat()({
      epochMs: Date.parse(given['time'] ?? ''),
      requestId: given['request_id'] ?? '',
      traceId: given['trace_id'] ?? '',
      method: given['method'] ?? '',
      route: given['route'] ?? '',
      path: given['path'] ?? '',
      status: given['status'] ?? 0,
      durationMs: given['duration_ms'] ?? 0,
      bytesIn: given['bytes_in'] ?? 0,
      bytesOut: given['bytes_out'] ?? 0,
      client: given['client'] ?? '',
      principal: given['principal'] ?? '',
      userAgent: given['user_agent'] ?? '',
      verdict: given['verdict'] ?? '',
      error: null,
    })
    assert.deepEqual(Object.entries(JSON.parse(line) as object), examples)
    for (const [name, type = ''] of fields) {
      const example: unknown = given[codes(name)[0] ?? '']
      assert.ok(type.split(' or ').includes(typeof example), `${name}: ${typeof example} is not ${type}`)
    }
  })

  test('its example is a line of ours', () => {
    const line = page.split('\n').find((text) => text.startsWith('{"time"')) ?? ''
    assert.deepEqual(
      Object.keys(JSON.parse(line) as object),
      fields.map(([name]) => codes(name)[0]),
    )
  })
})
