import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'

import { createAccountRepository, createAccountStatements } from '../../src/api/accounts/accounts.ts'
import { type AuditPlace, createAuditRepository } from '../../src/api/audit/repository.ts'
import { type AuditEntry, type AuditTrail, createAuditTrail } from '../../src/api/audit/trail.ts'
import { verifyTrail } from '../../src/api/audit/verify.ts'
import type { Role } from '../../src/core/access.ts'
import type { Database } from '../../src/db/open.ts'
import { type Statement, statement } from '../../src/db/unit.ts'
import { type DatabaseKind, databases, openAt } from '../support/databases.ts'
import { describeUnless } from '../support/services.ts'

const key = randomBytes(32)
const at = 1_700_000_000_000
const trailOf = (database: Database): AuditTrail => createAuditTrail(database, () => at, key)
const entry = (target: string): AuditEntry => ({ actor: 'tester', action: 'test.note', target })

const insertKey = ({ reader }: Database, id: string): Statement =>
  statement(
    reader
      .insertInto('api_key')
      .values({ id, subject: 's', name: 'n', secret_hash: 'h', scopes: '', created_at: 1, revoked_at: null })
      .compile(),
    1,
  )

const nobody = ({ reader }: Database): Statement =>
  statement(reader.updateTable('api_key').set({ name: 'x' }).where('id', '=', 'nobody').compile(), 1)

const rowsOf = (database: Database) => database.reader.selectFrom('audit').selectAll().orderBy('seq').execute()
const keysOf = async (database: Database): Promise<string[]> =>
  (await database.reader.selectFrom('api_key').select('id').orderBy('id').execute()).map(({ id }) => id)

const assertHolds = async (database: Database, rows: number): Promise<void> => {
  const verified = await verifyTrail(database.reader, key)
  assert.ok(verified.holds, JSON.stringify(verified))
  assert.deepEqual([verified.rows, verified.head.seq], [rows, rows])
}

const instancesOf = async (kind: DatabaseKind, count: number) => {
  const opened = await kind.open()
  const all = [opened.database]
  while (all.length < count) all.push(await opened.another())
  return { all, [Symbol.asyncDispose]: opened[Symbol.asyncDispose] }
}

for (const kind of databases) {
  describeUnless(kind.missing, `the audit trail on ${kind.name}`, () => {
    test('a unit is stored with its entries, and gives back what its own statements returned', async () => {
      await using opened = await kind.open()
      const { database } = opened
      const returning = statement(database.reader.updateTable('api_key').set({ name: 'x' }).returning('id').compile(), 1)
      const details = { role: 'admin', count: 2, on: true, nothing: null, text: '"\n\u0000ü🎬' }
      const full: AuditEntry = { actor: 'u1', action: 'key.create', target: 'a', details, requestId: 'r', client: '192.0.2.7' }
      const outcome = await trailOf(database).commit([insertKey(database, 'a'), returning], [full, entry('two')])
      assert.ok(outcome.result === 'committed')
      assert.deepEqual(
        outcome.rows.map((rows) => rows.map((row) => ({ ...row }))),
        [[], [{ id: 'a' }]],
      )
      const [first, second, ...more] = await rowsOf(database)
      assert.ok(first && second && more.length === 0)
      const { mac, details: stored, ...members } = first
      assert.deepEqual(members, { seq: 1, at, actor: 'u1', action: 'key.create', target: 'a', request_id: 'r', client: '192.0.2.7' })
      assert.deepEqual(JSON.parse(stored), details)
      assert.match(mac, /^[A-Za-z0-9_-]{43}$/)
      assert.deepEqual([second.seq, second.details, second.request_id, second.client], [2, '{}', null, null])
      await assertHolds(database, 2)
    })

    test('three instances that write at once: every row is there once, the chain holds, nothing is lost', async () => {
      await using instances = await instancesOf(kind, 3)
      const each = 40
      const outcomes = await Promise.all(
        instances.all.flatMap((database, instance) => {
          const trail = trailOf(database)
          return Array.from({ length: each }, (_, i) => {
            const id = `${instance}-${String(i).padStart(2, '0')}`
            return trail.commit([insertKey(database, id)], i % 3 === 0 ? [entry(id), entry(`${id} again`)] : [entry(id)])
          })
        }),
      )
      assert.deepEqual(
        outcomes.filter(({ result }) => result !== 'committed'),
        [],
      )
      const [database] = instances.all
      assert.ok(database)
      const rows = await rowsOf(database)
      const expected = (await keysOf(database)).flatMap((id) => (Number(id.split('-')[1]) % 3 === 0 ? [id, `${id} again`] : [id]))
      assert.equal(expected.length, 3 * (each + 14))
      assert.deepEqual(rows.map(({ target }) => target).toSorted(), expected.toSorted())
      assert.deepEqual(
        rows.map(({ seq }) => seq),
        rows.map((_, i) => i + 1),
      )
      await assertHolds(database, expected.length)
    })

    test('a conflict names the statement of the unit, and neither the unit nor its entries are stored', async () => {
      await using instances = await instancesOf(kind, 2)
      const [database, other] = instances.all as [Database, Database]
      const [trail, otherTrail] = [trailOf(database), trailOf(other)]
      const conflicting = [
        [[nobody(database)], 0],
        [[insertKey(database, 'a'), nobody(database)], 1],
        [[insertKey(database, 'a'), insertKey(database, 'b'), insertKey(database, 'a')], 2],
      ] as const
      for (const [unit, index] of conflicting) {
        // While the other instance moves the end of the chain.
        const [outcome] = await Promise.all([
          trail.commit(unit, [entry('never')]),
          ...Array.from({ length: 5 }, () => otherTrail.commit([], [entry('other')])),
        ])
        assert.deepEqual(outcome, { result: 'conflict', statement: index })
      }
      assert.deepEqual(await keysOf(database), [])
      assert.deepEqual(new Set((await rowsOf(database)).map(({ target }) => target)), new Set(['other']))
      await assertHolds(database, 15)
    })

    test('a store that is not there stores neither, and the trail goes on where it was', async () => {
      await using place = await kind.place()
      await using opened = await openAt(place)
      const { database } = opened
      await trailOf(database).commit([insertKey(database, 'a')], [entry('a')])
      const closed = await opened.another()
      const trail = trailOf(closed)
      await trail.commit([], [entry('b')])
      await closed.close()
      // What it knows of the end lets it try without a look; a look would reject.
      assert.equal((await trail.commit([insertKey(database, 'c')], [entry('c')])).result, 'unavailable')
      await assert.rejects(trail.commit([insertKey(database, 'd')], [entry('d')]))
      assert.deepEqual(await keysOf(database), ['a'])
      assert.equal((await trailOf(database).commit([], [entry('e')])).result, 'committed')
      assert.deepEqual(
        (await rowsOf(database)).map(({ target }) => target),
        ['a', 'b', 'e'],
      )
      await assertHolds(database, 3)
    })

    test('text that a database would give back otherwise is stored as what it can hold', async () => {
      await using opened = await kind.open()
      const { database } = opened
      const odd = { actor: 'a\0b', action: '\uD800', target: '\uDC00x', details: { text: '\uD800\0' }, requestId: '\0', client: '\uDFFF' }
      assert.equal((await trailOf(database).commit([], [odd])).result, 'committed')
      const [row] = await rowsOf(database)
      assert.deepEqual([row?.actor, row?.action, row?.target, row?.client], ['a\uFFFDb', '\uFFFD', '\uFFFDx', '\uFFFD'])
      await assertHolds(database, 1)
    })

    test('two admins that demote, disable or remove each other at once: one of them stays, each time', async () => {
      await using instances = await instancesOf(kind, 2)
      const [here, there] = instances.all as [Database, Database]
      const sides = [here, there].map((database) => ({
        trail: trailOf(database),
        statements: createAccountStatements(database, () => at),
        accounts: createAccountRepository(database),
      })) as [Side, Side]
      for (let round = 0; round < 12; round++) {
        const [a, b] = [`a${round}`, `b${round}`] as const
        for (const id of [a, b]) await sides[0].trail.commit([sides[0].statements.add(account(id, 'admin'))], [entry(id)])
        const against = [
          (side: Side, id: string) => side.statements.setRole(id, 'viewer'),
          (side: Side, id: string) => side.statements.setDisabled(id, true),
          (side: Side, id: string) => side.statements.remove(id),
        ]
        const [one, other] = [against[round % 3], against[Math.floor(round / 3) % 3]] as [Against, Against]
        const outcomes = await Promise.all([
          sides[0].trail.commit([one(sides[0], b)], [entry(b)]),
          sides[1].trail.commit([other(sides[1], a)], [entry(a)]),
        ])
        assert.deepEqual(
          outcomes.map(({ result }) => result).toSorted(),
          ['committed', 'conflict'],
          'exactly one of them won, and the loser was told',
        )
        assert.ok(await sides[1].accounts.hasAdmin())
        // For the next round.
        const winner = outcomes[0].result === 'committed' ? a : b
        await here.commit([{ sql: `delete from account where id <> '${winner}'`, parameters: [] }])
        await here.commit([{ sql: `update account set role = 'viewer'`, parameters: [] }])
      }
    })

    test('of two that claim the first admin at once, one is', async () => {
      await using instances = await instancesOf(kind, 3)
      const outcomes = await Promise.all(
        instances.all.map((database, i) =>
          trailOf(database).commit(
            [createAccountStatements(database, () => at).addFirstAdmin({ id: `u${i}`, username: `n${i}`, passwordHash: null })],
            [entry(`u${i}`)],
          ),
        ),
      )
      assert.deepEqual(outcomes.map(({ result }) => result).toSorted(), ['committed', 'conflict', 'conflict'])
      assert.equal(
        outcomes.filter((outcome) => outcome.result === 'conflict').every(({ statement: index }) => index === 0),
        true,
      )
      await assertHolds(instances.all[0] as Database, 1)
    })

    test('several filters look at so many rows for one page and no more; the next ones find what is further back', async () => {
      await using opened = await kind.open()
      const { database } = opened
      const trail = trailOf(database)
      await trail.commit([], [{ actor: 'bulk', action: 'test.rare', target: 'oldest' }])
      const many = Array.from({ length: 1000 }, (_, i) => ({ actor: 'bulk', action: 'test.note', target: `${i}` }))
      for (let i = 0; i < 11; i++) await trail.commit([], many)
      const audit = createAuditRepository(database)
      const filters = { actor: 'bulk', action: 'test.rare' }
      const found: string[] = []
      let pages = 0
      for (let after: AuditPlace | undefined; pages === 0 || after !== undefined; pages++) {
        const page = await audit.list(filters, 10, after)
        found.push(...page.rows.map(({ target }) => target))
        after = page.next
      }
      assert.deepEqual([found, pages], [['oldest'], 3])
      const { rows, next } = await audit.list({ actor: 'bulk', target: '7' }, 10)
      assert.deepEqual([rows.length, next], [10, { at, seq: rows.at(-1)?.seq }])
    })

    test("attack: an injection with the program's own rights changes, removes or replaces rows, or takes the head back", async () => {
      await using opened = await kind.open()
      const { database } = opened
      const trail = trailOf(database)
      for (const target of ['a', 'b', 'c']) await trail.commit([], [entry(target)])
      const before = await rowsOf(database)
      const attacks = [
        "update audit set actor = 'nobody' where seq = 2",
        'update audit set seq = 9 where seq = 3',
        'delete from audit where seq = 3',
        'delete from audit',
        'delete from audit_head',
        "update audit_head set seq = 2, mac = (select mac from audit where seq = 2), seal = ''",
        "update audit_head set mac = ''",
        "insert into audit (seq, at, actor, action, target, details, mac) values (2, 1, 'x', 'x', 'x', '{}', 'x') on conflict (seq) do update set actor = 'x'",
        "insert into audit_head (id, seq, mac, seal) values (1, 0, '', '') on conflict (id) do update set seq = 0",
        ...(kind.name === 'sqlite'
          ? [
              "insert or replace into audit (seq, at, actor, action, target, details, mac) values (2, 1, 'x', 'x', 'x', '{}', 'x')",
              "insert or replace into audit_head (id, seq, mac, seal) values (1, 0, '', '')",
              "update or replace audit_head set seq = 0, mac = ''",
            ]
          : ['truncate audit', 'truncate audit_head']),
      ]
      for (const sql of attacks) {
        const { result } = await database.commit([{ sql, parameters: [] }])
        assert.notEqual(result, 'committed', sql)
        assert.deepEqual(await rowsOf(database), before, sql)
      }
      await assertHolds(database, 3)
    })
  })
}

interface Side {
  readonly trail: AuditTrail
  readonly statements: ReturnType<typeof createAccountStatements>
  readonly accounts: ReturnType<typeof createAccountRepository>
}
type Against = (side: Side, id: string) => Statement

const account = (id: string, role: Role) => ({ id, username: id, role, passwordHash: null })
