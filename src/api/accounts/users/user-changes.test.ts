import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'

import { type DatabaseKind, databases } from '../../../../test/support/databases.ts'
import { describeUnless } from '../../../../test/support/services.ts'
import type { Role } from '../../../core/access.ts'
import type { Database } from '../../../db/open.ts'
import { createAuditTrail } from '../../audit/trail.ts'
import { type Account, createAccountRepository, createAccountStatements } from '../accounts.ts'
import { createApiKeyRepository, createApiKeyStatements, maxKeys } from '../keys/api-keys.ts'
import { createAccountChanges } from '../changes.ts'
import { createFactorStatements } from '../factors/factors.ts'
import { createSessionStatements } from '../sessions/session-statements.ts'
import { createUserChanges } from './user-changes.ts'

const epochMs = (): number => 1_000_000
const by = { actor: 'cli' }

/** One instance of the program, as far as it changes users. */
const createInstance = (database: Database, key: Buffer) => {
  const accounts = createAccountRepository(database)
  const changes = createAccountChanges(database.channel, createAuditTrail(database, epochMs, key))
  const keyStatements = createApiKeyStatements(database, epochMs)
  const keys = createApiKeyRepository(database, epochMs)
  const sessions = createSessionStatements(database, { epochMs, maxAgeMs: 1000, idleMs: 1000 })
  const factors = createFactorStatements(database, epochMs)
  const users = createUserChanges({
    accounts,
    changes,
    keys,
    keyStatements,
    statements: createAccountStatements(database, epochMs),
    endSessions: (id) => sessions.endAll(id),
    removeFactors: (id) => factors.removeAll(id),
  })
  const add = async (username: string, role: Role): Promise<Account> => {
    const id = await users.add(by, { username, role, passwordHash: 'x' })
    const account = id === undefined ? undefined : await accounts.byId(id)
    assert.ok(account)
    return account
  }
  return { accounts, changes, keys, keyStatements, sessions, users, add }
}

const newKey = (id: string, subject: string, expiresAt: number | null = null) => ({
  id,
  subject,
  name: id,
  secretHash: 'x',
  permissions: new Set(['films:read'] as const),
  expiresAt,
})

const open = async (kind: DatabaseKind) => {
  const opened = await kind.open()
  const key = randomBytes(32)
  return {
    one: createInstance(opened.database, key),
    other: createInstance(await opened.another(), key),
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  }
}

for (const kind of databases) {
  describeUnless(kind.missing, `changes of users on ${kind.name}`, () => {
    test('two admins on two instances demote, disable or remove each other at once: one of the two stays', async () => {
      await using opened = await open(kind)
      const { one, other } = opened
      for (const verb of ['demote', 'disable', 'remove'] as const) {
        const [a, b] = [await one.add(`a-${verb}`, 'admin'), await one.add(`b-${verb}`, 'admin')]
        for (const { id, username } of await one.accounts.list('', 100)) {
          const account = await one.accounts.byId(id)
          if (account && ![a.username, b.username].includes(username)) await one.users.remove(by, account)
        }
        const act = ({ users }: typeof one, account: Account) =>
          verb === 'remove'
            ? users.remove(by, account)
            : users.change(by, account, verb === 'demote' ? { role: 'viewer' } : { disabled: true })
        const results = await Promise.all([act(one, b), act(other, a)])
        assert.equal(results.filter((result) => result === 'last_admin').length, 1, `${verb}: ${JSON.stringify(results)}`)
        assert.equal(await one.accounts.hasAdmin(), true)
      }
    })

    test('of many keys that are made at once an account gets its fifty, and expired ones make room', async () => {
      await using opened = await open(kind)
      const { one, other } = opened
      const { id } = await one.add('ada', 'admin')
      const make = ({ changes, keyStatements }: typeof one, key: ReturnType<typeof newKey>) =>
        changes.commit(keyStatements.add(key), [{ ...by, action: 'key.create', target: key.id }])
      const ids = Array.from({ length: maxKeys - 2 }, (_, i) => `key${String(i).padStart(9, '0')}`)
      for (const keyId of ids) assert.equal((await make(one, newKey(keyId, id))).result, 'committed')
      const results = await Promise.all(
        [1, 2, 3, 4, 5, 6].map((i) => make(i % 2 === 0 ? one : other, newKey(`more${i}0000000`, id, 999_999))),
      )
      assert.equal(results.filter(({ result }) => result === 'committed').length, 6, 'those that have expired make room for the next')
      assert.equal((await make(one, newKey('last00000000', id))).result, 'committed')
      const more = await Promise.all([1, 2, 3, 4].map((i) => make(i % 2 === 0 ? one : other, newKey(`late${i}0000000`, id))))
      assert.equal(more.filter(({ result }) => result === 'committed').length, 1)
      assert.equal((await one.keys.listOf(id)).length, maxKeys)
    })

    test('a key is made only for an account that is there and not disabled', async () => {
      await using opened = await open(kind)
      const { one } = opened
      await one.add('root-one', 'admin')
      const grace = await one.add('grace', 'editor')
      await one.users.change(by, grace, { disabled: true })
      for (const subject of [grace.id, 'starter', 'nobody']) {
        const unit = one.keyStatements.add(newKey('aaaaaaaaaaaa', subject))
        assert.equal((await one.changes.commit(unit, [{ ...by, action: 'key.create', target: 'x' }])).result, 'conflict', subject)
      }
    })

    test('the first admin ends the starter key, whether added or promoted, and nobody else does', async () => {
      await using opened = await open(kind)
      const { one } = opened
      const start = () => one.keys.replaceAll(newKey(randomBytes(6).toString('hex'), 'starter'))
      await start()
      const grace = await one.add('grace', 'editor')
      await one.users.change(by, grace, { role: 'moderator' })
      assert.ok(await one.keys.oldestOf('starter'))
      const now = await one.accounts.byId(grace.id)
      assert.ok(now)
      assert.deepEqual(await one.users.change(by, now, { role: 'admin' }), ['user.role'])
      assert.equal(await one.keys.oldestOf('starter'), undefined)
      await start()
      await one.add('ada', 'admin')
      assert.equal(await one.keys.oldestOf('starter'), undefined)
    })

    test('what is so already is no change, and what was changed meanwhile is not overwritten', async () => {
      await using opened = await open(kind)
      const { one } = opened
      await one.add('ada', 'admin')
      const grace = await one.add('grace', 'editor')
      assert.deepEqual(await one.users.change(by, grace, { role: 'editor', disabled: false }), [])
      assert.deepEqual(await one.users.change(by, grace, { passwordHash: 'y' }), ['user.password'])
      assert.equal(await one.users.change(by, grace, { passwordHash: 'z', role: 'viewer' }), 'stale')
      assert.equal((await one.accounts.byId(grace.id))?.role, 'editor', 'all of it or nothing')
      assert.equal(await one.users.remove(by, grace), 'removed')
      assert.equal(await one.users.remove(by, grace), 'gone')
      assert.equal(await one.users.change(by, grace, { role: 'viewer' }), 'gone')
      assert.equal(await one.users.add(by, { username: 'ada', role: 'viewer', passwordHash: 'x' }), undefined)
    })

    test('attack: an admin who becomes less while a password is hashed goes on with it [ASVS 7.4.2] [ASVS 8.3.2]', async () => {
      await using opened = await open(kind)
      const { one, other } = opened
      await one.add('ada', 'admin')
      const grace = await one.add('grace', 'viewer')
      const ends = [
        (eve: Account) => one.users.change(by, eve, { disabled: true }),
        (eve: Account) => one.users.change(by, eve, { role: 'moderator' }),
        (eve: Account) => one.users.remove(by, eve),
        (eve: Account) => one.changes.commit(one.sessions.endAll(eve.id), [{ actor: 'cli', action: 'session.end', target: eve.id }]),
      ]
      for (const [i, end] of ends.entries()) {
        const eve = await one.add(`eve-${i}`, 'admin')
        const session = { id: `s${i}`, accountId: eve.id, epoch: 0, amr: 'pwd', mfa: false, browser: false, client: null, userAgent: null }
        await one.changes.commit([one.sessions.open(session)], [{ actor: eve.id, action: 'session.create', target: session.id }])
        const asEve = { actor: eve.id, hold: one.sessions.hold(session.id, 'users:write') }
        const added = await other.users.add(asEve, { username: `made-by-eve-${i}`, role: 'viewer', passwordHash: 'x' })
        assert.equal(typeof added, 'string', 'she may')
        await end(eve)
        const refused = { name: 'Problem', code: 'unauthenticated' }
        const later = { username: `made-later-${i}`, role: 'admin', passwordHash: 'x' } as const
        await assert.rejects(other.users.add(asEve, later), refused)
        await assert.rejects(other.users.change(asEve, grace, { role: 'admin' }), refused)
        await assert.rejects(other.users.remove(asEve, grace), refused)
        assert.equal(await one.accounts.byUsername(later.username), undefined)
        assert.deepEqual(await one.accounts.byId(grace.id), grace)
      }
    })
  })
}
