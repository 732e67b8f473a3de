import assert from 'node:assert/strict'
import { readdirSync, readlinkSync } from 'node:fs'
import { after, describe, test } from 'node:test'

import { addUser, goodPassword, logOut, otherPassword, send, tryLogin, tryRefresh } from './support/accounts.ts'
import { openAccountServer } from './support/account-server.ts'
import { type Answer, type Ask, ask, assertLogged, assertProblem } from './support/attack.ts'
import { eventually } from './support/deadline.ts'
import { databases } from './support/databases.ts'
import { enrolTotp, finishLogin, wrongCodeAt, beginLogin } from './support/second-factor.ts'
import { type LogRecord, raisedLimits, type StartOptions, startServer } from './support/server.ts'

const [sqlite] = databases
const opened = await openAccountServer(sqlite!, { toml: `${raisedLimits}"GET /v1/films/:id" = { only = "1 per hour" }\n` })
after(() => opened[Symbol.asyncDispose]())
const { server, admin } = opened

/** The events that the request of this answer left, in their order. They are written before the line of the request. */
const eventsOf = async (answer: Answer): Promise<readonly LogRecord[]> => {
  const id = answer.field('x-request-id')
  await server.logged(({ msg, request_id }) => msg === 'request' && request_id === id)
  return server.log().filter(({ msg, request_id }) => msg === 'event' && request_id === id)
}

const namesOf = async (answer: Answer): Promise<unknown[]> => (await eventsOf(answer)).map(({ event }) => event)

describe('[ASVS 16.3.1] every attempt to prove who one is leaves an event, good or bad', () => {
  test('passwords, tokens, sessions, second factors, keys', async () => {
    const editor = await addUser(server, admin, 'editor', 'ed')
    const good = await tryLogin(server, { username: 'ed', password: goodPassword })
    assert.deepEqual(await namesOf(good), ['authn_login_success', 'session_created', 'authn_token_created'])
    const [success] = await eventsOf(good)
    assert.deepEqual([success?.['subject'], success?.['methods'], success?.['client']], [editor.subject, ['pwd'], '127.0.0.1'])

    const wrong = await tryLogin(server, { username: 'ed', password: otherPassword })
    const unknown = await tryLogin(server, { username: 'nobody-here', password: otherPassword })
    for (const bad of [wrong, unknown]) assert.deepEqual(await namesOf(bad), ['authn_login_fail'])

    const first = String(good.json()['refresh_token'])
    const refreshed = await tryRefresh(server, first)
    assert.deepEqual(await namesOf(refreshed), ['authn_token_created'])
    const out = await logOut(server, { refresh_token: refreshed.json()['refresh_token'] })
    assert.deepEqual(await namesOf(out), ['authn_token_revoked'])
    assert.deepEqual(await namesOf(await tryRefresh(server, 'fgr_none')), ['authn_login_fail'])

    const enrolled = await enrolTotp(server, editor, Date.now())
    const token = await beginLogin(server, editor)
    const guess = await finishLogin(server, token, 'totp', wrongCodeAt(enrolled.secret, Date.now()))
    assert.deepEqual(await namesOf(guess), ['authn_login_fail'])
    const recovered = await finishLogin(server, await beginLogin(server, editor), 'recovery_code', enrolled.recoveryCodes[0])
    assert.deepEqual(await namesOf(recovered), ['authn_login_success', 'session_created', 'authn_token_created'])

    const malformed = await ask(server, { fields: { Authorization: 'Bearer none' } })
    assert.deepEqual(await namesOf(malformed), ['authn_login_fail'])
    const made = await send(server, 'POST', '/v1/keys', { name: 'one', scopes: ['films:write'] }, { fields: admin.fields })
    assert.equal(made.status, 201, made.body)
    assert.deepEqual(await namesOf(made), ['authn_token_created'])
    const revoked = await ask(server, { method: 'DELETE', target: `/v1/keys/${String(made.json()['id'])}`, fields: admin.fields })
    assert.deepEqual(await namesOf(revoked), ['authn_token_revoked'])
  })
})

test('[ASVS 16.3.2] who is known, but not allowed, leaves an event that says who and what', async () => {
  const viewer = await addUser(server, admin, 'viewer', 'vi')
  const refused = await send(server, 'POST', '/add_film', { name: 'x', year: 2000 }, { fields: viewer.fields })
  assert.equal(refused.status, 403)
  const [event, ...others] = await eventsOf(refused)
  assert.deepEqual(others, [])
  assert.deepEqual([event?.['event'], event?.['subject'], event?.['permission']], ['authz_fail', viewer.subject, 'films:write'])
  const line = await server.logged(({ msg, request_id }) => msg === 'request' && request_id === refused.field('x-request-id'))
  assert.deepEqual([line['principal'], line['route'], line['verdict']], [viewer.subject, '/add_film', 'forbidden'])
})

describe('[ASVS 16.3.3] attempts to get around a protection leave an event', () => {
  const attempts: Readonly<Record<string, readonly [event: string, request: Ask]>> = {
    'input that the schema refuses': ['input_validation_fail', { target: "/v1/films/1'--" }],
    'a foreign host (DNS rebinding)': ['malicious_extraneous', { fields: { Host: 'evil.example' } }],
    'a page of another site': ['malicious_cors', { fields: { Origin: 'https://evil.example' } }],
    'two lengths (request smuggling)': [
      'malicious_extraneous',
      { method: 'POST', target: '/add_film', fields: { 'Content-Length': '2', 'Transfer-Encoding': 'chunked' }, body: '{}' },
    ],
    'a field name that is none': ['malicious_extraneous', { fields: { 'X A': 'b' } }],
  }
  for (const [attempt, [event, request]] of Object.entries(attempts)) {
    test(attempt, async () => assert.ok((await namesOf(await ask(server, request))).includes(event)))
  }

  test('more than a limit allows', async () => {
    const [, second] = [await ask(server, { from: '127.0.0.9' }), await ask(server, { from: '127.0.0.9' })]
    assert.equal(second.status, 429)
    assert.deepEqual(await namesOf(second), ['excess_rate_limit_exceeded'])
  })
})

test('[ASVS 16.2.4] only a trusted proxy names a request and its trace; from anybody else the names are dropped', async () => {
  const theirs = '4bf92f3577b34da6a3ce929d0e0e4736'
  const names = { 'X-Request-Id': 'named-by-the-proxy-1', traceparent: `00-${theirs}-00f067aa0ba902b7-01` }
  const stranger = await ask(server, { target: '/nowhere', fields: names })
  assert.match(stranger.field('x-request-id') ?? '', /^[0-9a-f]{24}$/)
  const line = await assertLogged(server, stranger, 'not_found')
  assert.match(String(line['trace_id']), /^[0-9a-f]{32}$/)
  assert.notEqual(line['trace_id'], theirs)

  await using behind = await startServer({ env: { FILMGATE_SERVER_TRUSTED_PROXIES: '127.0.0.1/32' } })
  const forwarded = { ...names, 'X-Forwarded-For': '203.0.113.7' }
  const named = await ask(behind, { target: '/nowhere', fields: forwarded })
  assert.equal(named.field('x-request-id'), 'named-by-the-proxy-1')
  const { trace_id, client } = await assertLogged(behind, named, 'not_found')
  assert.deepEqual([trace_id, client], [theirs, '203.0.113.7'])
  // A name that could break a log or a header is none, whoever says it.
  const broken = await ask(behind, {
    target: '/nowhere',
    fields: { ...forwarded, 'X-Request-Id': 'a b"c', traceparent: `00-${theirs}-0-01` },
  })
  assert.match(broken.field('x-request-id') ?? '', /^[0-9a-f]{24}$/)
  assert.notEqual((await assertLogged(behind, broken, 'not_found'))['trace_id'], theirs)
})

/** The server with a fault that SIGUSR2 brings about. */
const faulty =
  (script: string): StartOptions['wrap'] & {} =>
  ([program = '', ...rest]) => [program, '--import', `data:text/javascript,${encodeURIComponent(script)}`, ...rest]

test('[ASVS 16.5.4] [ASVS 16.3.4] a bug that nothing catches is the last event; nothing that was logged before is lost, and the process ends', async () => {
  await using crashing = await startServer({
    wrap: faulty(`process.on('SIGUSR2', () => setImmediate(() => { throw new Error('planted') }))`),
  })
  const answers = await Promise.all(Array.from({ length: 20 }, () => ask(crashing)))
  const ended = new Promise((resolve) => crashing.process.once('exit', resolve))
  crashing.process.kill('SIGUSR2')
  assert.equal(await ended, 1)
  assert.equal(await crashing.kill('SIGKILL'), 1)
  const log = crashing.log()
  const last = log.at(-1)
  assert.deepEqual([last?.['event'], last?.['level']], ['sys_crash', 'fatal'])
  assert.match(String(last?.['error']), /^Error: planted\n/)
  for (const answer of answers) {
    assert.equal(log.filter(({ msg, request_id }) => msg === 'request' && request_id === answer.field('x-request-id')).length, 1)
  }
})

test('[ASVS 16.5.1] [ASVS 16.3.4] a fault of ours: the client is told that there was one, the log what it was', async () => {
  await using failing = await startServer({
    wrap: faulty(`
      import { StatementSync } from 'node:sqlite'
      const fail = () => { throw new TypeError('planted: select * from film in /var/lib/filmgate') }
      process.on('SIGUSR2', () => { for (const name of ['all', 'get', 'iterate', 'run']) StatementSync.prototype[name] = fail })`),
  })
  failing.process.kill('SIGUSR2')
  let answer = await ask(failing)
  await eventually(5000, 'the fault is there', async () => (answer = await ask(failing)).status >= 500)
  const { code, title, detail } = answer.json()
  assertProblem(answer, { status: answer.status, code: String(code) })
  assert.doesNotMatch(`${String(title)}${String(detail)}`, /planted|select|var|TypeError/)
  const line = await assertLogged(failing, answer, String(code))
  assert.equal(line['level'], 'error')
  assert.match(String(line['error']), /TypeError: planted: select \* from film/)
})

test('[ASVS 16.2.2] [ASVS 16.2.3] [ASVS 16.2.4] in any zone times are UTC, every line is JSON, and there is no other log', async () => {
  await using elsewhere = await startServer({ env: { TZ: 'Asia/Kolkata' } })
  const startedMs = Date.now()
  await ask(elsewhere)
  await ask(elsewhere, { target: '/nowhere' })
  const open = readdirSync(`/proc/${elsewhere.process.pid}/fd`).map((fd) => {
    try {
      return readlinkSync(`/proc/${elsewhere.process.pid}/fd/${fd}`)
    } catch {
      return ''
    }
  })
  const files = open.filter((path) => path.startsWith('/') && !path.startsWith('/dev/') && !path.startsWith('/proc/'))
  assert.deepEqual(
    files.filter((path) => !/\/filmgate\.db(?:-wal|-shm)?$/.test(path) && !path.includes('/node_modules/')),
    [],
    'standard output, standard error and the database are all that is written to',
  )
  assert.equal(await elsewhere.kill('SIGTERM'), 0)
  const times = elsewhere.log().map(({ time }) => String(time))
  assert.ok(times.length >= 4)
  for (const time of times) {
    assert.match(time, /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/)
    assert.ok(Math.abs(Date.parse(time) - startedMs) < 60_000, time)
  }
})
