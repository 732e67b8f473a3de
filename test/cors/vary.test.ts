import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { connect, constants } from 'node:http2'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'

import { type Answer, type Ask, ask } from '../support/attack.ts'
import { raisedLimits, startServer } from '../support/server.ts'

const app = 'https://app.example'
const env = { FILMGATE_PAGE_ENABLED: 'false' }
const cors = `[cors]\norigins = [${JSON.stringify(app)}]\n`
const server = await startServer({ toml: raisedLimits + cors, env })
after(() => server[Symbol.asyncDispose]())

const exposed = 'RateLimit-Policy, RateLimit, Retry-After, Location, ETag, Link, X-Request-Id, WWW-Authenticate'

/** With an Origin that is allowed, with one that is not, and without: a cache may hand each to everybody whose request is alike. */
const assertVaries = (answers: readonly Answer[]): void => {
  for (const [i, answer] of answers.entries()) {
    const names = (answer.field('vary') ?? '').split(', ')
    assert.ok(names.includes('Origin'), answer.field('vary') ?? 'no Vary')
    assert.equal(new Set(names).size, names.length)
    assert.equal(answer.field('access-control-allow-origin'), i === 0 ? app : undefined)
    assert.equal(answer.field('access-control-expose-headers'), i === 0 ? exposed : undefined)
  }
}

const askThrice = async (request: Ask, to = server): Promise<readonly Answer[]> => {
  const answers: Answer[] = []
  for (const origin of [app, 'https://evil.test', null])
    answers.push(await ask(to, { ...request, fields: { ...request.fields, Origin: origin } }))
  return answers
}

const json = { 'Content-Type': 'application/json' }
const etag = (await ask(server, { target: '/v1/films/1' })).field('etag') ?? ''
const bearer = { Authorization: `Bearer ${server.key()}` }

describe('[ASVS 3.4.2] Vary: Origin on every answer of what depends on it', { concurrency: 4 }, () => {
  const requests: Readonly<Record<string, readonly [status: number, request: Ask, joined?: string]>> = {
    'a film': [200, { target: '/' }],
    HEAD: [200, { method: 'HEAD', target: '/' }],
    'a film of somebody known': [200, { target: '/', fields: bearer }, 'Authorization'],
    'a film that may differ for them': [200, { target: '/v1/films/1' }, 'Authorization'],
    'nothing new': [304, { target: '/v1/films/1', fields: { 'If-None-Match': etag } }, 'Authorization'],
    OPTIONS: [204, { method: 'OPTIONS', target: '/' }],
    'input that is wrong': [400, { target: '/?like=x' }],
    'a body that is no JSON': [400, { method: 'POST', target: '/add_film', fields: { ...json, ...bearer }, body: '{' }, 'Authorization'],
    'two Authorization fields': [400, { target: '/', fields: { Authorization: ['Bearer x', 'Bearer y'] } }],
    'no credentials': [401, { target: '/v1/me' }, 'Authorization'],
    'bad credentials': [401, { target: '/', fields: { Authorization: 'Bearer x' } }, 'Authorization'],
    'bad credentials for nothing': [401, { target: '/nothing', fields: { Authorization: 'Basic x' } }, 'Authorization'],
    'not allowed': [403, { target: '/v1/audit', fields: bearer }, 'Authorization'],
    'nothing there': [404, { target: '/nothing' }],
    'no such film': [404, { target: '/v1/films/999999' }],
    'another method': [405, { method: 'PUT', target: '/' }],
    'an unknown method': [405, { method: 'PURGE', target: '/' }],
    'nothing that is acceptable': [406, { target: '/', fields: { Accept: 'text/html' } }],
    'a body too large': [
      413,
      { method: 'POST', target: '/add_film', fields: { ...json, ...bearer }, body: `"${'x'.repeat(20_000)}"` },
      'Authorization',
    ],
    'a form': [
      415,
      { method: 'POST', target: '/add_film', fields: { 'Content-Type': 'application/x-www-form-urlencoded', ...bearer }, body: 'a=b' },
      'Authorization',
    ],
    'an expectation': [417, { target: '/', fields: { Expect: 'x' } }],
    'another host': [421, { target: '/', fields: { Host: 'evil.test' } }],
    'a broken target': [400, { target: '/%' }],
  }
  for (const [name, [status, request, joined]] of Object.entries(requests)) {
    test(`${status}: ${name}`, async () => {
      const answers = await askThrice(request)
      assert.deepEqual(
        answers.map((answer) => answer.status),
        [status, status, status],
        answers.map(({ body }) => body).join('\n'),
      )
      assertVaries(answers)
      if (joined !== undefined)
        for (const answer of answers) assert.ok(answer.field('vary')?.split(', ').includes(joined), answer.field('vary') ?? '')
    })
  }
})

test('[limits case 15] 429 of a route and of total, to a preflight too: with everything that says when to come back', async () => {
  const toml = `[limits]\ntotal = "9 per hour"\n[limits.routes]\n"GET /v1/films/:id" = { only = "3 per hour" }\n${cors}`
  await using narrow = await startServer({ toml, env })
  const target = '/v1/films/1'
  const within = await askThrice({ target }, narrow)
  const overRoute = await askThrice({ target }, narrow)
  const announcing = { method: 'OPTIONS', target, fields: { 'Access-Control-Request-Method': 'GET', Origin: app } }
  const allowed = [await ask(narrow, announcing), await ask(narrow, announcing), await ask(narrow, announcing)]
  assert.deepEqual(
    [...within, ...overRoute, ...allowed].map(({ status }) => status),
    [200, 200, 200, 429, 429, 429, 204, 204, 204],
  )
  const overTotal = await askThrice({ target }, narrow)
  for (const answers of [within, overRoute, overTotal]) assertVaries(answers)
  const announced = await ask(narrow, announcing)
  for (const answer of [...overRoute, ...overTotal, announced]) {
    assert.equal(answer.status, 429)
    assert.ok(Number(answer.field('retry-after')) > 3000)
    assert.match(answer.field('ratelimit') ?? '', /r=0/)
  }
  assert.deepEqual([announced.field('access-control-allow-origin'), announced.field('access-control-expose-headers')], [app, exposed])
  assert.equal(announced.field('access-control-allow-methods'), undefined)
})

test('over HTTP/2 the same: an answer, a refusal, a preflight', async () => {
  await using secure = await startServer({ toml: raisedLimits + cors, env: { ...env, FILMGATE_TLS_MODE: 'dev' } })
  const client = connect(`https://localhost:${secure.port}`, { ca: readFileSync(join(secure.dataDir, 'dev-ca.pem')) })
  const send = (headers: Readonly<Record<string, string>>): Promise<Readonly<Record<string, unknown>>> =>
    new Promise((resolve, reject) => {
      const stream = client.request(headers)
      stream.on('response', (fields) => {
        stream.resume()
        stream.on('close', () => resolve(fields))
      })
      stream.on('error', reject)
    })
  try {
    const good = await send({ ':path': '/', origin: app })
    assert.deepEqual([good[constants.HTTP2_HEADER_STATUS], good['vary'], good['access-control-allow-origin']], [200, 'Origin', app])
    const refused = await send({ ':path': '/v1/me', origin: app })
    assert.deepEqual(
      [refused[':status'], refused['vary'], refused['access-control-expose-headers']],
      [401, 'Origin, Authorization', exposed],
    )
    const foreign = await send({ ':path': '/', origin: 'https://evil.test' })
    assert.deepEqual([foreign['vary'], foreign['access-control-allow-origin']], ['Origin', undefined])
    const announced = await send({ ':path': '/v1/me', ':method': 'OPTIONS', origin: app, 'access-control-request-method': 'PATCH' })
    assert.deepEqual([announced[':status'], announced['access-control-allow-methods']], [204, 'DELETE, GET, HEAD, OPTIONS, PATCH'])
    const own = await send({ ':path': '/', ':method': 'POST', origin: `https://localhost:${secure.port}` })
    await secure.logged((record) => record.msg === 'request' && record['request_id'] === own['x-request-id'])
    assert.deepEqual(
      secure
        .log()
        .filter(({ event }) => event === 'malicious_cors')
        .map(({ origin }) => origin),
      ['https://evil.test'],
    )
  } finally {
    client.close()
  }
})
