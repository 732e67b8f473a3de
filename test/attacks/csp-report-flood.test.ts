import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { ask } from '../support/attack.ts'
import { type LogRecord, startServer } from '../support/server.ts'

const isNote = ({ msg }: LogRecord): boolean => /violation of the content security policy/.test(msg)

const page = 'http://localhost/docs'
const legacy = JSON.stringify({ 'csp-report': { 'document-uri': page, 'effective-directive': 'img-src', 'blocked-uri': 'inline' } })
const violation = { type: 'csp-violation', body: { documentURL: page, effectiveDirective: 'img-src', blockedURL: 'inline' } }
const legacyType = { 'Content-Type': 'application/csp-report' }
const batchType = { 'Content-Type': 'application/reports+json' }

describe('[ASVS 3.4.7] floods of reports', () => {
  test('a client has 10 a minute; what is refused is not noted', async () => {
    await using strict = await startServer({ toml: '[limits]\ntotal = "1000 per minute"\n' })
    const statuses: number[] = []
    for (let i = 0; i < 15; i++)
      statuses.push((await ask(strict, { method: 'POST', target: '/csp-report', fields: legacyType, body: legacy })).status)
    assert.deepEqual(statuses, [...Array.from({ length: 10 }, () => 204), ...Array.from({ length: 5 }, () => 429)])
    await strict.kill('SIGTERM')
    assert.equal(strict.log().filter(isNote).length, 10)
  })

  test('one client with bodies full of violations leaves room for the honest report of another', async () => {
    await using strict = await startServer({ toml: '[limits]\ntotal = "1000 per minute"\n' })
    const body = JSON.stringify(Array.from({ length: 20 }, () => violation))
    const report = (from: string, fields: Readonly<Record<string, string>>, text: string) =>
      ask(strict, { method: 'POST', target: '/csp-report', fields, body: text, from })
    for (let i = 0; i < 15; i++) await report('127.0.2.1', batchType, body)
    const honest = await report('127.0.2.2', legacyType, legacy)
    await strict.kill('SIGTERM')
    const notes = strict.log().filter(isNote)
    assert.equal(notes.length, 31)
    assert.ok(notes.some(({ requestId, request_id: id = requestId }) => id === honest.field('x-request-id')))
  })

  test('many clients together leave 60 notes a minute, and nobody waits for the others', async () => {
    await using flooded = await startServer()
    const body = JSON.stringify(Array.from({ length: 20 }, () => violation))
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        ask(flooded, { method: 'POST', target: '/csp-report', fields: batchType, body, from: `127.0.2.${i + 1}` }),
      ),
    )
    for (const answer of answers) assert.equal(answer.status, 204)
    assert.equal((await ask(flooded)).status, 200)
    await flooded.kill('SIGTERM')
    assert.equal(flooded.log().filter(isNote).length, 60)
    assert.ok(flooded.log().every(({ level }) => level !== 'error' && level !== 'fatal'))
  })
})
