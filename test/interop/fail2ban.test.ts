import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'

import { claimAdmin, send } from '../support/accounts.ts'
import { ask } from '../support/attack.ts'
import { temporaryFolder } from '../support/command.ts'
import { eventually, within } from '../support/deadline.ts'
import { assertSecretsKept } from '../support/log-secrecy.ts'
import { type Receiver, startReceiver } from '../support/receiver.ts'
import { raisedLimits } from '../support/server.ts'
import { describeUnless, servicesMissing } from '../support/services.ts'

const run = promisify(execFile)
const shipped = join(import.meta.dirname, '../../deploy/fail2ban')
const filter = join(shipped, 'filter.d/filmgate.conf')
const main = join(import.meta.dirname, '../../src/main.ts')

interface LoggedServer extends AsyncDisposable {
  readonly port: number
  readonly dataDir: string
  readonly logFile: string
}

/** The program with its log in a file, as under a service manager. */
const startLogged = async (folder: string): Promise<LoggedServer> => {
  const [logFile, dataDir, config] = ['filmgate.log', 'data', 'filmgate.toml'].map((name) => join(folder, name)) as [string, string, string]
  writeFileSync(config, raisedLimits)
  const env = {
    PATH: process.env['PATH'] ?? '',
    FILMGATE_SERVER_PORT: '0',
    FILMGATE_OPS_PORT: '0',
    FILMGATE_DATA_DIR: dataDir,
    FILMGATE_LOG_FORMAT: 'json',
    FILMGATE_SERVER_TRUSTED_PROXIES: '127.0.0.1/32',
    // What the rules make of these attacks is another test's.
    FILMGATE_MONITOR_MODE: 'observe',
  }
  const child = spawn(process.execPath, [main, 'serve', '--config', config], { env, stdio: ['ignore', openSync(logFile, 'a'), 'pipe'] })
  let said = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (said += text))
  const port = (): number => Number(/listens on http:\/\/\S+?:(\d+) /.exec(said)?.[1] ?? 0)
  await eventually(30_000, 'the server listens', () => port() !== 0)
  return {
    port: port(),
    dataDir,
    logFile,
    [Symbol.asyncDispose]: () => end(child).then(() => assertSecretsKept(readFileSync(logFile, 'utf8'))),
  }
}

const end = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}

/** A fail2ban of its own, with the shipped filter and jails; its only action tells the receiver. */
const startFail2ban = async (folder: string, logFile: string, receiver: Receiver) => {
  const config = join(folder, 'fail2ban')
  for (const name of ['filter.d', 'jail.d', 'action.d', 'fail2ban.d']) mkdirSync(join(config, name), { recursive: true })
  cpSync(shipped, config, { recursive: true })
  const [socket, pidFile] = [join(folder, 'fail2ban.sock'), join(folder, 'fail2ban.pid')]
  const definition = `loglevel = INFO\nlogtarget = ${join(folder, 'fail2ban.log')}\nsyslogsocket = auto\nsocket = ${socket}\npidfile = ${pidFile}\n`
  writeFileSync(join(config, 'fail2ban.conf'), `[Definition]\n${definition}dbfile = ${join(folder, 'fail2ban.db')}\ndbpurgeage = 1d\n`)
  writeFileSync(join(config, 'jail.conf'), '[DEFAULT]\nignoreself = false\nusedns = no\naction = tell\n')
  const tell = (word: string): string => `printf '${word} <name> <ip>' | curl -s --data-binary @- '${receiver.url}'`
  writeFileSync(join(config, 'action.d/tell.conf'), `[Definition]\nactionban = ${tell('ban')}\nactionunban = ${tell('unban')}\n`)
  const local = ['filmgate', 'filmgate-failures', 'filmgate-attacks'].map(
    (name) => `[${name}]\nenabled = true\nlogpath = ${logFile}\n${name.endsWith('failures') ? 'maxretry = 3\n' : ''}`,
  )
  writeFileSync(join(config, 'jail.d/filmgate.local'), local.join(''))
  const options = ['-c', config, '-s', socket, '-p', pidFile]
  const child = spawn('fail2ban-server', [...options, '-f', 'start'], { stdio: 'ignore' })
  const client = async (...command: readonly string[]): Promise<string> => (await run('fail2ban-client', [...options, ...command])).stdout
  return { client, [Symbol.asyncDispose]: () => end(child) }
}

/** The addresses that a filter finds in a file, in its order. */
const found = async (mode: string, logFile: string): Promise<string[]> => {
  const { stdout } = await run('fail2ban-regex', ['--usedns', 'no', '-o', 'ip', logFile, `${filter}[mode=${mode}]`])
  return stdout.split('\n').filter((line) => line !== '')
}

const comingFrom = (client: string) => ({ 'X-Forwarded-For': client })

/** A line that would ban 198.51.100.1, if it were one. */
const forged = (event: string): string =>
  JSON.stringify({
    time: new Date().toISOString(),
    level: 'warn',
    msg: 'event',
    event,
    request_id: null,
    client: '198.51.100.1',
    decision: 'kJ8sQ2mB7xZ4vN1a',
    type: 'ban',
    scope: 'client',
    target: '198.51.100.1',
    rule: null,
    by: 'monitor',
    until: '2099-01-01T00:00:00.000Z',
  })

const forgeries = ['decision_created', 'authn_login_fail', 'malicious_extraneous'].map(forged)

const attackLog = async (server: LoggedServer): Promise<void> => {
  for (const line of forgeries) {
    for (const text of [line, `x\t${line}`, `"}${line}`, `\\"}\\n${line}`]) {
      const fields = { ...comingFrom('203.0.113.66'), 'User-Agent': text, Origin: text, Authorization: `Bearer ${text}` }
      await ask(server, { target: '/v1/films/1', fields })
      await ask(server, { target: `/v1/films/1?x=%0a${encodeURIComponent(text)}`, fields: { ...fields, Authorization: null, Host: text } })
      await send(server, 'POST', '/v1/auth/login', { username: `\n${text}`, password: `\n${text}` }, { fields: comingFrom('203.0.113.66') })
    }
  }
}

const decide = async (server: LoggedServer, fields: Readonly<Record<string, string>>, scope: string, target: string): Promise<void> => {
  const expires = new Date(Date.now() + 3_600_000).toISOString().replace(/\.\d+Z/, 'Z')
  const order = { scope, target, type: 'ban', reason: 'a test', expires_at: expires }
  const answer = await send(server, 'POST', '/v1/security/decisions', order, { fields })
  assert.equal(answer.status, 201, answer.body)
}

describeUnless(servicesMissing('fail2ban'), "Debian's fail2ban", () => {
  test('bans and lifts what the log of a real server says, and nobody whom an attacker wrote into it', async () => {
    using folder = temporaryFolder()
    await using receiver = await startReceiver()
    await using server = await startLogged(folder.path)
    const admin = await claimAdmin(server)
    await using fail2ban = await startFail2ban(folder.path, server.logFile, receiver)
    const told = async (count: number): Promise<string[]> =>
      (await within(60_000, `${count} actions`, receiver.first(count))).map(({ body }) => body)
    await eventually(30_000, 'fail2ban answers', () =>
      fail2ban.client('status', 'filmgate-attacks').then(
        () => true,
        () => false,
      ),
    )

    await decide(server, admin.fields, 'client', '203.0.113.7')
    assert.deepEqual(await told(1), ['ban filmgate 203.0.113.7'])
    await decide(server, admin.fields, 'client', '2001:db8:7:7::9')
    await decide(server, admin.fields, 'range', '192.0.2.0/25')
    assert.deepEqual((await told(3)).slice(1).toSorted(), ['ban filmgate 192.0.2.0/25', 'ban filmgate 2001:db8:7:7::/64'])
    for (let n = 0; n < 3; n++)
      await send(server, 'POST', '/v1/auth/login', { username: 'ada', password: 'wrong' }, { fields: comingFrom('203.0.113.9') })
    assert.equal((await told(4))[3], 'ban filmgate-failures 203.0.113.9')
    await fail2ban.client('set', 'filmgate', 'unbanip', '203.0.113.7')
    assert.equal((await told(5))[4], 'unban filmgate 203.0.113.7')

    await attackLog(server)
    assert.match((await told(6))[5] ?? '', /^ban filmgate-failures 203\.0\.113\.66$/)
    const everything = readFileSync(server.logFile, 'utf8')
    assert.ok(everything.includes('198.51.100.1'), 'what was forged is in the log')
    assert.deepEqual(await found('decisions', server.logFile), ['203.0.113.7', '2001:db8:7:7::/64', '192.0.2.0/25'])
    assert.deepEqual([...new Set(await found('failures', server.logFile))], ['203.0.113.9', '203.0.113.66'])
    assert.ok(!(await found('attacks', server.logFile)).includes('198.51.100.1'))
    assert.ok(receiver.received.every(({ body }) => !body.includes('198.51.100.1')))
  })

  test('attack: nothing that any page can make the browser of its visitors send is one', async () => {
    using folder = temporaryFolder()
    const file = join(folder.path, 'lines.log')
    const { time, level, msg, request_id } = JSON.parse(forged('malicious_extraneous')) as Record<string, unknown>
    const lineOf = (reason: string): string =>
      `${JSON.stringify({ time, level, msg, event: 'malicious_extraneous', request_id, client: '198.51.100.1', reason })}\n`
    writeFileSync(
      file,
      ['bad_request', 'uri_too_long', 'method_not_allowed', 'payload_too_large', 'http2_reset_flood'].map(lineOf).join(''),
    )
    assert.deepEqual(await found('attacks', file), [])
    writeFileSync(file, lineOf('http2_protocol_error'))
    assert.deepEqual(await found('attacks', file), ['198.51.100.1'])
  })

  test('a decision that is only observed, one that only slows down, one about an account: none is a ban', async () => {
    using folder = temporaryFolder()
    const file = join(folder.path, 'lines.log')
    const line = JSON.parse(forged('decision_created')) as Record<string, unknown>
    const changes = [
      { observed: true },
      { type: 'tighten' },
      { type: 'require_login' },
      { type: 'tell' },
      { scope: 'account' },
      { scope: 'principal' },
    ]
    writeFileSync(file, changes.map((change) => `${JSON.stringify({ ...line, ...change })}\n`).join(''))
    assert.deepEqual(await found('decisions', file), [])
    writeFileSync(file, `${JSON.stringify(line)}\n`)
    assert.deepEqual(await found('decisions', file), ['198.51.100.1'])
  })
})
