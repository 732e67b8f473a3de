import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'

import { createApiKey, formatApiKey, parseApiKey } from '../../src/credentials/api-key.ts'
import { type Answer, type Ask, ask, assertProblem, assertQuietLog, query } from '../support/attack.ts'
import { startServer, type TestServer } from '../support/server.ts'

const dataDir = mkdtempSync(join(tmpdir(), 'filmgate-keys-'))
let server = await startServer({ dataDir })
after(async () => {
  await server[Symbol.asyncDispose]()
  rmSync(dataDir, { recursive: true, force: true })
})
const key = server.key()
const parsed = parseApiKey(key)
assert.ok(parsed)

const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8)

const used = (one: TestServer, some: string): Promise<Answer> => ask(one, { fields: { Authorization: `Bearer ${some}` } })

describe('the starter key', { concurrency: 8 }, () => {
  test('lies where only its owner reads it', () => {
    assert.equal(modeOf(dataDir), '700')
    for (const file of ['starter.key', 'master.key']) assert.equal(modeOf(join(dataDir, file)), '600', file)
    assert.notEqual(readFileSync(join(dataDir, 'master.key'), 'utf8').trim(), '')
  })

  test('is stored as a hash alone', () => {
    const rows = JSON.stringify(query(server, 'select * from api_key'))
    assert.ok(!rows.includes(parsed.secret))
    for (const file of ['filmgate.db', 'filmgate.db-wal']) {
      assert.ok(!readFileSync(join(dataDir, file)).includes(parsed.secret), file)
    }
  })

  const everywhere: Readonly<Record<string, Ask>> = {
    'in Authorization': { fields: { Authorization: `Bearer ${key}` } },
    'in a malformed Authorization': { fields: { Authorization: `Basic ${key}` } },
    'as a query value': { target: `/?like=${key}` },
    'as the value of an unknown parameter': { target: `/?access_token=${key}` },
    'as a query name': { target: `/?${key}` },
    'in a cookie': { fields: { Cookie: `key=${key}` } },
    'in Referer and Origin': { target: '/?like=1', fields: { Referer: `http://localhost/?key=${key}`, Origin: `http://${key}` } },
    'in X-Request-Id and traceparent': { fields: { 'X-Request-Id': key, traceparent: key } },
    'in X-Forwarded-For': { fields: { 'X-Forwarded-For': key } },
    'in Host': { fields: { Host: key } },
    'in User-Agent': { fields: { 'User-Agent': `curl/8 ${key}` } },
    'in the path': { target: `/v1/films/${key}` },
    'in an unknown path': { target: `/${key}` },
    'as the user of an absolute target': { target: `http://starter:${key}@localhost/` },
    'as the method': { method: key },
    'in a member name of the body': {
      method: 'POST',
      target: '/add_film',
      fields: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' },
      body: `{"name":"x","${key}":1}`,
    },
  }
  for (const [where, request] of Object.entries(everywhere)) {
    test(`[ASVS 16.2.5] never appears in the log: ${where}`, async () => {
      const answer = await ask(server, request)
      const id = answer.field('x-request-id')
      await server.logged((record) => record.msg === 'request' && record['request_id'] === id)
      const lines = server.log().filter((record) => record['request_id'] === id)
      assert.ok(!JSON.stringify(lines).includes(parsed.secret), JSON.stringify(lines))
      assert.ok(!server.stderr().includes(parsed.secret))
    })
  }

  test('the log is quiet: one line each, no error', () => assertQuietLog(server))
})

describe('a starter key that was lost or swapped: the next start makes another and refuses the old one', () => {
  const path = join(dataDir, 'starter.key')
  const restart = async (signal: NodeJS.Signals, meanwhile: () => void = () => undefined): Promise<string> => {
    const old = server.key()
    await server.kill(signal)
    meanwhile()
    await server[Symbol.asyncDispose]()
    server = await startServer({ dataDir })
    return old
  }
  const losses: Readonly<Record<string, () => void>> = {
    'the file is gone': () => unlinkSync(path),
    'the file is cut': () => writeFileSync(path, readFileSync(path, 'utf8').slice(0, 30)),
    'the file holds a key of nobody': () => writeFileSync(path, formatApiKey(createApiKey())),
  }
  for (const [loss, lose] of Object.entries(losses)) {
    test(loss, async () => {
      const old = await restart('SIGTERM', lose)
      assert.notEqual(server.key(), old)
      assert.equal(modeOf(path), '600')
      assertProblem(await used(server, old), { status: 401, code: 'unauthenticated' })
      assert.equal((await used(server, server.key())).status, 200)
    })
  }

  test('nothing is lost: the key stays the same, also over a SIGKILL', async () => {
    const old = await restart('SIGKILL')
    assert.equal(server.key(), old)
    assert.equal((await used(server, old)).status, 200)
  })
})
