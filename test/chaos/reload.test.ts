import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { describe, test } from 'node:test'

import { reloadWith } from '../limits/reload.ts'
import { type Ask, ask, assertProblem, requestBytes } from '../support/attack.ts'
import { startCommand, temporaryFolder } from '../support/command.ts'
import { openConnection } from '../support/connection.ts'
import { eventually, within } from '../support/deadline.ts'
import { freePort } from '../support/free-port.ts'
import { scrape } from '../support/metrics-text.ts'
import { operationsOf, policyOf, readDocument } from '../support/openapi.ts'
import { asOperator } from '../support/operator.ts'
import { startRedis } from '../support/redis.ts'
import { type LogRecord, raisedLimits, startServer, type TestServer } from '../support/server.ts'
import { describeUnless, servicesMissing } from '../support/services.ts'

const film: Ask = { target: '/v1/films/1' }
const isReload = (record: LogRecord): boolean => record['event'] === 'sys_config_reload'

const policy = async (server: TestServer): Promise<string | undefined> => (await ask(server, film)).field('ratelimit-policy')

const newFilm = (server: TestServer): Buffer => {
  const fields = { 'Content-Type': 'application/json', Authorization: `Bearer ${server.key()}` }
  return requestBytes({ target: '/add_film', method: 'POST', fields, body: '{"name":"slow"}' })
}

/** It has its slot, as the answer to 100-continue says; the other comes only with the rest of its body. */
const openSlow = async (server: TestServer) => {
  const connection = await openConnection(server.port)
  const [head = '', body = ''] = newFilm(server).toString('latin1').split('\r\n\r\n')
  connection.send(`${head}\r\nExpect: 100-continue\r\n\r\n`)
  assert.match((await connection.answer()).text, /^HTTP\/1\.1 100 /)
  connection.send(body.slice(0, -3))
  return connection
}

describe('SIGHUP takes over what can change', () => {
  test('limits, at once, in the answers and in /openapi.json', async () => {
    await using server = await startServer({ toml: '[limits]\ndefault = "9 per hour"\n' })
    const { etag } = Object.fromEntries((await ask(server, { target: '/openapi.json' })).fields)
    assert.equal(await policy(server), '"hour";q=9;w=3600')
    assert.equal((await reloadWith(server, '[limits]\ndefault = "7 per day"\ntotal = "500 per hour"\n'))['ok'], true)
    assert.equal(await policy(server), '"day";q=7;w=86400')
    const document = await ask(server, { target: '/openapi.json', fields: { 'If-None-Match': etag ?? '' } })
    assert.equal(document.status, 200, 'another document than the one of before')
    for (const [name, { 'x-rate-limit': described }] of operationsOf(await readDocument(server))) {
      if (name === 'GET /v1/films/:id') assert.equal(policyOf(described.anonymous), '"day";q=7;w=86400')
      assert.equal(policyOf(described.total), '"total-hour";q=500;w=3600', name)
    }
    assert.match(server.stderr(), /The configuration was read again\.\n$/)
  })

  test('what was counted stays: used up stays used up, a higher limit lifts the refusal, without more than the difference', async () => {
    await using server = await startServer({ toml: '[limits]\ndefault = "3 per hour"\n' })
    for (let i = 0; i < 3; i++) assert.equal((await ask(server, film)).status, 200)
    assert.equal((await ask(server, film)).status, 429)
    await reloadWith(server, '[limits]\ndefault = "3 per hour"\n')
    assert.equal((await ask(server, film)).status, 429)
    await reloadWith(server, '[limits]\ndefault = "5 per hour"\n')
    assert.deepEqual(
      [(await ask(server, film)).status, (await ask(server, film)).status, (await ask(server, film)).status],
      [200, 200, 429],
    )
    await reloadWith(server, '[limits]\ndefault = "3 per hour"\n')
    assert.equal((await ask(server, film)).status, 429)
  })

  test('exempt networks, keys that have rules, observe mode; and back again', async () => {
    const strict = '[limits]\ndefault = "1 per day"\n'
    await using server = await startServer({ toml: strict })
    await ask(server, film)
    const changes = [`${strict}exempt = ["127.0.0.0/8"]\n`, `${strict}mode = "observe"\n`]
    for (const toml of changes) {
      assert.equal((await ask(server, film)).status, 429)
      assert.equal((await reloadWith(server, toml))['ok'], true)
      assert.equal((await ask(server, film)).status, 200, toml)
      await reloadWith(server, strict)
    }
  })

  test('throttling', async () => {
    await using server = await startServer()
    const others = { from: '127.0.7.1' }
    assert.equal((await ask(server, others)).status, 200)
    const toml = '[throttle.routes]\n"GET /v1/films/:id" = { pace = "1 per day", burst = 1, max_wait_ms = 1 }\n'
    assert.equal((await reloadWith(server, toml))['ok'], true)
    assert.equal((await ask(server, others)).status, 200)
    const refused = await ask(server, others)
    assertProblem(refused, { status: 429, code: 'quota_exceeded' })
    await reloadWith(server, '')
    assert.equal((await ask(server, others)).status, 200)
  })

  test('concurrency, for requests to come: those in flight keep their slots and are counted', async () => {
    await using server = await startServer({ toml: raisedLimits })
    using first = await openSlow(server)
    using second = await openSlow(server)
    const asKey = { ...film, fields: { Authorization: `Bearer ${server.key()}` } }
    assert.equal((await ask(server, asKey)).status, 200)
    await reloadWith(server, '[concurrency]\nper_client = 1\n')
    await eventually(5000, 'the slots of before are counted', async () => (await ask(server, asKey)).status === 429)
    assert.deepEqual((await ask(server, asKey)).json()['violated-policies'], ['concurrency'])
    first.send('w"}')
    second.send('w"}')
    for (const slow of [first, second]) assert.equal((await slow.answer()).status, 201)
    await eventually(5000, 'the slots are free', async () => (await ask(server, asKey)).status === 200)
  })

  test('the level and the format of the log', async () => {
    using folder = temporaryFolder()
    const write = (log: string): void => writeFileSync(join(folder.path, 'filmgate.toml'), `[log]\n${log}\n`)
    write('level = "info"')
    const port = await freePort()
    const running = startCommand(['serve'], { cwd: folder.path, env: { FILMGATE_SERVER_PORT: String(port) } })
    let heard = ''
    running.process.stderr?.on('data', (text: string) => (heard += text))
    await running.said(/listens on/)
    const reload = async (log: string, times: number): Promise<void> => {
      write(log)
      running.process.kill('SIGHUP')
      await eventually(5000, `reload ${times}`, () => heard.split('was read again').length > times)
    }
    await ask({ port }, { target: '/v1/films/1' })
    await reload('level = "warn"', 1)
    await ask({ port }, { target: '/v1/films/2' })
    await reload('level = "info"\nformat = "pretty"', 2)
    await ask({ port }, { target: '/v1/films/3' })
    running.process.kill('SIGTERM')
    const { code, stdout } = await running.ended
    assert.equal(code, 0)
    const lines = stdout.split('\n').filter((line) => line.includes('/v1/films/'))
    assert.equal(lines.length, 2, stdout)
    assert.ok(lines[0]?.startsWith('{') && lines[0].includes('/v1/films/1'))
    assert.ok(!lines[1]?.startsWith('{') && lines[1]?.includes('/v1/films/3'))
  })
})

describe('a file that is wrong changes nothing', () => {
  const good = '[limits]\ndefault = "9 per hour"\n'
  const wrong: Readonly<Record<string, readonly [toml: string, said: readonly RegExp[]]>> = {
    'no TOML': ['[limits\n', [/filmgate\.toml:1: /]],
    'two mistakes, each with its line': [
      '[limits]\ndefault = "9 per fortnight"\ntotal = 7\n',
      [/filmgate\.toml:2: limits\.default /, /filmgate\.toml:3: limits\.total /, /has 2 errors/],
    ],
    'a route that there is not': [
      '[limits]\ndefault = "7 per hour"\n[limits.routes]\n"GET /flims" = "1 per hour"\n',
      [/filmgate\.toml:4: limits\.routes\."GET \/flims" names no limited route/],
    ],
    'a throttle for a route that there is not': [
      '[limits]\ndefault = "7 per hour"\n[throttle.routes]\n"GET /flims" = { pace = "1 per second" }\n',
      [/filmgate\.toml:4: throttle\.routes\."GET \/flims" names no limited route/],
    ],
    'a pace that is none': [
      '[limits]\ndefault = "7 per hour"\n[throttle.routes]\n"GET /" = { pace = "slowly" }\n',
      [/filmgate\.toml:4: throttle\.routes\."GET \/"/],
    ],
    'networks that hold everybody': ['[limits]\ndefault = "7 per hour"\nexempt = ["0.0.0.0/0"]\n', [/filmgate\.toml:3: limits\.exempt /]],
  }

  test('it is told with its lines, on standard error and in the log, and the next good one is taken over', async () => {
    await using server = await startServer({ toml: good })
    for (const [name, [toml, said]] of Object.entries(wrong)) {
      const heard = server.stderr().length
      const event = await reloadWith(server, toml)
      assert.equal(event['ok'], false, name)
      await eventually(5000, 'it is told', () => server.stderr().endsWith('Nothing has changed.\n'))
      for (const text of said) {
        assert.match(server.stderr().slice(heard), text, name)
        assert.match(String(event['error']), text, name)
      }
      assert.equal(await policy(server), '"hour";q=9;w=3600', name)
      assert.equal((await scrape(server)).value('filmgate_config_last_reload_success'), 0)
    }
    assert.equal((await reloadWith(server, good.replace('9', '8')))['ok'], true)
    assert.equal(await policy(server), '"hour";q=8;w=3600')
    assert.equal((await scrape(server)).value('filmgate_config_last_reload_success'), 1)
  })

  test('no secret is in it', async () => {
    await using server = await startServer({ toml: good })
    const secret = 'c3a95780'.repeat(8)
    const event = await reloadWith(server, `[secrets]\nkey = "${secret}\n[limits]\nstore = "redis://:hidden@cache:0"\n`)
    assert.equal(event['ok'], false)
    assert.doesNotMatch(server.stderr() + JSON.stringify(server.log()), /c3a95780|hidden/)
  })
})

test('keys that only a restart can apply are named and left as they are; the rest of the file is taken over', async () => {
  await using server = await startServer({ toml: '[limits]\ndefault = "9 per hour"\n' })
  const toml = `[limits]\ndefault = "7 per hour"\nstore_timeout_ms = 77\n[votes]\nanonymous = false\n[server]\nheader_timeout_ms = 1234\n`
  assert.equal((await reloadWith(server, toml))['ok'], true)
  assert.equal(await policy(server), '"hour";q=7;w=3600')
  for (const [line, key] of [
    [3, 'limits.store_timeout_ms'],
    [5, 'votes.anonymous'],
    [7, 'server.header_timeout_ms'],
  ] as const) {
    const said = `filmgate.toml:${line}: ${key} has changed, but only a restart can apply that`
    assert.ok(server.stderr().includes(`/${said}\n`), said)
    await server.logged(({ msg, level }) => msg.endsWith(`/${said}`) && level === 'warn')
  }
  assert.doesNotMatch(server.stderr(), /1234|\b77\b/, 'keys, not values')
  const vote = await ask(server, { target: '/?like=1' })
  assert.notEqual(vote.status, 401, 'votes need no key until the restart')
})

/** Stands in front of a server and holds what comes until it is let go. */
const holdBefore = async (port: number) => {
  const held: Socket[] = []
  let free = false
  const pass = (socket: Socket): void => {
    const onward = connect({ port, host: '127.0.0.1' })
    for (const each of [socket, onward]) each.on('error', () => undefined)
    socket.pipe(onward).pipe(socket)
  }
  const server = createServer((socket) => (free ? pass(socket) : void held.push(socket)))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    arrived: () => held.length > 0,
    release: () => {
      free = true
      for (const socket of held) pass(socket)
    },
    [Symbol.dispose]: () => void server.close(),
  }
}

describeUnless(servicesMissing('redis'), 'SIGHUP during the start', () => {
  test('is kept until the server runs, and then the file is read', async () => {
    await using redis = await startRedis()
    using hold = await holdBefore(redis.port)
    using folder = temporaryFolder()
    const write = (limit: number): void => writeFileSync(join(folder.path, 'filmgate.toml'), `[limits]\ndefault = "${limit} per hour"\n`)
    write(9)
    const port = await freePort()
    const env = { FILMGATE_SERVER_PORT: String(port), FILMGATE_LIMITS_STORE: `redis://127.0.0.1:${hold.port}` }
    const running = startCommand(['serve'], { cwd: folder.path, env })
    await eventually(10_000, 'it waits for Redis', hold.arrived)
    write(7)
    for (let i = 0; i < 3; i++) running.process.kill('SIGHUP')
    hold.release()
    await running.said(/was read again/)
    assert.equal((await ask({ port }, film)).field('ratelimit-policy'), '"hour";q=7;w=3600')
    running.process.kill('SIGTERM')
    const { code, stdout } = await running.ended
    assert.equal(code, 0)
    assert.ok(stdout.indexOf('sys_startup') < stdout.indexOf('sys_config_reload'))
  })
})

test('SIGHUP during the drain: what is in flight is answered, exit 0', async () => {
  await using server = await startServer()
  using slow = await openSlow(server)
  server.process.kill('SIGTERM')
  await server.logged((record) => record['event'] === 'sys_shutdown')
  assert.equal((await reloadWith(server, '[limits]\ndefault = "7 per hour"\n'))['ok'], true)
  assert.equal((await reloadWith(server, 'nonsense'))['ok'], false)
  slow.send('w"}')
  assert.equal((await slow.answer()).status, 201)
  assert.equal(await within(15_000, 'it ends', server.kill('SIGTERM')), 0)
})

const wide = (limit: number): string => `[limits]\ndefault = "${limit} per hour"\ntotal = "1000000 per hour"\n`

test('50 reloads under load: no request fails, none is counted twice or not at all', async () => {
  const limits = [50_000, 60_000, 900_000]
  await using server = await startServer({ toml: wide(50_000) })
  const stopping = new AbortController()
  const statuses = new Map<number, number>()
  const send = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      const { status } = await ask(server, film)
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
    }
  }
  const senders = Array.from({ length: 4 }, send)
  for (let i = 1; i <= 50; i++) assert.equal((await reloadWith(server, wide(limits[i % limits.length] ?? 0)))['ok'], true)
  await reloadWith(server, wide(60_000))
  stopping.abort()
  await Promise.all(senders)
  const sent = statuses.get(200) ?? 0
  assert.deepEqual([...statuses.keys()], [200])
  assert.ok(sent > 50 && sent < 50_000, String(sent))
  const answer = await ask(server, { target: '/v1/limits/127.0.0.1', fields: asOperator(server) })
  const { items } = answer.json() as { items: readonly { counted_over: string; remaining: number }[] }
  assert.equal(items.find((item) => item.counted_over === 'route GET /v1/films/:id')?.remaining, 60_000 - sent)
  assert.equal(server.log().filter(isReload).length, 51)
})
