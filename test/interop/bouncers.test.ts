import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'

import { claimAdmin, type LoggedIn, send } from '../support/accounts.ts'
import { type Answer, ask, assertProblem } from '../support/attack.ts'
import { temporaryFolder } from '../support/command.ts'
import { within } from '../support/deadline.ts'
import { type MadeKey, makeKey } from '../support/keys.ts'
import { startReceiver } from '../support/receiver.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { describeUnless, servicesMissing } from '../support/services.ts'

let server: TestServer
let admin: LoggedIn
let key: MadeKey

before(async () => {
  server = await startServer()
  admin = await claimAdmin(server)
  key = await makeKey(server, admin, ['security:read'])
})
after(() => server[Symbol.asyncDispose]())

const ban = async (scope: 'client' | 'range', target: string): Promise<string> => {
  const expires = new Date(Date.now() + 3_600_000).toISOString().replace(/\.\d+Z/, 'Z')
  const order = { scope, target, type: 'ban', reason: 'a test', expires_at: expires }
  const answer = await send(server, 'POST', '/v1/security/decisions', order, { fields: admin.fields })
  assert.equal(answer.status, 201, answer.body)
  return String(answer.json()['id'])
}

const lift = async (id: string): Promise<void> => {
  const answer = await ask(server, { method: 'DELETE', target: `/v1/security/decisions/${id}`, fields: admin.fields })
  assert.equal(answer.status, 204, answer.body)
}

const asBouncer = (target: string, field: string | readonly string[] = key.key, method = 'GET'): Promise<Answer> =>
  ask(server, { method, target, fields: { 'X-Api-Key': field, 'User-Agent': 'crowdsec-firewall-bouncer/v0.0.25' } })

interface Stream {
  readonly new: readonly Record<string, unknown>[] | null
  readonly deleted: readonly Record<string, unknown>[] | null
}

const stream = async (query = ''): Promise<Stream> => {
  const answer = await asBouncer(`/v1/decisions/stream${query}`)
  assert.equal(answer.status, 200, answer.body)
  assert.equal(answer.field('cache-control'), 'no-store')
  return answer.json() as unknown as Stream
}

describe('the calls of CrowdSec bouncers', () => {
  test('all at the start, then what changed, in the form of the Local API', async () => {
    const [one, two] = [await ban('client', '203.0.113.7'), await ban('client', '2001:db8:1:2::7')]
    const first = await stream('?startup=true')
    assert.equal(first.deleted, null)
    assert.deepEqual(
      first.new?.map(({ uuid, origin, type, scope, value, scenario }) => [uuid, origin, type, scope, value, scenario]),
      [
        [one, 'filmgate', 'ban', 'Ip', '203.0.113.7', 'filmgate/manual'],
        [two, 'filmgate', 'ban', 'Range', '2001:db8:1:2::/64', 'filmgate/manual'],
      ],
    )
    for (const { id, duration } of first.new ?? []) {
      assert.ok(Number.isSafeInteger(id))
      assert.match(String(duration), /^(59m\d+\.\d{3}s|1h0m0\.000s)$/)
    }
    assert.deepEqual(await stream(), { new: null, deleted: null })
    assert.equal((await asBouncer('/v1/decisions/stream', key.key, 'HEAD')).status, 200)
    await lift(one)
    assert.equal((await asBouncer('/v1/decisions/stream', key.key, 'HEAD')).status, 200)
    assert.deepEqual(
      (await stream('?startup=false')).deleted?.map(({ value }) => value),
      ['203.0.113.7'],
      'HEAD took nothing away',
    )
    await lift(two)
    await stream()
  })

  test('only what they ask for: scopes, origins, scenarios', async () => {
    const ids = [await ban('client', '203.0.113.7'), await ban('range', '198.51.100.0/24')]
    const values = async (query: string) => (await stream(`?startup=true&${query}`)).new?.map(({ value }) => value)
    assert.deepEqual(await values('scopes=ip'), ['203.0.113.7'])
    assert.deepEqual(await values('scopes=Range'), ['198.51.100.0/24'])
    assert.deepEqual(await values('scopes=ip,range&origins=filmgate,CAPI'), ['203.0.113.7', '198.51.100.0/24'])
    for (const none of ['scopes=country', 'origins=CAPI', 'scenarios_containing=ssh', 'scenarios_not_containing=manual'])
      assert.equal(await values(none), undefined, none)
    for (const id of ids) await lift(id)
    await stream()
  })

  test('live: an address, by itself or in a network that is banned; a network; null for everybody else', async () => {
    const ids = [await ban('client', '203.0.113.7'), await ban('range', '198.51.100.0/24')]
    const about = async (query: string) => {
      const answer = await asBouncer(`/v1/decisions?${query}`)
      assert.equal(answer.field('content-type'), 'application/json; charset=utf-8')
      return (JSON.parse(answer.body) as { value: string }[] | null)?.map(({ value }) => value)
    }
    assert.deepEqual(await about('ip=203.0.113.7'), ['203.0.113.7'])
    assert.deepEqual(await about('ip=%3A%3Affff%3A203.0.113.7'), ['203.0.113.7'], 'in another spelling')
    assert.deepEqual(await about('ip=198.51.100.9&type=ban&scopes=ip,range'), ['198.51.100.0/24'])
    assert.deepEqual(await about('range=203.0.113.0/24&contains=false'), ['203.0.113.7'])
    for (const none of ['ip=203.0.113.8', 'range=203.0.113.0/24', 'ip=203.0.113.7&type=captcha'])
      assert.equal(await about(none), undefined, none)
    assertProblem(await asBouncer('/v1/decisions?ip=203.0.113.256'), { status: 400, code: 'bad_request' })
    for (const id of ids) await lift(id)
    await stream()
  })
})

const path = '/v1/decisions/stream'
const withFields = (fields: Readonly<Record<string, string>>) => ask(server, { target: path, fields })

describe('X-Api-Key', () => {
  test('a wrong key, a token, two keys, none: 401, and each wrong one is a failed login in the log', async () => {
    const wrong = `${key.key.slice(0, -1)}${key.key.endsWith('0') ? '1' : '0'}`
    for (const field of [wrong, '', 'x', `Bearer ${key.key}`, admin.accessToken, [key.key, key.key], 'x'.repeat(4000)]) {
      const answer = await asBouncer(path, field)
      assertProblem(answer, { status: 401, code: 'unauthenticated' })
      const id = answer.field('x-request-id')
      const record = await server.logged((one) => one['event'] === 'authn_login_fail' && one['request_id'] === id)
      assert.ok(!JSON.stringify(record).includes(key.key))
    }
    assertProblem(await ask(server, { target: path }), { status: 401, code: 'unauthenticated' })
  })

  test('a key without security:read: 403', async () => {
    const other = await makeKey(server, admin, ['films:read'])
    assertProblem(await asBouncer(path, other.key), { status: 403, code: 'forbidden' })
  })

  test('a revoked key: 401 at once', async () => {
    const other = await makeKey(server, admin, ['security:read'])
    assert.equal((await asBouncer(path, other.key)).status, 200)
    assert.equal((await ask(server, { method: 'DELETE', target: `/v1/keys/${other.id}`, fields: admin.fields })).status, 204)
    assertProblem(await asBouncer(path, other.key), { status: 401, code: 'unauthenticated' })
  })

  test('on every other route the field is as good as none: neither a right key nor a wrong one changes anything', async () => {
    assertProblem(await asBouncer('/v1/security/decisions'), { status: 401, code: 'unauthenticated' })
    assertProblem(await asBouncer('/v1/keys'), { status: 401, code: 'unauthenticated' })
    for (const field of [key.key, 'x']) assert.equal((await asBouncer('/v1/films/1', field)).status, 200)
  })

  test('beside an Authorization field it is not looked at', async () => {
    assert.equal((await withFields({ ...key.fields, 'X-Api-Key': 'x' })).status, 200)
    assertProblem(await withFields({ Authorization: 'Bearer x', 'X-Api-Key': key.key }), { status: 401, code: 'unauthenticated' })
  })

  test('caches are told that answers differ by it', async () => {
    assert.match((await asBouncer(path)).field('vary') ?? '', /\bx-api-key\b/i)
  })
})

/** Debian's bouncer, whose script tells a receiver what it was called with. */
const startBouncer = (folder: string, tellUrl: string): ChildProcess => {
  const script = join(folder, 'tell.sh')
  writeFileSync(script, `#!/bin/sh\nprintf '%s %s' "$1" "$2" | curl -s --data-binary @- '${tellUrl}'\n`, { mode: 0o755 })
  const settings = {
    bin_path: script,
    api_url: `${server.url}/`,
    api_key: key.key,
    update_frequency: '100ms',
    cache_retention_duration: '1s',
    piddir: folder,
    log_dir: folder,
    log_mode: 'file',
    log_level: 'info',
    daemonize: false,
    prometheus: { enabled: false, listen_addr: '127.0.0.1', listen_port: '0' },
  }
  const config = join(folder, 'bouncer.yaml')
  // YAML takes JSON.
  writeFileSync(config, JSON.stringify(settings))
  return spawn('crowdsec-custom-bouncer', ['-c', config], { stdio: 'ignore' })
}

describeUnless(servicesMissing('crowdsec'), "Debian's crowdsec-custom-bouncer", () => {
  test('what is banned here its script adds, what is lifted it removes: addresses, networks, the /64 of IPv6', async () => {
    using folder = temporaryFolder()
    await using receiver = await startReceiver()
    const early = await ban('client', '203.0.113.1')
    const bouncer = startBouncer(folder.path, receiver.url)
    const exited = once(bouncer, 'exit')
    const calls = async (count: number): Promise<readonly string[]> =>
      (await within(60_000, `${count} calls of the script`, receiver.first(count))).map(({ body }) => body)
    try {
      assert.deepEqual(await calls(1), ['add 203.0.113.1'])
      const range = await ban('range', '198.51.100.0/24')
      await calls(2)
      const household = await ban('client', '2001:db8:7:7::9')
      await calls(3)
      await lift(early)
      await calls(4)
      await lift(range)
      await calls(5)
      await lift(household)
      assert.deepEqual(await calls(6), [
        'add 203.0.113.1',
        'add 198.51.100.0/24',
        'add 2001:db8:7:7::/64',
        'del 203.0.113.1',
        'del 198.51.100.0/24',
        'del 2001:db8:7:7::/64',
      ])
    } finally {
      bouncer.kill('SIGKILL')
      await exited
    }
  })
})
