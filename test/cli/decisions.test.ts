import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'

import { addUser, claimAdmin } from '../support/accounts.ts'
import { runCommand, temporaryFolder } from '../support/command.ts'
import { as, assertBanned, behindProxy } from '../support/decide.ts'
import { raisedLimits, startServer } from '../support/server.ts'

const server = await startServer({ toml: raisedLimits, env: behindProxy })
after(() => server[Symbol.asyncDispose]())
const options = { dataDir: server.dataDir, env: { FILMGATE_SERVER_PORT: String(server.port) } }
const filmgate = (...args: readonly string[]) => runCommand(args, options)

const done = async (...args: readonly string[]): Promise<string> => {
  const { code, stdout, stderr } = await filmgate(...args)
  assert.deepEqual([code, stderr], [0, ''], args.join(' '))
  return stdout
}
const failed = async (code: number, message: RegExp, ...args: readonly string[]): Promise<void> => {
  const result = await filmgate(...args)
  assert.deepEqual([result.code, result.stdout], [code, ''], result.stderr)
  assert.match(result.stderr, message)
}

describe('an operator at the terminal', () => {
  test('refuses a client, sees it, learns why, and lifts it', async () => {
    assert.equal(await done('decisions'), 'Nobody is refused.\n')
    const told = await done('ban', '2001:db8:5:5::1', '--for', '90m', '--reason', 'takes everything')
    const [, id = ''] = /filmgate unban ([\w-]{16})\n$/.exec(told) ?? []
    assert.match(told, /^client 2001:db8:5:5::\/64: ban until \S+, 1 h 30 min\n/)
    const refused = await as(server, '2001:db8:5:5:7::')
    assertBanned(refused)
    const request = refused.field('x-request-id') ?? ''
    await server.logged((record) => record.msg === 'request' && record['request_id'] === request)

    const list = await done('decisions')
    assert.match(list, /^ID +WHO +WHAT +WHY +BY +UNTIL +STATE\n/)
    assert.match(list, new RegExp(`^${id} +client 2001:db8:5:5::/64 +ban +takes everything +operator .* 1 h (29|30) min( left)?$`, 'm'))
    for (const about of [request, id, '2001:db8:5:5::9']) {
      const text = await done('explain', about)
      assert.match(text, /^(request|decision|client) \S+: ban until \S+, 1 h \d+ min left\n/)
      assert.match(text, /^ {2}why +takes everything$/m)
      assert.match(text, new RegExp(`^ {2}lift +filmgate unban ${id}$`, 'm'))
      assert.match(text, /^ {2}allow +\[monitor\] allow = \["2001:db8:5:5::\/64"\]/m)
      assert.match(text, /decision_enforced/)
    }
    assert.match(await done('explain', request), /verdict=abnormal_usage_detected/)
    const json = JSON.parse(await done('explain', id, '--json')) as { decisions: { id: string }[] }
    assert.equal(json.decisions[0]?.id, id)

    assert.equal(await done('unban', '2001:db8:5:5::1'), `client 2001:db8:5:5::/64: ban ${id} is lifted\n`)
    assert.equal((await as(server, '2001:db8:5:5::1')).status, 200)
    assert.equal(await done('decisions', '--json'), '[]\n')
    const all = JSON.parse(await done('decisions', '--all', '--json')) as { id: string; lifted_by: string }[]
    assert.deepEqual(
      all.map((one) => [one.id, one.lifted_by]),
      [[id, 'operator']],
    )
  })

  test('names networks and accounts as people do; who is in a network is told which one', async () => {
    const admin = await claimAdmin(server)
    const user = await addUser(server, admin, 'viewer', 'grace')
    const range = JSON.parse(await done('ban', '198.51.100.0/24', '--json')) as { id: string; scope: string }
    const account = JSON.parse(await done('ban', '@grace', '--json')) as { id: string; scope: string; target: string }
    assert.deepEqual([range.scope, account.scope, account.target], ['range', 'account', user.subject])
    await failed(
      1,
      new RegExp(`nothing is in force about 198\\.51\\.100\\.7 itself, but it is in range 198\\.51\\.100\\.0/24 \\(${range.id}\\)`),
      'unban',
      '198.51.100.7',
    )
    assert.match(await done('unban', '@grace'), /^account \S+: ban \S+ is lifted\n$/)
    assert.match(await done('unban', range.id), /^range 198\.51\.100\.0\/24: ban \S+ is lifted\n$/)
  })
})

describe('what goes wrong is said', () => {
  test('by the server, in its words', async () => {
    await failed(1, /the server says 409: 127\.0\.0\.1 is this machine/, 'ban', '127.0.0.1')
    await failed(1, /the server says 400: target has bits behind its prefix/, 'ban', '192.0.2.1/24')
    await failed(1, /the server says 400: target is no account/, 'ban', 'nobody')
    await failed(1, /nothing is in force about 192\.0\.2\.1 itself/, 'unban', '192.0.2.1')
    await failed(1, /the server says 404: Nothing is known of that here/, 'explain', 'ffffffffffffffffffffffff')
  })

  test('before it is asked', async () => {
    await failed(2, /--for must be a time such as/, 'ban', '192.0.2.1', '--for', 'ever')
    await failed(2, /--type must be one of ban, tighten, require_login/, 'ban', '192.0.2.1', '--type', 'shadow')
    await failed(2, /is no address, CIDR/, 'ban', '192.0.2.1; rm -rf')
    await failed(2, /--url must begin with https/, 'ban', '192.0.2.1', '--url', 'http://films.example')
    await failed(2, /ban needs TARGET/, 'ban')
  })

  test('and that no server runs', async () => {
    using folder = temporaryFolder()
    const elsewhere = { ...options, cwd: folder.path, env: { FILMGATE_SERVER_PORT: '9' } }
    const { code, stderr } = await runCommand(['decisions'], elsewhere)
    assert.equal(code, 1)
    assert.match(stderr, /no server answers at http:\/\/127\.0\.0\.1:9: start it, or name it with --url/)
  })
})
