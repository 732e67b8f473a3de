import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'

import { bearer, goodPassword, type LoggedIn, logIn, send, tryLogin, tryRefresh } from '../support/accounts.ts'
import { type Answer, ask } from '../support/attack.ts'
import { type CommandResult, runCommand, temporaryFolder } from '../support/command.ts'
import { type DatabaseKind, databases, type Place } from '../support/databases.ts'
import { eventually } from '../support/deadline.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { describeUnless } from '../support/services.ts'

/** The command itself, at the place where a server may be running. */
const at =
  (place: Place) =>
  (line: string, input?: string): Promise<CommandResult> =>
    runCommand(line.split(' '), { env: place.env, dataDir: place.dataDir, ...(input === undefined ? {} : { input }) })

const good = (result: CommandResult): string => {
  assert.equal(result.code, 0, result.stderr)
  return result.stdout
}

const addFilm = (server: TestServer, fields: Readonly<Record<string, string>>): Promise<Answer> =>
  send(server, 'POST', '/add_film', { name: 'Moana' }, { fields })

const me = (server: TestServer, { fields }: LoggedIn): Promise<Answer> => ask(server, { target: '/v1/me', fields })

/** It is promised within a second; a machine under load gets more from a test. */
const soon = (what: string, server: TestServer, fields: Readonly<Record<string, string>>, status: number): Promise<void> =>
  eventually(5000, what, async () => (await addFilm(server, fields)).status === status)

const suite = (kind: DatabaseKind): void => {
  test('the first admin before any server ran: it starts claimed, without a starter key, and the password works', async () => {
    await using place = await kind.place()
    const filmgate = at(place)
    const added = JSON.parse(good(await filmgate('user add ada --role admin --password-stdin --json', `${goodPassword}\n`))) as {
      id: string
    }
    await using server = await startServer({ env: place.env, dataDir: place.dataDir })
    assert.throws(() => server.key(), /ENOENT/)
    const ada = await logIn(server, { username: 'ada', password: goodPassword })
    assert.equal(ada.subject, added.id)
    assert.equal((await me(server, ada)).json()['role'], 'admin')
    const [row] = await place.query(`select actor, action, target, details, client from audit order by seq limit 1`)
    const details = JSON.stringify({ username: 'ada', role: 'admin' })
    assert.deepEqual(row, { actor: 'cli', action: 'user.create', target: added.id, details, client: null })
    // No word about this server: the default of auth.issuer is named by the id of the installation, and not by that word.
    good(await filmgate('user add heidi --role viewer --password-stdin', 'installations'))
  })

  test('what it changes takes effect in a server that is running: starter key, role, password, disable, remove, keys', async () => {
    await using place = await kind.place()
    const filmgate = at(place)
    await using server = await startServer({ env: place.env, dataDir: place.dataDir })
    const starter = bearer(server.key())
    assert.equal((await addFilm(server, starter)).status, 201)
    good(await filmgate('user add ada --role admin --password-stdin', goodPassword))
    await soon('the starter key ends', server, starter, 401)

    good(await filmgate('user add grace --role editor --password-stdin', `${goodPassword}\r\n`))
    let grace = await logIn(server, { username: 'grace', password: goodPassword })
    const made = await filmgate('key add grace --name importer --scopes films:write,films:read --expires 90d')
    assert.match(good(made), /^fg_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}\n$/, 'the key, and nothing else')
    const key = bearer(made.stdout.trim())
    for (const fields of [grace.fields, key]) assert.equal((await addFilm(server, fields)).status, 201)

    good(await filmgate('user role grace viewer'))
    await soon('the access token of the old role ends', server, grace.fields, 401)
    assert.equal((await addFilm(server, key)).status, 403)
    good(await filmgate('user role grace editor'))
    await soon('the key may again', server, key, 201)

    grace = await logIn(server, { username: 'grace', password: goodPassword })
    assert.equal((await addFilm(server, grace.fields)).status, 201)
    good(await filmgate('user password grace --password-stdin', 'eleven herons by the old weir'))
    await soon('the sessions end', server, grace.fields, 401)
    assert.equal((await tryRefresh(server, grace.refreshToken)).status, 401)
    assert.equal((await tryLogin(server, grace)).status, 401)
    grace = await logIn(server, { username: 'grace', password: 'eleven herons by the old weir' })

    const other = bearer(good(await filmgate('key add grace --name other --scopes films:write')).trim())
    await soon('a new key works', server, other, 201)
    good(await filmgate(`key revoke ${made.stdout.split('_')[1] ?? ''}`))
    await soon('the key is revoked', server, key, 401)
    assert.equal((await addFilm(server, other)).status, 201)

    good(await filmgate('user disable grace'))
    for (const fields of [grace.fields, other]) await soon('what is disabled is out', server, fields, 401)
    assert.equal((await tryLogin(server, grace)).status, 401)
    good(await filmgate('user enable grace'))
    assert.equal((await tryLogin(server, grace)).status, 200)
    assert.equal((await addFilm(server, other)).status, 401)

    grace = await logIn(server, grace)
    assert.equal((await me(server, grace)).status, 200)
    good(await filmgate('user remove grace'))
    await soon('who is removed is out', server, grace.fields, 401)
    const actions = (await place.query(`select action from audit where actor = 'cli' order by seq`)).map(({ action }) => action)
    const keyActions = ['key.create', 'user.role', 'user.role', 'user.password', 'key.create', 'key.revoke']
    const expected = ['user.create', 'key.revoke_all', 'user.create', ...keyActions, 'user.disable', 'user.enable', 'user.remove']
    assert.deepEqual(actions, expected)
  })

  test('what is shown: users and keys, for people and for programs, without a secret', async () => {
    await using place = await kind.place()
    const filmgate = at(place)
    good(await filmgate('user add ada --role admin --password-stdin', goodPassword))
    good(await filmgate('user add bob --role viewer --password-stdin', goodPassword))
    const key = good(await filmgate('key add bob --name reader --scopes films:read')).trim()
    const users = JSON.parse(good(await filmgate('user list --json'))) as readonly Record<string, unknown>[]
    assert.deepEqual(
      users.map(({ username, role, disabled, secondFactor, lastLoginAt }) => [username, role, disabled, secondFactor, lastLoginAt]),
      [
        ['ada', 'admin', false, [], null],
        ['bob', 'viewer', false, [], null],
      ],
    )
    const keys = JSON.parse(good(await filmgate('key list bob --json'))) as readonly Record<string, unknown>[]
    assert.deepEqual(
      keys.map(({ id, owner, name, scopes, expiresAt, lastUsedAt }) => [id, owner, name, scopes, expiresAt, lastUsedAt]),
      [[key.split('_')[1], 'bob', 'reader', ['films:read'], null, null]],
    )
    assert.equal(good(await filmgate('key list ada --json')), '[]\n')
    const [userTable, keyTable] = [good(await filmgate('user list')), good(await filmgate('key list'))]
    assert.match(userTable, /^NAME +ROLE .*\nada +admin .*\nbob +viewer /)
    assert.match(keyTable, /^ID +OWNER .*\n\w{12} +bob +reader +films:read +never +never\n$/)
    for (const text of [userTable, keyTable, JSON.stringify([users, keys])])
      assert.doesNotMatch(text, new RegExp(`argon2|hash|${key.split('_')[2] ?? ''}`))
  })

  test('what is refused ends with 1, says why, and changes nothing', async () => {
    await using place = await kind.place()
    const filmgate = at(place)
    good(await filmgate('user add ada --role admin --password-stdin', goodPassword))
    good(await filmgate('user add bob --role viewer --password-stdin', goodPassword))
    const before = await place.query('select count(*) as n from audit')
    const refused: readonly (readonly [string, RegExp, string?])[] = [
      ['user add ada --role viewer --password-stdin', /there is a user "ada" already/, goodPassword],
      ['user role eve viewer', /there is no user "eve"/],
      ['user role ada viewer', /this is the last admin/],
      ['user disable ada', /this is the last admin/],
      ['user remove ada', /this is the last admin/],
      ['user password eve --password-stdin', /there is no user "eve"/, goodPassword],
      ['key add bob --name x --scopes films:write', /bob has the role viewer, which lacks films:write/],
      ['key add eve --name x --scopes films:read', /there is no user "eve"/],
      ['key list eve', /there is no user "eve"/],
      ['key revoke aaaaaaaaaaaa', /there is no key aaaaaaaaaaaa/],
    ]
    for (const [line, reason, input] of refused) {
      const { code, stdout, stderr } = await filmgate(line, input)
      assert.deepEqual([code, stdout], [1, ''], `${line}: ${stderr}`)
      assert.match(stderr, reason)
      assert.doesNotMatch(stderr, /\n\s+at |kestrels/)
    }
    assert.deepEqual(await place.query('select count(*) as n from audit'), before)
  })
}

const refusedPasswords: readonly (readonly [string, RegExp, (string | Uint8Array)?])[] = [
  ['eve', /the password must have at least 12 characters/, 'short'],
  ['eve', /the password must have at least 12/, ''],
  ['eve', /the password must have at most 128/, 'ab3 '.repeat(33)],
  ['eve', /the password is known from a breach|the password must be more/, 'password1234'],
  ['eve-the-first', /the password must not hold the username/, 'I am eve-the-first'],
  ['eve', /more than one line/, `${goodPassword}\n${goodPassword}`],
  ['eve', /not UTF-8/, Buffer.from(`${goodPassword}\xff`, 'latin1')],
]

describe('a password that nobody should have: 1, the reason, and not even a data folder', () => {
  for (const [name, reason, input] of refusedPasswords) {
    test(String(reason), async () => {
      using folder = temporaryFolder()
      const dataDir = join(folder.path, 'data')
      const args = ['user', 'add', name, '--role', 'viewer', '--password-stdin']
      const { code, stdout, stderr } = await runCommand(args, { dataDir, ...(input === undefined ? {} : { input }) })
      assert.deepEqual([code, stdout, existsSync(dataDir)], [1, '', false], stderr)
      assert.match(stderr, reason)
      assert.doesNotMatch(stderr, /\n\s+at |kestrels/)
    })
  }
})

for (const kind of databases) describeUnless(kind.missing, `filmgate user and key on ${kind.name}`, () => suite(kind))
