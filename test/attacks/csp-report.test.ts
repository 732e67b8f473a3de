import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'

import {
  type Answer,
  type Ask,
  ask,
  assertLogged,
  assertProblem,
  assertQuietLog,
  assertSafe,
  chunked,
  exchange,
  requestBytes,
} from '../support/attack.ts'
import { type LogRecord, startServer } from '../support/server.ts'

const server = await startServer()
after(() => server[Symbol.asyncDispose]())

const legacyType = { 'Content-Type': 'application/csp-report' }
const batchType = { 'Content-Type': 'application/reports+json' }

const legacy = (more: Readonly<Record<string, unknown>> = {}, page = 'http://localhost/index.html') => ({
  'csp-report': { 'document-uri': page, 'effective-directive': 'script-src-elem', 'blocked-uri': 'inline', ...more },
})

const violation = (more: Readonly<Record<string, unknown>> = {}, page = 'http://localhost/docs') => ({
  type: 'csp-violation',
  age: 5,
  url: page,
  user_agent: 'Mozilla/5.0',
  body: { documentURL: page, effectiveDirective: 'img-src', blockedURL: 'https://evil.example/x?secret', ...more },
})

const report = (body: unknown, request: Ask = {}): Promise<Answer> =>
  ask(server, {
    method: 'POST',
    target: '/csp-report',
    ...request,
    fields: { ...(Array.isArray(body) ? batchType : legacyType), ...request.fields },
    body: typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body),
  })

const isNote = ({ msg }: LogRecord): boolean => /violation of the content security policy/.test(msg)

/** What the reports of this answer left in the log, when its own line is there: notes come before it. */
const notesOf = async (answer: Answer, verdict = 'ok'): Promise<LogRecord[]> => {
  await assertLogged(server, answer, verdict)
  return server.log().filter((record) => isNote(record) && record['request_id'] === answer.field('x-request-id'))
}

const assertReceived = (answer: Answer): void => {
  assert.deepEqual([answer.status, answer.body], [204, ''])
  assertSafe(answer)
  assert.ok(!answer.fields.some(([name]) => name.startsWith('access-control-') || name === 'set-cookie'))
}

/** A report of exactly so many bytes. */
const padded = (bytes: number): string => {
  const empty = JSON.stringify(legacy({ 'original-policy': '' }))
  return JSON.stringify(legacy({ 'original-policy': 'x'.repeat(bytes - empty.length) }))
}

/** Received, and nothing of it is in the log. */
const ignored = async (body: unknown): Promise<void> => {
  const answer = await report(body)
  assertReceived(answer)
  assert.deepEqual(await notesOf(answer), [], JSON.stringify(body))
}

/** Refused without a word of it given back or written down. */
const refused = async (body: unknown, fields: Ask['fields']): Promise<void> => {
  const answer = await report(JSON.stringify(body), { fields: fields ?? {} })
  assertProblem(answer, { status: 400, code: 'validation_failed' })
  assert.ok(!answer.body.includes('evil.example'))
  assert.deepEqual(await notesOf(answer, 'validation_failed'), [])
}

describe('[ASVS 3.4.7] reports of our pages', () => {
  test('each form: answered with nothing, noted with the few words that are known', async () => {
    const one = await report(legacy())
    assertReceived(one)
    const [note, ...others] = await notesOf(one)
    assert.deepEqual(others, [])
    const { time, request_id, ...rest } = note ?? assert.fail('no note')
    assert.ok(typeof time === 'string' && request_id === one.field('x-request-id'))
    const msg = 'A browser reports a violation of the content security policy'
    assert.deepEqual(rest, { level: 'warn', msg, document: '/index.html', directive: 'script-src-elem', blocked: 'inline' })

    const two = await report([violation(), violation({ blockedURL: 'eval', effectiveDirective: 'script-src' })])
    assertReceived(two)
    assert.deepEqual(
      (await notesOf(two)).map(({ document, directive, blocked }) => [document, directive, blocked]),
      [
        ['/docs', 'img-src', 'https://evil.example'],
        ['/docs', 'script-src', 'eval'],
      ],
    )
  })

  test('a report counts in the quotas of its client, and is open to everybody', async () => {
    const answer = await report(legacy(), { from: '127.0.0.9' })
    assert.match(answer.field('ratelimit-policy') ?? '', /w=/)
    assertProblem(await report(legacy(), { fields: { Authorization: 'Bearer x' } }), { status: 401, code: 'unauthenticated' })
  })
})

describe('[ASVS 3.4.7] reports that somebody makes up', () => {
  test('pages of other origins: received, and nothing is noted', async () => {
    const pages = [
      'https://evil.example/',
      'http://localhost.evil.example/',
      'http://localhost:1/index.html',
      'about:blank',
      'data:,x',
      '',
      '//localhost/',
    ]
    await Promise.all(pages.flatMap((page) => [ignored(legacy({}, page)), ignored([violation({}, page)])]))
  })

  test('secrets in addresses never reach the log: queries, users, fragments, paths of others', async () => {
    const secret = 'hunter2hunter2'
    const page = `http://${secret}:${secret}@localhost/docs?${secret}=${secret}#${secret}`
    for (const blocked of [
      `https://${secret}:x@evil.example/${secret}?${secret}#${secret}`,
      `data:text/html,${secret}`,
      `${secret}:`,
      secret,
    ]) {
      const answer = await report(
        legacy({ 'blocked-uri': blocked, 'script-sample': secret, referrer: `http://localhost/?${secret}` }, page),
      )
      assert.equal((await notesOf(answer)).length, 1)
    }
    assert.ok(!JSON.stringify(server.log()).includes(secret))
  })

  test('line breaks, escapes of terminals and turned text make no line and no colour: CWE-117', async () => {
    const evil = '\r\n{"level":"fatal","msg":"owned"}\u001B[2J\u001B]0;owned\u0007\u202Eowned\u2028\u0000'
    const before = server.log().length
    for (const body of [
      legacy({ 'effective-directive': evil, 'blocked-uri': evil }, `http://localhost/${evil}`),
      [violation({ effectiveDirective: evil, blockedURL: `https://evil.example/${evil}` }, `http://localhost/${evil}`)],
    ]) {
      const answer = await report(body)
      const [note] = await notesOf(answer)
      assert.deepEqual([note?.['directive'], /^(?:other|https:\/\/evil\.example)$/.test(String(note?.['blocked']))], ['other', true])
      assert.match(String(note?.['document']), /^\/[\x21-\x7e]*$/)
    }
    for (const { msg, level } of server.log().slice(before)) assert.ok(msg !== 'owned' && level !== 'fatal')
  })

  test('strings of any length leave lines of bounded length', async () => {
    const long = 'x'.repeat(2000)
    const answer = await report(
      legacy({ 'effective-directive': long, 'blocked-uri': `https://${long}.example/` }, `http://localhost/${long}`),
    )
    const [note] = await notesOf(answer)
    assert.ok(JSON.stringify(note).length < 500)
  })

  test('wrong types and shapes: refused, nothing is noted, nothing is given back but where it is wrong', async () => {
    const wrong: readonly unknown[] = [
      {},
      [],
      null,
      0,
      'x',
      [[]],
      [null],
      ['x'],
      [{}],
      [{ type: 'csp-violation' }],
      [{ type: 1, body: {} }],
      [violation({ documentURL: 7 })],
      [violation({ blockedURL: { toString: 'x' } })],
      [violation({ effectiveDirective: ['img-src'] })],
      { 'csp-report': 'x' },
      { 'csp-report': [] },
      { 'csp-report': {} },
      legacy({ 'document-uri': null }),
      legacy({ 'blocked-uri': 5 }),
      Array.from({ length: 21 }, () => ({ type: 'x', body: {} })),
    ]
    await Promise.all(wrong.flatMap((body) => [refused(body, legacyType), refused(body, batchType)]))
    assertProblem(await ask(server, { method: 'POST', target: '/csp-report' }), { status: 400, code: 'validation_failed' })
  })

  test('JSON that no reader should take: 100,000 levels, doubled members, prototypes, broken text', async () => {
    const deep = '['.repeat(4000) + ']'.repeat(4000)
    for (const body of [
      deep,
      '{"a":'.repeat(1500),
      '{"csp-report":{},"csp-report":{}}',
      '{"csp-report":{"document-uri":"http://localhost/","__proto__":{"x":1}}}',
      String.raw`{"csp-report":{"document-uri":"\ud800"}}`,
      Buffer.from([0x22, 0xff, 0x22]),
      '{"csp-report":',
      'document-uri=x',
    ])
      assertProblem(await report(body), { status: 400, code: 'bad_request' })
  })

  test('too much: 8 KiB are read, one byte more is refused before it is sent, chunked too', async () => {
    assertReceived(await report(padded(8192)))
    for (const body of [padded(8193), '['.repeat(100_000)]) {
      assertProblem(await report(body), { status: 413, code: 'payload_too_large' })
      const fields = { ...legacyType, 'Transfer-Encoding': 'chunked' }
      const { answers } = await exchange(
        server.port,
        requestBytes({ method: 'POST', target: '/csp-report', fields, body: chunked(body) }),
        { answers: 1 },
      )
      assert.equal(answers[0]?.status, 413)
    }
    const headOnly = requestBytes({ method: 'POST', target: '/csp-report', fields: { ...legacyType, 'Content-Length': '8193' } })
    assert.equal((await exchange(server.port, headOnly, { answers: 1 })).answers[0]?.status, 413)
  })

  test('other types of body: 415, with the two that it reads; and neither of them is read anywhere else', async () => {
    const body = JSON.stringify(legacy())
    const types = [
      'application/json',
      'text/plain',
      'text/json',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'application/csp-report+json',
      'application/csp-report\t; charset=utf-8',
      'application/csp-report ;charset=utf-8',
      'application/csp-report;charset=utf-16',
      'application/csp-report, application/json',
      'application/reports+json;v=1',
      'application/reports',
      '*/*',
      '',
    ]
    for (const type of types) {
      const answer = await report(body, { fields: { 'Content-Type': type } })
      assertProblem(answer, { status: 415, code: 'unsupported_media_type' })
      assert.equal(answer.field('accept-post'), 'application/csp-report, application/reports+json', type)
    }
    assertProblem(await report(body, { fields: { 'Content-Encoding': 'gzip' } }), { status: 415, code: 'unsupported_media_type' })
    for (const type of ['Application/CSP-Report', 'application/csp-report; charset=utf-8', 'application/reports+json;charset="UTF-8"'])
      assertReceived(await report(body, { fields: { 'Content-Type': type } }))
    for (const type of ['application/csp-report', 'application/reports+json']) {
      const fields = { 'Content-Type': type, Authorization: `Bearer ${server.key()}` }
      const added = await ask(server, { method: 'POST', target: '/add_film', fields, body: '{"name":"Moana"}' })
      assertProblem(added, { status: 415, code: 'unsupported_media_type' })
      assert.equal(added.field('accept-post'), 'application/json')
    }
  })

  test('another site cannot ask a browser to read what it is answered: no CORS, no preflight is granted', async () => {
    const fields = {
      Origin: 'https://evil.example',
      'Access-Control-Request-Method': 'POST',
      'Access-Control-Request-Headers': 'content-type',
    }
    for (const request of [
      { method: 'OPTIONS', fields },
      { method: 'POST', fields: { ...legacyType, Origin: 'https://evil.example' }, body: JSON.stringify(legacy()) },
    ]) {
      const answer = await ask(server, { target: '/csp-report', ...request })
      assert.deepEqual(
        answer.fields.filter(([name]) => name.startsWith('access-control-')),
        [],
      )
    }
  })

  test('the log is quiet: one line a request, no error', () => assertQuietLog(server))
})
