import assert from 'node:assert/strict'
import { test } from 'node:test'

import { openSweep } from '../../src/api/accounts/sweep.ts'
import { createAuditTrail } from '../../src/api/audit/trail.ts'
import { createDecisionRepository, type DecisionRepository, type DecisionPlace } from '../../src/api/security/decision-repository.ts'
import { createDecisionReads } from '../../src/api/security/decision-reads.ts'
import type { Database } from '../../src/db/open.ts'
import type { Outcome, Unit } from '../../src/db/unit.ts'
import { databases } from '../support/databases.ts'
import { eventually } from '../support/deadline.ts'
import { day, hour, minute, openInstance, testDecision } from '../support/decisions.ts'
import { createManualClock } from '../support/manual-clock.ts'
import { describeUnless } from '../support/services.ts'

const auditKey = Buffer.alloc(32, 5)

const repositoryOf = (database: Pick<Database, 'reader' | 'commit' | 'channel'>, epochMs: () => number): DecisionRepository =>
  createDecisionRepository({ database, trail: createAuditTrail(database as Database, epochMs, auditKey), epochMs })

const idsOf = (decisions: readonly { readonly id: string }[]): string[] => decisions.map(({ id }) => id)

for (const kind of databases) {
  describeUnless(kind.missing, `decisions in ${kind.name}`, () => {
    test('the list goes newest first, page by page, by scope, target, rule and whether it is in force', async () => {
      await using opened = await kind.open()
      const now = Date.now()
      const repository = repositoryOf(opened.database, () => now)
      // Several of one millisecond: the page ends between them.
      const made = Array.from({ length: 25 }, (_, i) =>
        testDecision({
          scope: i % 2 === 0 ? 'client' : 'account',
          target: i % 2 === 0 ? `198.51.100.${i % 6}` : 'uaccount',
          rule: i % 3 === 0 ? 'other-rule' : 'a-rule',
          createdAt: now - 1000 - Math.floor(i / 4),
          expiresAt: i < 5 ? now - 1 : now + hour,
        }),
      )
      await repository.keep(made.map((decision) => ({ change: 'decided', decision })))
      const lifted = made[20]!
      assert.equal(await repository.lift(lifted.id, 'uadmin'), true)
      const newestFirst = made.toSorted((a, b) => b.createdAt - a.createdAt || (a.id < b.id ? 1 : -1))

      const all: string[] = []
      for (let before: DecisionPlace | undefined; ;) {
        const page = await repository.list({}, 7, before)
        all.push(...idsOf(page))
        before = page.at(-1)
        if (page.length < 7) break
      }
      assert.deepEqual(all, idsOf(newestFirst))
      const expected = (fits: (decision: (typeof made)[number]) => boolean): string[] => idsOf(newestFirst.filter(fits))
      assert.deepEqual(
        idsOf(await repository.list({ scope: 'account' }, 100)),
        expected(({ scope }) => scope === 'account'),
      )
      assert.deepEqual(
        idsOf(await repository.list({ scope: 'client', target: '198.51.100.4', rule: 'a-rule' }, 100)),
        expected(({ target, rule }) => target === '198.51.100.4' && rule === 'a-rule'),
      )
      const isActive = ({ id, expiresAt }: (typeof made)[number]): boolean => id !== lifted.id && expiresAt > now
      assert.deepEqual(idsOf(await repository.list({ active: true }, 100)), expected(isActive))
      assert.deepEqual(
        idsOf(await repository.list({ active: false }, 100)),
        expected((one) => !isActive(one)),
      )
      assert.deepEqual(await repository.find(lifted.id), { ...lifted, liftedAt: now, liftedBy: 'uadmin' })
      assert.equal(await repository.find('unknown'), undefined)
    })

    test('attack: more short bans than a start reads push out no ban that lasts longer', async () => {
      await using opened = await kind.open()
      const now = Date.now()
      const repository = repositoryOf(opened.database, () => now)
      const long = testDecision({ createdAt: now - 5 * day, expiresAt: now + 2 * day })
      const short = Array.from({ length: 6 }, (_, i) => testDecision({ createdAt: now - i, expiresAt: now + minute + i }))
      const over = Array.from({ length: 6 }, () => testDecision({ createdAt: now - 5 * minute, expiresAt: now - 1 }))
      await repository.keep([long, ...over, ...short].map((decision) => ({ change: 'decided', decision })))
      const read = async (most: number) => new Set(idsOf(await createDecisionReads(opened.database.reader, () => now, most).load()))
      assert.deepEqual(await read(3), new Set(idsOf([long, short[5]!, short[4]!])))
      const eight = await read(8)
      assert.ok(idsOf([long, ...short]).every((id) => eight.has(id)))
      assert.equal(eight.size, 8)
      assert.equal((await read(100)).size, 13)
    })

    test('what is over can be lifted by nobody, and what a database cannot hold keeps nothing else from it', async () => {
      await using opened = await kind.open()
      const now = Date.now()
      const repository = repositoryOf(opened.database, () => now)
      const over = testDecision({ expiresAt: now })
      const strange = testDecision({ target: 'a\0b\ud800', reason: "'); drop table decision; --", rule: null })
      const impossible = testDecision({ scope: 'everybody' as never })
      const good = testDecision()
      await repository.keep([over, strange, impossible, good, good].map((decision) => ({ change: 'decided', decision })))
      assert.equal(await repository.lift(over.id, 'uadmin'), false)
      assert.equal((await repository.find(strange.id))?.reason, strange.reason)
      assert.equal(await repository.find(impossible.id), undefined)
      assert.notEqual(await repository.find(good.id), undefined)
      // Whoever saves it again would change what is known to others.
      await repository.keep([{ change: 'lifted', id: good.id, by: 'uother' }])
      await repository.keep([{ change: 'decided', decision: good }])
      assert.equal((await repository.find(good.id))?.liftedBy, 'uother')
    })

    test('who reads what is newer misses nothing of what many write at once', async () => {
      await using opened = await kind.open()
      const writers = [opened.database, await opened.another(), await opened.another()].map((one) => repositoryOf(one, Date.now))
      const reader = repositoryOf(await opened.another(), Date.now)
      const seen = new Set<string>()
      let seq = 0
      let reading = Promise.resolve()
      const read = async (): Promise<void> => {
        const newer = await reader.newer(seq, 20)
        assert.ok(newer.seq >= seq)
        seq = newer.seq
        for (const change of newer.changes) if (change.change === 'decided') seen.add(change.decision.id)
      }
      // Four at once on each of three instances, twenty times.
      const rows = Array.from({ length: 12 }, () => Array.from({ length: 20 }, () => testDecision()))
      const made = rows.flat()
      const written = rows.map(async (row, i) => {
        for (const decision of row) {
          await writers[i % 3]!.keep([{ change: 'decided', decision }])
          // In the middle of the others' writes, one read after the other.
          reading = reading.then(read)
        }
      })
      await Promise.all(written)
      await reading
      await read()
      for (let before = -1; before < seq;) {
        before = seq
        await read()
      }
      assert.deepEqual([...seen].toSorted(), idsOf(made).toSorted())
    })

    test('a hundred who lift at once: one did, and the trail says who', async () => {
      await using opened = await kind.open()
      const databasesAtOnce = [opened.database, await opened.another()]
      const [here, there] = databasesAtOnce.map((one) => repositoryOf(one, Date.now)) as [DecisionRepository, DecisionRepository]
      const decision = testDecision({ by: 'uadmin', rule: null })
      await here.save(decision)
      const lifts = await Promise.all(Array.from({ length: 100 }, (_, i) => (i % 2 === 0 ? here : there).lift(decision.id, `u${i}`)))
      assert.equal(lifts.filter(Boolean).length, 1)
      const { reader } = opened.database
      const entries = await reader.selectFrom('audit').select('actor').where('action', '=', 'decision.lift').execute()
      assert.deepEqual(entries, [{ actor: `u${lifts.indexOf(true)}` }])
    })

    test('a backup is put back under a server that runs, so numbers are given again: what comes behind is heard of', async () => {
      await using place = await kind.place()
      await using here = await openInstance({ place })
      await using there = await openInstance({ place })
      for (let i = 0; i < 5; i++) await there.store.save(testDecision())
      await eventually(20_000, 'all are known', () => here.monitor.decisions.size === 5)
      await kind.change(place, 'delete from decision where seq > 1')
      await kind.change(place, 'update decision_head set seq = 1')
      const made = testDecision()
      await there.store.save(made)
      await eventually(20_000, 'the next is heard of', () => here.monitor.decisions.get(made.id) !== undefined)
    })

    test('a write that fails leaves neither decision nor entry', async () => {
      await using opened = await kind.open()
      const { database } = opened
      const failing = { ...database, commit: (unit: Unit): Promise<Outcome> => database.commit([...unit, { ...unit[0]!, rows: 99 }]) }
      const repository = repositoryOf(failing, Date.now)
      const decision = testDecision({ by: 'uadmin' })
      await assert.rejects(repository.save(decision))
      assert.equal(await repository.find(decision.id), undefined)
      assert.deepEqual(await database.reader.selectFrom('audit').selectAll().execute(), [])
    })

    test('what is over goes after thirty days, what is in force and what counts as an offence stays', async () => {
      await using opened = await kind.open()
      const clock = createManualClock()
      const { database } = opened
      const repository = repositoryOf(database, clock.epochMs)
      const now = clock.epochMs()
      const [short, long] = [testDecision({ createdAt: now, expiresAt: now + hour }), testDecision({ expiresAt: now + 365 * day })]
      await repository.keep([short, long].map((decision) => ({ change: 'decided', decision })))
      const sweep = openSweep({ database, epochMs: clock.epochMs, idleMs: day, timers: clock, warn: assert.fail })
      clock.advance(6 * day)
      assert.equal(await sweep.run(), 0)
      assert.deepEqual(idsOf(await repository.load()).toSorted(), idsOf([short, long]).toSorted())
      clock.advance(24 * day)
      assert.equal(await sweep.run(), 0)
      clock.advance(hour + minute)
      assert.equal(await sweep.run(), 1)
      assert.deepEqual(idsOf(await repository.load()), [long.id])
      sweep.close()
    })

    test('ten thousand are loaded, oldest first and without their evidence', async (t) => {
      await using opened = await kind.open()
      const now = Date.now()
      const repository = repositoryOf(opened.database, () => now)
      // As the oldest row: it still holds.
      const first = testDecision({ createdAt: now - 20 * day, expiresAt: now + hour })
      await repository.keep([{ change: 'decided', decision: first }])
      const sweep = openSweep({
        database: opened.database,
        epochMs: () => now,
        idleMs: day,
        timers: createManualClock(),
        warn: assert.fail,
      })
      const made = Array.from({ length: 10_000 }, () => testDecision({ createdAt: now }))
      for (let i = 0; i < made.length; i += 500)
        await repository.keep(made.slice(i, i + 500).map((decision) => ({ change: 'decided', decision })))
      const startMs = performance.now()
      const loaded = await repository.load()
      t.diagnostic(`10,001 decisions are loaded within ${(performance.now() - startMs).toFixed(0)} ms`)
      assert.equal(loaded.length, 10_001)
      assert.equal(loaded[0]?.id, first.id, 'the oldest first')
      assert.ok(
        loaded.every(({ evidence }) => evidence === null),
        'evidence stays where it is',
      )
      assert.equal(await sweep.run(), 0)
      sweep.close()
    })
  })
}
