import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'

import { type Break, type Verification, formatLink, parseLink, verifyTrail } from '../../src/api/audit/verify.ts'
import { accountSql, auditedPlace, fillTrail, forgedRow, keyOf, tamper, writeRows } from '../support/audited.ts'
import { type DatabaseKind, databases, openAt, type Place } from '../support/databases.ts'
import { describeUnless } from '../support/services.ts'

const verify = async (place: Place, expected?: { seq: number; mac: string }, key = keyOf(place)): Promise<Verification> => {
  await using opened = await openAt(place)
  return await verifyTrail(opened.database.reader, key, expected)
}

const headOf = async (place: Place): Promise<{ seq: number; mac: string }> => {
  const verified = await verify(place)
  assert.ok(verified.holds, JSON.stringify(verified))
  return verified.head
}

const macOf = (seq: number): string => `(select mac from audit where seq = ${seq})`

/** Of a trail with six rows: what somebody does to it, and the link that is found broken first. */
const tamperings: readonly (readonly [attack: string, sql: string, seq: number, kind: Break['kind']])[] = [
  ['an actor is changed', "update audit set actor = 'ub' where seq = 3", 3, 'changed'],
  ['an action is changed', "update audit set action = 'test.other' where seq = 6", 6, 'changed'],
  ['a target is changed', "update audit set target = 'x' where seq = 1", 1, 'changed'],
  ['a time is changed', 'update audit set at = at + 1 where seq = 3', 3, 'changed'],
  ['details are changed', `update audit set details = '{"n":2}' where seq = 3`, 3, 'changed'],
  ['details are spelled otherwise', `update audit set details = '{ "n":1}' where seq = 3`, 3, 'changed'],
  ['the request is forgotten', 'update audit set request_id = null where seq = 3', 3, 'changed'],
  ['the client is forgotten', "update audit set client = '' where seq = 3", 3, 'changed'],
  ['a MAC is changed', "update audit set mac = 'x' where seq = 3", 3, 'changed'],
  [
    'two rows change places',
    'update audit set seq = 99 where seq = 3; update audit set seq = 3 where seq = 4; update audit set seq = 4 where seq = 99',
    3,
    'changed',
  ],
  ['the first row is removed', 'delete from audit where seq = 1', 1, 'missing'],
  ['rows in the middle are removed', 'delete from audit where seq in (3, 4)', 3, 'missing'],
  [
    'a row is removed, and those behind it move up',
    'delete from audit where seq = 3; update audit set seq = 3 where seq = 4; update audit set seq = 4 where seq = 5; update audit set seq = 5 where seq = 6; update audit_head set seq = 5',
    3,
    'changed',
  ],
  ['the last row is removed', 'delete from audit where seq = 6', 6, 'missing'],
  [
    'the last row is removed, and the head moved',
    `delete from audit where seq = 6; update audit_head set seq = 5, mac = ${macOf(5)}`,
    5,
    'head',
  ],
  [
    'the end is removed, and a row made the head with its MAC as the seal',
    `delete from audit where seq > 2; update audit_head set seq = 2, mac = ${macOf(2)}, seal = ${macOf(2)}`,
    2,
    'head',
  ],
  ['the head is moved back', `update audit_head set seq = 4, mac = ${macOf(4)}`, 5, 'added'],
  ['the head gets another MAC', `update audit_head set mac = ${macOf(5)}`, 6, 'head'],
  ['the head gets another seal', `update audit_head set seal = ${macOf(6)}`, 6, 'head'],
  ['the head is removed', 'delete from audit_head', 0, 'head'],
  ['a row is added at the end', forgedRow(7), 7, 'added'],
  ['a row is added at the end, and the head moved', `${forgedRow(7)}; update audit_head set seq = 7, mac = ${macOf(7)}`, 7, 'changed'],
  ['a row is added far behind the end', forgedRow(1_000_000), 1_000_000, 'added'],
  ['a row is added before the first', forgedRow(0), 0, 'added'],
  ['a row is added where JavaScript has no numbers', forgedRow(`${2n ** 53n + 1n}`), 2 ** 53, 'added'],
  ['a row is added at the greatest of all numbers', forgedRow(`${2n ** 63n - 1n}`), 2 ** 63, 'added'],
  ['a row is added at the least of all numbers', forgedRow(`${-(2n ** 63n)}`), -(2 ** 63), 'added'],
  ['a time is more than JavaScript has', `update audit set at = ${2n ** 53n + 1n} where seq = 3`, 3, 'changed'],
  ['the head is moved to where JavaScript has no numbers', `update audit_head set seq = ${2n ** 53n + 1n}`, 7, 'missing'],
  ['the last row is removed, and another added behind its place', `delete from audit where seq = 6; ${forgedRow(7)}`, 6, 'missing'],
  ['a row is added in the place of another', `delete from audit where seq = 3; ${forgedRow(3)}`, 3, 'changed'],
  ['everything is removed', 'delete from audit', 1, 'missing'],
  [
    'everything is removed, and the head is as in the beginning',
    `delete from audit; update audit_head set seq = 0, mac = '', seal = ''; ${accountSql('ada')}`,
    1,
    'empty',
  ],
]

const untouched =
  'delete from audit; insert into audit select * from audit_kept; delete from audit_head; insert into audit_head select * from head_kept; delete from account'

for (const kind of databases) {
  describeUnless(kind.missing, `verifying the audit trail on ${kind.name}`, () => {
    test('a trail that nobody touched holds, with any of its links as the anchor; one of no rows too', async () => {
      await using empty = await auditedPlace(kind, 0)
      assert.deepEqual(await verify(empty), { holds: true, rows: 0, head: { seq: 0, mac: '' } })
      await using place = await auditedPlace(kind, 6)
      const head = await headOf(place)
      assert.equal(head.seq, 6)
      for (const { seq, mac } of await place.query('select seq, mac from audit')) {
        const verified = await verify(place, { seq: Number(seq), mac: String(mac) })
        assert.deepEqual(verified, { holds: true, rows: 6, head })
      }
    })

    test('pages of a long trail: each row is looked at once, and one at their border is missed as well', async () => {
      await using place = await auditedPlace(kind, 0)
      await using opened = await openAt(place)
      const key = keyOf(place)
      await fillTrail(opened.database, key, 2500)
      const verified = await verifyTrail(opened.database.reader, key)
      assert.deepEqual([verified.holds, verified.rows], [true, 2500])
      for (const seq of [1000, 1001, 2000]) {
        await kind.change(place, `${seq === 1000 ? guardsDown(kind) : ''} update audit set actor = actor || ' ' where seq = ${seq}`)
        const found = await verifyTrail(opened.database.reader, key)
        assert.ok(!found.holds)
        assert.deepEqual([found.rows, found.broken.seq, found.broken.kind], [seq - 1, seq, 'changed'])
        await kind.change(place, `update audit set actor = rtrim(actor) where seq = ${seq}`)
      }
      await kind.change(place, 'delete from audit where seq = 1001')
      const found = await verifyTrail(opened.database.reader, key)
      assert.ok(!found.holds)
      assert.deepEqual([found.broken.seq, found.broken.kind], [1001, 'missing'])
    })

    test('what is done to its rows', async (t) => {
      await using place = await auditedPlace(kind, 6)
      await tamper(kind, place, 'create table audit_kept as select * from audit; create table head_kept as select * from audit_head')
      await using opened = await openAt(place)
      const { reader } = opened.database
      const key = keyOf(place)
      for (const [attack, sql, seq, what] of tamperings) {
        await t.test(`attack: ${attack}`, async () => {
          await kind.change(place, sql)
          const verified = await verifyTrail(reader, key)
          assert.ok(!verified.holds)
          assert.deepEqual([verified.broken.seq, verified.broken.kind], [seq, what], verified.broken.detail)
          assert.ok(verified.rows <= Math.max(0, seq))
        })
        await kind.change(place, untouched)
        assert.equal((await verifyTrail(reader, key)).holds, true)
      }
    })

    test('attack: rows are cut off and the head is moved, and the program goes on: the place stays to be found', async () => {
      for (const [left, history] of [
        [4, ''],
        [0, accountSql('ada')],
      ] as const) {
        await using place = await auditedPlace(kind, 6)
        const end = left === 0 ? "seq = 0, mac = '', seal = ''" : `seq = ${left}, mac = ${macOf(left)}`
        await tamper(kind, place, `delete from audit where seq > ${left}; update audit_head set ${end}; ${history}`)
        await using opened = await openAt(place)
        await writeRows(opened.database, keyOf(place), ['later', 'and later'])
        const verified = await verifyTrail(opened.database.reader, keyOf(place))
        assert.ok(!verified.holds)
        assert.deepEqual([verified.rows, verified.broken.seq, verified.broken.kind], [left, left + 1, 'changed'])
      }
    })

    test('attack: the whole trail is taken back to what it was: it holds, but not with an anchor from after that', async () => {
      await using place = await auditedPlace(kind, 4)
      const [then] = await place.query('select seq, mac, seal from audit_head')
      assert.ok(then)
      const old = await headOf(place)
      const more = async (names: readonly string[]): Promise<void> => {
        await using opened = await openAt(place)
        await writeRows(opened.database, keyOf(place), names)
      }
      await more(['row 5', 'row 6'])
      const anchor = await headOf(place)
      await tamper(
        kind,
        place,
        `delete from audit where seq > 4; update audit_head set seq = 4, mac = '${String(then['mac'])}', seal = '${String(then['seal'])}'`,
      )
      assert.deepEqual(await verify(place), { holds: true, rows: 4, head: old })
      assert.equal((await verify(place, old)).holds, true)
      const cut = await verify(place, anchor)
      assert.ok(!cut.holds)
      assert.deepEqual([cut.broken.seq, cut.broken.kind], [6, 'anchor'])
      await more(['another 5', 'another 6', 'another 7'])
      assert.equal((await verify(place, old)).holds, true)
      const other = await verify(place, anchor)
      assert.ok(!other.holds)
      assert.deepEqual([other.broken.seq, other.broken.kind, other.rows], [6, 'anchor', 5])
    })

    test('attack: a whole new trail, made with another key', async () => {
      await using place = await auditedPlace(kind, 0)
      const key = randomBytes(32)
      {
        await using opened = await openAt(place)
        await writeRows(opened.database, key, ['a', 'b', 'c'])
      }
      assert.equal((await verify(place, undefined, key)).holds, true)
      const verified = await verify(place)
      assert.ok(!verified.holds)
      assert.deepEqual([verified.rows, verified.broken.seq, verified.broken.kind], [0, 1, 'changed'])
      assert.match(verified.broken.detail, /the key is not the one/)
    })

    test('while rows are added all the time it holds, up to where it was at the beginning', async () => {
      await using place = await auditedPlace(kind, 3)
      await using opened = await openAt(place)
      const other = await opened.another()
      const enough = new AbortController()
      const write = async (): Promise<void> => {
        while (!enough.signal.aborted) await writeRows(other, keyOf(place), ['more'])
      }
      const writer = write()
      for (let round = 0, last = 3; round < 30; round++) {
        const verified = await verifyTrail(opened.database.reader, keyOf(place))
        assert.ok(verified.holds, JSON.stringify(verified))
        assert.ok(verified.head.seq >= last)
        last = verified.head.seq
      }
      enough.abort()
      await writer
    })
  })
}

test('links are read as they are written, and nothing else is one', () => {
  const link = { seq: 42, mac: `-${'a'.repeat(42)}` }
  assert.deepEqual(parseLink(formatLink(link)), link)
  const { mac } = link
  for (const text of [
    '',
    '42',
    `0:${mac}`,
    `042:${mac}`,
    `-1:${mac}`,
    `4e2:${mac}`,
    `42:${mac}=`,
    `42:${mac.slice(1)}`,
    `42: ${mac}`,
    ` 42:${mac}`,
    `${'9'.repeat(16)}:${mac}`,
  ])
    assert.equal(parseLink(text), undefined, text)
})

const guardsDown = (kind: DatabaseKind): string =>
  kind.name === 'sqlite' ? 'drop trigger audit_no_update; drop trigger audit_no_delete;' : 'alter table audit disable trigger all;'
