import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { promisify } from 'node:util'

import { reloadWith } from '../limits/reload.ts'
import { claimAdmin, type LoggedIn, send } from '../support/accounts.ts'
import { ask } from '../support/attack.ts'
import { temporaryFolder } from '../support/command.ts'
import { openConfigFolder } from '../support/config-file.ts'
import { within } from '../support/deadline.ts'
import { type Received, type Receiver, startReceiver } from '../support/receiver.ts'
import { raisedLimits, startServer, type TestServer } from '../support/server.ts'

const secret = `whsec_${Buffer.from('thirty-two bytes of a test, or so').toString('base64')}`
const page = readFileSync(join(import.meta.dirname, '../../docs/alerts.md'), 'utf8')

const monitor = (url: string, key = secret): string =>
  `${raisedLimits}"POST /v1/security/decisions" = { only = "100000 per day" }\n[monitor]\nwebhook_url = "${url}"\nwebhook_secret = "${key}"\nwebhook_allow_private = true\n`

const decide = async (server: TestServer, { fields }: LoggedIn, target: string): Promise<string> => {
  const expires = new Date(Date.now() + 3_600_000).toISOString().replace(/\.\d+Z/, 'Z')
  const order = { scope: 'client', target, type: 'ban', reason: 'a test', expires_at: expires }
  const answer = await send(server, 'POST', '/v1/security/decisions', order, { fields })
  assert.equal(answer.status, 201, answer.body)
  return String(answer.json()['id'])
}

const first = async (receiver: Receiver, count: number): Promise<readonly Received[]> =>
  within(30_000, `${count} messages`, receiver.first(count))

interface Told {
  readonly type: string
  readonly text: string
  readonly data: Readonly<Record<string, unknown>>
}

const read = ({ body }: Received): Told => JSON.parse(body) as Told

const example = (language: string): string => new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, 's').exec(page)?.[1] ?? ''

/** The two programs of docs/alerts.md, asked about a message as it came and about three that are not from Filmgate. */
const verdicts = async ({ headers, body }: Received): Promise<string[][]> => {
  using folder = temporaryFolder()
  const old = String(Number(headers['webhook-timestamp']) - 301)
  const cases = [
    { headers, body, secret },
    { headers, body: body.replace('203.0.113.7', '203.0.113.8'), secret },
    { headers, body, secret: 'another secret of some length' },
    { headers: { ...headers, 'webhook-timestamp': old }, body, secret },
  ]
  const file = join(folder.path, 'cases.json')
  writeFileSync(file, JSON.stringify(cases))
  writeFileSync(
    join(folder.path, 'verify.mjs'),
    `${example('js')}
import { readFileSync } from 'node:fs'
for (const { headers, body, secret } of JSON.parse(readFileSync(process.argv[2], 'utf8')))
  console.log(isFromFilmgate(headers, Buffer.from(body), secret))\n`,
  )
  writeFileSync(
    join(folder.path, 'verify.py'),
    `${example('python')}
import json, sys
for case in json.load(open(sys.argv[1], encoding="utf-8")):
    print(str(is_from_filmgate(case["headers"], case["body"].encode(), case["secret"])).lower())\n`,
  )
  const run = promisify(execFile)
  const said = async (program: string, script: string): Promise<string[]> =>
    (await run(program, [join(folder.path, script), file])).stdout.trim().split('\n')
  return [await said(process.execPath, 'verify.mjs'), await said('python3', 'verify.py')]
}

describe('alerts of a server', () => {
  test('a ban is told at once, as docs/alerts.md shows it, and its programs in Node and Python know it from forgeries', async () => {
    await using receiver = await startReceiver()
    await using server = await startServer({ toml: monitor(receiver.url) })
    const admin = await claimAdmin(server)
    const id = await decide(server, admin, '203.0.113.7')
    const [message] = await first(receiver, 1)
    assert.ok(message)
    const { type, text, data } = read(message)
    assert.equal(type, 'filmgate.alert')
    assert.match(text, new RegExp(`^203\\.0\\.113\\.7 is banned until \\S+Z by \\S+\\. Decision ${id}\\.$`))
    assert.deepEqual([data['event'], data['decision'], data['target'], data['rule']], ['decision_created', id, '203.0.113.7', null])
    const shown = JSON.parse(example('json')) as Told
    assert.deepEqual(Object.keys(shown), Object.keys(JSON.parse(message.body) as object))
    assert.deepEqual(Object.keys(shown.data), Object.keys(data))
    const expected = ['true', 'false', 'false', 'false']
    assert.deepEqual(await verdicts(message), [expected, expected])
  })

  test('a flood of decisions: one message at once, the others in one digest when the server stops, and requests are answered', async () => {
    await using receiver = await startReceiver()
    await using server = await startServer({ toml: monitor(receiver.url) })
    const admin = await claimAdmin(server)
    for (let n = 0; n < 40; n++) await decide(server, admin, `203.0.113.${n}`)
    await first(receiver, 1)
    assert.equal((await ask(server)).status, 200)
    assert.equal(await server.kill('SIGTERM'), 0)
    const [alert, ...digests] = receiver.received.map(read)
    assert.equal(alert?.type, 'filmgate.alert')
    // One, where all of it takes less than a minute.
    assert.ok(digests.length >= 1 && digests.length <= 3 && digests.every(({ type }) => type === 'filmgate.digest'))
    assert.equal(
      digests.reduce((sum, { data }) => sum + Number(data['total']), 0),
      39,
    )
  })

  test('SIGTERM while the receiver hangs: what waits is lost, told in the log, and the server ends in its time', async () => {
    await using receiver = await startReceiver()
    receiver.answer = () => undefined
    await using server = await startServer({ toml: monitor(receiver.url) })
    const admin = await claimAdmin(server)
    await decide(server, admin, '203.0.113.7')
    await first(receiver, 1)
    const startedMs = performance.now()
    assert.equal(await server.kill('SIGTERM'), 0)
    assert.ok(performance.now() - startedMs < 20_000)
    const lost = server.log().filter(({ msg }) => msg.startsWith('an alert could not be delivered'))
    assert.equal(lost.length, 1)
    for (const record of server.log()) assert.ok(!JSON.stringify(record).includes(secret.slice(6)))
  })

  test('a reload: another receiver and secret from the next message on; one that is this server itself is refused', async () => {
    await using before = await startReceiver()
    await using behind = await startReceiver()
    await using server = await startServer({ toml: monitor(before.url) })
    const admin = await claimAdmin(server)
    const other = 'another secret of some length'
    assert.equal((await reloadWith(server, monitor(behind.url, other)))['ok'], true)
    await decide(server, admin, '203.0.113.7')
    const [message] = await first(behind, 1)
    assert.ok(message)
    assert.equal(before.received.length, 0)
    assert.equal((await reloadWith(server, monitor('https://hooks.example.com/', 'short')))['ok'], false)
    assert.equal((await reloadWith(server, monitor('')))['ok'], true)
    await decide(server, admin, '203.0.113.8')
    assert.equal(await server.kill('SIGTERM'), 0)
    assert.equal(behind.received.length, 1)
  })

  test('a receiver that is this server: the message finds nothing, and no message follows from it', async () => {
    await using server = await startServer({ toml: monitor('') })
    const admin = await claimAdmin(server)
    // Its port was not known when the configuration was read.
    assert.equal((await reloadWith(server, monitor(`${server.url}/hook`)))['ok'], true)
    await decide(server, admin, '203.0.113.7')
    await server.logged(({ msg }) => msg.startsWith('an alert could not be delivered'))
    assert.equal(await server.kill('SIGTERM'), 0)
    assert.equal(server.log().filter(({ path }) => path === '/hook').length, 1)
  })
})

test('docs/alerts.md: its configuration is one', () => {
  const { webhookUrl, webhookAllowPrivate } = openConfigFolder().load(/```toml\n(.*?)```/s.exec(page)?.[1] ?? '').monitor
  assert.deepEqual([webhookUrl, webhookAllowPrivate], ['https://hooks.example.com/filmgate', false])
})
