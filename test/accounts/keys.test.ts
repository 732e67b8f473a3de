import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { parseApiKey } from '../../src/credentials/api-key.ts'
import { type AccountServer, openAccountServer } from '../support/account-server.ts'
import { addUser, claimAdmin, type LoggedIn, logIn, send } from '../support/accounts.ts'
import { type Answer, ask, assertProblem } from '../support/attack.ts'
import { openClock } from '../support/clock-file.ts'
import { type DatabaseKind, databases } from '../support/databases.ts'
import { makeKey } from '../support/keys.ts'
import { assertDescribed, readDocument } from '../support/openapi.ts'
import { raisedLimits, startServer } from '../support/server.ts'
import { describeUnless, servicesMissing } from '../support/services.ts'

const toml = `${raisedLimits}"POST /v1/keys" = { only = "100000000 per day" }\n`
const leakedForm = /\bfg_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}\b/

interface Key {
  readonly id: string
  readonly name: string
  readonly scopes: readonly string[]
  readonly expires_at: string | null
  readonly last_used_at: string | null
}

const suite = (kind: DatabaseKind): void => {
  let at: AccountServer
  before(async () => {
    at = await openAccountServer(kind, { toml })
  })
  after(() => at?.[Symbol.asyncDispose]())

  const make = (who: Pick<LoggedIn, 'fields'>, body: unknown): Promise<Answer> =>
    send(at.server, 'POST', '/v1/keys', body, { fields: who.fields })
  const list = async (who: Pick<LoggedIn, 'fields'>, server = at.server): Promise<readonly Key[]> => {
    const answer = await ask(server, { target: '/v1/keys', fields: who.fields })
    assert.equal(answer.status, 200, answer.body)
    return answer.json()['items'] as readonly Key[]
  }
  const revoke = (id: string, { fields }: Pick<LoggedIn, 'fields'>): Promise<Answer> =>
    ask(at.server, { method: 'DELETE', target: `/v1/keys/${id}`, fields })
  const addFilm = ({ fields }: Pick<LoggedIn, 'fields'>): Promise<Answer> =>
    send(at.server, 'POST', '/add_film', { name: 'Moana' }, { fields })

  test('is shown once, works, and only its hash is stored', async () => {
    const document = await readDocument(at.server)
    const grace = await addUser(at.server, at.admin, 'editor', 'keys-grace')
    const answer = await make(grace, { name: 'nightly import', scopes: ['films:write'], expires_at: '2099-01-01T00:00:00+01:00' })
    assert.equal(answer.status, 201, answer.body)
    assertDescribed(document, 'POST /v1/keys', answer)
    const { id, key, created_at: created, ...rest } = answer.json() as { id: string; key: string; created_at: string }
    assert.deepEqual(rest, { name: 'nightly import', scopes: ['films:write'], expires_at: '2098-12-31T23:00:00.000Z', last_used_at: null })
    assert.ok(Math.abs(Date.parse(created) - Date.now()) < 600_000)
    assert.deepEqual([answer.field('location'), answer.field('cache-control')], [`/v1/keys/${id}`, 'no-store'])
    assert.match(key, leakedForm, 'what scanners look for')
    assert.equal(parseApiKey(key)?.id, id)
    const fields = { Authorization: `Bearer ${key}` }
    assert.equal((await addFilm({ fields })).status, 201)
    const read = await ask(at.server, { target: `/v1/keys/${id}`, fields: grace.fields })
    assertDescribed(document, 'GET /v1/keys/:id', read)
    assert.equal(read.json()['created_at'], created, 'one time, when it is made and later')
    const listed = await ask(at.server, { target: '/v1/keys', fields: grace.fields })
    assertDescribed(document, 'GET /v1/keys', listed)
    const secret = parseApiKey(key)?.secret ?? ''
    for (const { body } of [read, listed]) assert.doesNotMatch(body, new RegExp(`${secret}|hash`))
    for (const table of ['api_key', 'audit']) {
      const rows = JSON.stringify(await at.place.query(`select * from ${table}`))
      assert.ok(rows.includes(id) && !rows.includes(secret), table)
    }
    assert.ok(!JSON.stringify(at.server.log()).includes(secret))
    const event = await at.server.logged((one) => one['event'] === 'authn_token_created' && one['credential'] === `key:${id}`)
    assert.equal(event['subject'], grace.subject)
  })

  test('speaks for its owner: the film, the vote and the quota are those of the account', async () => {
    const grace = await addUser(at.server, at.admin, 'editor', 'keys-subject')
    const key = await makeKey(at.server, grace, ['films:write', 'votes:write'])
    const answer = await ask(at.server, { target: '/?like=1', fields: key.fields })
    assert.equal(answer.status, 200)
    const line = await at.server.logged((one) => one['request_id'] === answer.field('x-request-id') && one.msg === 'request')
    assert.equal(line['principal'], grace.subject)
    assert.deepEqual(await at.place.query(`select value from vote where voter = 's:${grace.subject}'`), [{ value: 1 }])
  })

  test('revoking is in force at once, and once', async () => {
    const grace = await addUser(at.server, at.admin, 'editor', 'keys-revoke')
    const [one, other] = [await makeKey(at.server, grace, ['films:write']), await makeKey(at.server, grace, ['films:write'])]
    for (const key of [one, other]) assert.equal((await addFilm(key)).status, 201)
    const answer = await revoke(one.id, grace)
    assert.deepEqual([answer.status, answer.body], [204, ''])
    assertProblem(await addFilm(one), { status: 401, code: 'unauthenticated' })
    assert.equal((await addFilm(other)).status, 201)
    assertProblem(await revoke(one.id, grace), { status: 404, code: 'not_found' })
    assert.deepEqual(
      (await list(grace)).map(({ id }) => id),
      [other.id],
    )
    const event = await at.server.logged((record) => record['event'] === 'authn_token_revoked' && record['credential'] === `key:${one.id}`)
    assert.equal(event['subject'], grace.subject)
  })

  test('what cannot be a key is refused, and makes none', async () => {
    const grace = await addUser(at.server, at.admin, 'admin', 'keys-refused')
    const good = { name: 'x', scopes: ['films:read'] }
    const bad: readonly (readonly [unknown, string])[] = [
      [{ ...good, scopes: [] }, '/scopes'],
      [{ ...good, scopes: 'films:read' }, '/scopes'],
      [{ ...good, scopes: ['films:read', 'films:read'] }, '/scopes'],
      [{ ...good, scopes: ['admin'] }, '/scopes/0'],
      [{ ...good, scopes: ['*'] }, '/scopes/0'],
      [{ ...good, name: '' }, '/name'],
      [{ ...good, name: 'a\u202eb' }, '/name'],
      [{ ...good, name: 'x'.repeat(61) }, '/name'],
      [{ ...good, expires_at: '2020-01-01T00:00:00Z' }, '/expires_at'],
      [{ ...good, expires_at: '2099-02-30T00:00:00Z' }, '/expires_at'],
      [{ ...good, expires_at: 4_102_444_800 }, '/expires_at'],
      [{ ...good, expires_at: null }, '/expires_at'],
      [{ ...good, subject: at.admin.subject }, '/subject'],
      [{ ...good, id: 'aaaaaaaaaaaa' }, '/id'],
      [{ ...good, secret_hash: 'x' }, '/secret_hash'],
    ]
    for (const [body, pointer] of bad) assertProblem(await make(grace, body), { status: 400, code: 'validation_failed', pointer })
    assert.deepEqual(await list(grace), [])
  })

  test('an account has fifty, also where many are made at once', async () => {
    const grace = await addUser(at.server, at.admin, 'viewer', 'keys-fifty')
    const answers = await Promise.all(
      Array.from({ length: 15 }, async () => {
        const statuses: number[] = []
        for (let i = 0; i < 4; i++) statuses.push((await make(grace, { name: 'x', scopes: ['films:read'] })).status)
        return statuses
      }),
    )
    const statuses = answers.flat()
    assert.deepEqual([statuses.filter((s) => s === 201).length, statuses.filter((s) => s === 409).length], [50, 10])
    const keys = await list(grace)
    assert.equal(keys.length, 50)
    assert.equal((await revoke(keys[0]?.id ?? '', grace)).status, 204)
    assert.equal((await make(grace, { name: 'x', scopes: ['films:read'] })).status, 201)
  })

  test('[limits.keys] gives a key limits of its own', async () => {
    const grace = await addUser(at.server, at.admin, 'editor', 'keys-limits')
    const [one, other] = [await makeKey(at.server, grace, ['films:read']), await makeKey(at.server, grace, ['films:read'])]
    await using limited = await startServer({
      toml: `${toml}\n[limits.keys]\n${one.id} = "2 per hour"\n`,
      env: at.place.env,
      dataDir: at.place.dataDir,
    })
    const read = ({ fields }: { readonly fields: Readonly<Record<string, string>> }) => ask(limited, { target: '/v1/films/1', fields })
    const statuses = [await read(one), await read(one), await read(one), await read(other)].map(({ status }) => status)
    assert.deepEqual(statuses, [200, 200, 429, 200])
  })

  test('one that is not used says so, one that is used says when', async () => {
    const grace = await addUser(at.server, at.admin, 'editor', 'keys-used')
    const [used, unused] = [await makeKey(at.server, grace, ['films:write']), await makeKey(at.server, grace, ['films:write'])]
    assert.equal((await addFilm(used)).status, 201)
    const wrong = { Authorization: `Bearer ${unused.key.slice(0, -1)}${unused.key.endsWith('0') ? '1' : '0'}` }
    assert.equal((await addFilm({ fields: wrong })).status, 401)
    // What is not written yet is written before the end.
    assert.equal(await at.server.kill('SIGTERM'), 0)
    await using again = await startServer({ toml, env: at.place.env, dataDir: at.place.dataDir })
    const keys = await list(await logIn(again, grace), again)
    const of = (id: string) => keys.find((key) => key.id === id)?.last_used_at
    assert.ok(Math.abs(Date.parse(of(used.id) ?? '') - Date.now()) < 600_000, String(of(used.id)))
    assert.equal(of(unused.id), null)
  })
}

for (const kind of databases) describeUnless(kind.missing, `API keys on ${kind.name}`, () => suite(kind))

describeUnless(servicesMissing('faketime'), 'time', () => {
  test('a key ends when it said it would, at that moment, though it was used a moment before', async () => {
    using clock = openClock()
    await using server = await startServer({ toml, env: clock.env })
    const admin = await claimAdmin(server)
    const key = await makeKey(server, admin, ['films:read'], { expires_at: new Date(Date.now() + 3_600_000).toISOString() })
    const lasting = await makeKey(server, admin, ['films:read'])
    const read = ({ fields }: { readonly fields: Readonly<Record<string, string>> }) => ask(server, { target: '/v1/films/1', fields })
    assert.equal((await read(key)).status, 200)
    clock.setOffset(3_000_000)
    assert.equal((await read(key)).status, 200)
    clock.setOffset(3_700_000)
    assertProblem(await read(key), { status: 401, code: 'unauthenticated' })
    assert.equal((await read(lasting)).status, 200)
  })
})
