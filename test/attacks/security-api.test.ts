import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'

import { addUser, claimAdmin, send } from '../support/accounts.ts'
import { type Ask, ask, assertProblem } from '../support/attack.ts'
import { as, behindProxy, decide, inMs, lift, tryDecide } from '../support/decide.ts'
import { assertDescribed, readDocument } from '../support/openapi.ts'
import { asOperator } from '../support/operator.ts'
import { raisedLimits, startServer } from '../support/server.ts'

const toml = `${raisedLimits}"POST /v1/security/decisions" = { only = "1000000 per day" }\n`
const server = await startServer({ toml, env: { ...behindProxy, FILMGATE_MONITOR_ALLOW: '198.51.100.0/24' } })
after(() => server[Symbol.asyncDispose]())
const document = await readDocument(server)
const operator = asOperator(server)
const admin = await claimAdmin(server)
const moderator = await addUser(server, admin, 'moderator')
const editor = await addUser(server, admin, 'editor')

const get = (target: string, fields: Ask['fields'] = operator) => ask(server, { target: `/v1/security/${target}`, fields })
const invalid = (pointer: string) => ({ status: 400, code: 'validation_failed', pointer })
const conflict = { status: 409, code: 'conflict' }

describe('who may', () => {
  test('a moderator reads all of it and changes nothing; an editor learns nothing, not even of an own request', async () => {
    const id = await decide(server, admin.fields, { target: '203.0.113.20' })
    const refused = await as(server, '203.0.113.20')
    const request = refused.field('x-request-id') ?? ''
    for (const target of ['events', 'decisions', `decisions/${id}`, 'rules', `explain/${request}`, 'explain/203.0.113.20']) {
      const read = await get(target, moderator.fields)
      assert.equal(read.status, 200, target)
      assertProblem(await get(target, editor.fields), { status: 403, code: 'forbidden' })
      assertProblem(await get(target, {}), { status: 401, code: 'unauthenticated' })
    }
    assertProblem(await tryDecide(server, moderator.fields, {}), { status: 403, code: 'forbidden' })
    assertProblem(await lift(server, moderator.fields, id), { status: 403, code: 'forbidden' })
    assert.equal((await as(server, '203.0.113.20')).status, 429, 'and it is still in force')
    assert.equal((await lift(server, admin.fields, id)).status, 204)
  })
})

describe('whom nobody can refuse', () => {
  test('oneself: by address, by network, by key, by session, by account', async () => {
    const from = { ...admin.fields, 'X-Forwarded-For': '203.0.113.30' }
    const own = [
      { target: '203.0.113.30' },
      { target: '::ffff:203.0.113.30' },
      { scope: 'range', target: '203.0.113.0/24' },
      { scope: 'principal', target: `session:${admin.sid}` },
      { scope: 'account', target: admin.subject },
      { scope: 'account', target: '@ada' },
    ]
    for (const asked of own) assertProblem(await tryDecide(server, from, asked), conflict)
    const site = { ...admin.fields, 'X-Forwarded-For': '2001:db8:9:9::1' }
    for (const asked of [{ target: '2001:db8:9:9:ffff::' }, { scope: 'range', target: '2001:db8:9::/48' }])
      assertProblem(await tryDecide(server, site, asked), conflict)
    const key = await send(server, 'POST', '/v1/keys', { name: 'x', scopes: ['security:write'] }, { fields: admin.fields })
    const { id, key: secret } = key.json() as { id: string; key: string }
    const byKey = await tryDecide(server, { Authorization: `Bearer ${secret}` }, { scope: 'principal', target: `key:${id}` })
    assertProblem(byKey, conflict)
  })

  test('this machine, trusted proxies and the allow list, in whatever spelling', async () => {
    for (const target of ['127.0.0.1', '::1', '::ffff:127.0.0.9', '198.51.100.77', '::ffff:198.51.100.77'])
      assertProblem(await tryDecide(server, operator, { target }), conflict)
    for (const target of ['127.0.0.0/8', '127.0.0.0/16', '198.51.100.0/24', '198.51.100.128/25'])
      assertProblem(await tryDecide(server, operator, { scope: 'range', target }), conflict)
  })

  test('who is allowed inside a network that is refused goes on', async () => {
    const id = await decide(server, operator, { scope: 'range', target: '198.51.0.0/16' })
    assert.deepEqual([(await as(server, '198.51.7.7')).status, (await as(server, '198.51.100.7')).status], [429, 200])
    await lift(server, operator, id)
  })

  test('nobody who is not there: a typing error bans no one', async () => {
    for (const asked of [
      { scope: 'account', target: 'unobodyhasthisidatall' },
      { scope: 'account', target: '@nobody' },
      { scope: 'account', target: 'ada' },
      { scope: 'principal', target: 'key:nobodyhasit1' },
      { scope: 'principal', target: `session:${'x'.repeat(22)}` },
      { scope: 'principal', target: 'issuer:https://login.example' },
      { scope: 'principal', target: 'ada' },
    ])
      assertProblem(await tryDecide(server, operator, asked), invalid('/target'))
  })
})

describe('what is no target', () => {
  const clients = [
    '192.0.2',
    '192.0.2.1/24',
    '2001:db8::1/64',
    '2001:db8::/48',
    '0x7f.1',
    '192.0.2.010',
    '1::2::3',
    '192.0.2.1:80',
    'key:nobodyhasit1',
  ]
  const ranges = [
    '192.0.2.1/24',
    '2001:db8::1/64',
    '0.0.0.0/0',
    '10.0.0.0/7',
    '::/0',
    '2000::/18',
    '192.0.2.0/33',
    '2001:db8::/65',
    '::ffff:10.0.0.0/104',
    '10.0.0.0',
    '10.0.0.0/08',
  ]
  const hostile = [
    "'; drop table decision; --",
    '192.0.2.1\r\nX-Ban: all',
    '192.0.2.1\u0000',
    '%',
    '*',
    '',
    'a'.repeat(200),
    '192.0.2.1 ',
    '\u202e192.0.2.1',
  ]

  for (const [scope, targets] of Object.entries({
    client: [...clients, ...hostile],
    range: [...ranges, ...hostile],
    principal: hostile,
    account: hostile,
  })) {
    test(`of ${scope}`, async () => {
      for (const target of targets) assertProblem(await tryDecide(server, operator, { scope, target }), invalid('/target'))
    })
  }

  test('a reason cannot carry control characters, line breaks or what turns the reading direction', async () => {
    for (const reason of ['a\r\ndata: forged', 'a\nb', '\u001b[2J', 'a\u0000b', 'a\u202eb', 'a\u2028b', '', ' ', 'x'.repeat(201)])
      assertProblem(await tryDecide(server, operator, { reason }), invalid('/reason'))
  })

  test('nor a time that is over, is none, or is years away', async () => {
    for (const expires_at of [inMs(-1000), inMs(400 * 86_400_000), '2027-02-31T00:00:00Z', 'tomorrow', '9999-12-31T23:59:59Z'])
      assertProblem(await tryDecide(server, operator, { expires_at }), invalid('/expires_at'))
  })

  test('and about a credential there is only ban, about an account no share of limits', async () => {
    for (const [scope, target, type] of [
      ['account', editor.subject, 'tighten'],
      ['principal', `session:${editor.sid}`, 'tighten'],
      ['principal', `session:${editor.sid}`, 'require_login'],
    ] as const)
      assertProblem(await tryDecide(server, operator, { scope, target, type }), invalid('/type'))
    for (const type of ['tell', 'allow', 'BAN']) assertProblem(await tryDecide(server, operator, { type }), invalid('/type'))
  })
})

describe('how it is kept', () => {
  test('two spellings of a client are one, in decisions, filters and questions', async () => {
    const id = await decide(server, operator, { target: '2001:DB8:0:1::ABCD' })
    const prefix = '2001:db8:0:1::/64'
    assert.equal((await get(`decisions/${id}`)).json()['target'], prefix)
    for (const target of ['2001:db8:0:1::5', '2001:db8:0:1::%2F64', '2001:0db8:0000:0001::']) {
      const found = (await get(`decisions?target=${target}`)).json()['items'] as readonly { id: string }[]
      assert.deepEqual(
        found.map((one) => one.id),
        [id],
      )
      const explained = await get(`explain/${target}`)
      assertDescribed(document, 'GET /v1/security/explain/:about', explained)
      assert.equal(explained.json()['about'], prefix)
    }
    assert.equal((await lift(server, operator, id)).status, 204)
    assertProblem(await lift(server, operator, id), { status: 404, code: 'not_found' })
  })

  test('pages follow one another, with all filters; a cursor of another list is none', async () => {
    const ids: string[] = []
    for (let i = 0; i < 5; i++) ids.push(await decide(server, operator, { target: `203.0.113.${40 + i}`, type: 'tighten' }))
    const seen: string[] = []
    for (let query = 'decisions?limit=2&active=true&scope=client'; ;) {
      const page = await get(query)
      assertDescribed(document, 'GET /v1/security/decisions', page)
      const { items, next } = page.json() as { items: { id: string }[]; next: string | null }
      seen.push(...items.map((one) => one.id))
      if (next === null) break
      assert.match(page.field('link') ?? '', /rel="next"/)
      query = `decisions?limit=2&active=true&scope=client&cursor=${next}`
    }
    assert.deepEqual(
      seen.filter((id) => ids.includes(id)),
      ids.toReversed(),
    )
    const { next } = (await get('events?limit=1')).json()
    assert.equal((await get(`events?limit=1&cursor=${String(next)}`)).status, 200)
    assertProblem(await get(`decisions?cursor=${String(next)}`), invalid('/query/cursor'))
    for (const id of ids) await lift(server, operator, id)
    const over = (await get('decisions?active=false&limit=100')).json()['items'] as readonly { id: string; lifted_by: string | null }[]
    for (const id of ids) assert.equal(over.find((one) => one.id === id)?.lifted_by, 'operator')
  })

  test('what a person did is in the log, in the audit trail and in the journal, with the request that did it', async () => {
    const answer = await tryDecide(server, { ...admin.fields, 'X-Forwarded-For': '203.0.113.50' }, { target: '203.0.113.51' })
    const id = String(answer.json()['id'])
    const gone = await lift(server, admin.fields, id)
    for (const [event, action, request] of [
      ['decision_created', 'decision.create', answer],
      ['decision_lifted', 'decision.lift', gone],
    ] as const) {
      const record = await server.logged((one) => one['event'] === event && one['decision'] === id)
      assert.deepEqual([record['by'], record['request_id']], [admin.subject, request.field('x-request-id')])
      const audited = await ask(server, { target: `/v1/audit?target=${id}&action=${action}`, fields: operator })
      const [entry] = audited.json()['items'] as readonly Record<string, unknown>[]
      assert.deepEqual([entry?.['actor'], entry?.['request_id']], [admin.subject, request.field('x-request-id')])
      const told = (await get(`events?event=${event}&request_id=${String(request.field('x-request-id'))}`)).json()['items']
      assert.equal((told as readonly unknown[]).length, 1)
    }
  })
})

test('ten thousand bans by a script end at the limit of whoever runs it', async () => {
  await using usual = await startServer({ toml: raisedLimits })
  const fields = asOperator(usual)
  const statuses = []
  for (let i = 0; i < 62; i++) statuses.push((await tryDecide(usual, fields, { target: `192.0.2.${i}` })).status)
  assert.deepEqual(new Set(statuses), new Set([201, 429]))
  assert.ok(statuses.filter((status) => status === 201).length <= 60)
})

describe('a request that was refused', () => {
  test('is explained by its id: the decision, the rule, the refusal', async () => {
    const id = await decide(server, operator, { target: '203.0.113.60', reason: 'it took everything' })
    const refused = await as(server, '203.0.113.60')
    await server.logged((one) => one.msg === 'request' && one['request_id'] === refused.field('x-request-id'))
    const explained = await get(`explain/${String(refused.field('x-request-id'))}`)
    assertDescribed(document, 'GET /v1/security/explain/:about', explained)
    const { kind, decisions, events } = explained.json() as {
      kind: string
      decisions: { id: string; reason: string }[]
      events: { event: string; details: Record<string, unknown> }[]
    }
    assert.deepEqual([kind, decisions.map((one) => [one.id, one.reason])], ['request', [[id, 'it took everything']]])
    assert.deepEqual(new Set(events.map(({ event }) => event)), new Set(['decision_enforced', 'request']))
    assert.equal(events.find(({ event }) => event === 'request')?.details['verdict'], 'abnormal_usage_detected')
    await lift(server, operator, id)
  })

  test('whatever refused it: a limit, an unknown path, a bad key', async () => {
    const notFound = await as(server, '203.0.113.61', { target: '/nothing?secret=hunter2hunter2' })
    const badKey = await as(server, '203.0.113.61', { fields: { Authorization: 'Bearer nothing-of-ours' } })
    for (const [answer, verdict] of [
      [notFound, 'not_found'],
      [badKey, 'unauthenticated'],
    ] as const) {
      await server.logged((one) => one.msg === 'request' && one['request_id'] === answer.field('x-request-id'))
      const explained = await get(`explain/${String(answer.field('x-request-id'))}`)
      assert.match(explained.body, new RegExp(`"verdict":"${verdict}"`))
      assert.doesNotMatch(explained.body, /hunter2|nothing-of-ours/)
    }
  })

  test('of somebody who guesses at ids nothing is told', async () => {
    for (const about of ['0'.repeat(24), 'x'.repeat(16), '@nobody', 'ghost', "a'b", '..%2F..%2Fetc'])
      assert.ok([400, 404].includes((await get(`explain/${about}`)).status), about)
  })
})
