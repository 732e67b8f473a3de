import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { createFilmRepository, type FilmRepository } from '../../src/api/films/repository.ts'
import { createVoteRepository } from '../../src/api/votes/repository.ts'
import { systemClock } from '../../src/core/clock.ts'
import type { Database } from '../../src/db/open.ts'
import { databases } from '../support/databases.ts'
import { describeUnless } from '../support/services.ts'
import { voteOn } from '../support/vote.ts'

const films = (count: number): { name: string }[] => Array.from({ length: count }, (_, i) => ({ name: `Film ${i + 1}` }))

const slotsOf = async ({ reader }: Database): Promise<Map<number, number>> => {
  const rows = await reader.selectFrom('film').select(['id', 'slot']).orderBy('slot').execute()
  return new Map(rows.map(({ id, slot }) => [id, slot]))
}

/** Slots are 1 to n without a hole, and n is what the catalogue counts: a random slot is then a random film. */
const assertDense = async (database: Database, ids: Iterable<number>): Promise<void> => {
  const slots = await slotsOf(database)
  assert.deepEqual(
    [...slots.keys()].toSorted((a, b) => a - b),
    [...ids].toSorted((a, b) => a - b),
  )
  assert.deepEqual(
    [...slots.values()],
    Array.from({ length: slots.size }, (_, i) => i + 1),
  )
  assert.deepEqual(await database.reader.selectFrom('catalogue').select(['id', 'films']).execute(), [{ id: 1, films: slots.size }])
}

const full = { name: 'Amélie', studio: 'UGC', year: 2001, genre: 'Comedy', director: 'Jean-Pierre Jeunet', runtime_min: 122, rating: 8.3 }

/** What breaks SQL that is put together from text, or patterns. */
const hostileTexts = [
  "'; drop table film; --",
  '" or ""="',
  'Amateur Night; or, Get the Hook',
  "Schindler's List",
  '100% _wild_ /* comment */ -- and a \\ backslash',
  '$1 ? :name @x {0} ${1}',
  '\u{1f3ac} \u05d0\u05d1 \u0e44\u0e17\u0e22',
  "X'41' || char(65)",
]

const addedIds = (repository: FilmRepository, count: number): Promise<number[]> =>
  Promise.all(Array.from({ length: count }, async (_, i) => (await repository.add({ name: `Added ${i}` })).id))

for (const kind of databases) {
  describeUnless(kind.missing, `films on ${kind.name}`, () => {
    test('an empty catalogue has no film to give', async () => {
      await using opened = await kind.open()
      const repository = createFilmRepository(opened.database, systemClock)
      assert.equal(await repository.isUntouched(), true)
      assert.equal(repository.picks.take(), undefined)
      assert.equal(await repository.picks.next(), undefined)
      assert.equal(await repository.byId(1), undefined)
      assert.equal(await repository.remove(1), false)
      await assertDense(opened.database, [])
    })

    test('what is added comes back the same, unknown members as null, texts in NFC', async () => {
      await using opened = await kind.open()
      const repository = createFilmRepository(opened.database, systemClock)
      const first = await repository.add(full)
      assert.deepEqual(first, { id: 1, ...full, likes: 0, dislikes: 0 })
      assert.deepEqual(await repository.byId(1), first)
      assert.partialDeepStrictEqual(await repository.picks.next(), first)
      const bare = await repository.add({ name: 'Ame\u0301lie', studio: 'E\u0301clair' })
      const nothing = { year: null, genre: null, director: null, runtime_min: null, rating: null }
      assert.deepEqual(bare, { id: 2, name: 'Am\u00e9lie', studio: '\u00c9clair', ...nothing, likes: 0, dislikes: 0 })
      assert.deepEqual(await repository.byId(2), bare)
    })

    test('hostile texts are values, never SQL', async () => {
      await using opened = await kind.open()
      const repository = createFilmRepository(opened.database, systemClock)
      const withNul = 'in the \0 middle'
      const texts = kind.holdsNul ? [...hostileTexts, withNul] : hostileTexts
      if (!kind.holdsNul) await assert.rejects(repository.add({ name: withNul }))
      const ids: number[] = []
      for (const text of texts) {
        const added = await repository.add({ name: text, studio: text, genre: text, director: text })
        assert.deepEqual(await repository.byId(added.id), { ...added, name: text, studio: text, genre: text, director: text })
        ids.push(added.id)
      }
      await assertDense(opened.database, ids)
    })

    test('100 films added at once get 100 ids and 100 slots', async () => {
      await using opened = await kind.open()
      const repository = createFilmRepository(opened.database, systemClock)
      const ids = await addedIds(repository, 100)
      assert.equal(new Set(ids).size, 100)
      await assertDense(opened.database, ids)
    })

    test('two instances that add and remove at once keep one order of slots', async () => {
      await using opened = await kind.open()
      const here = createFilmRepository(opened.database, systemClock)
      const there = createFilmRepository(await opened.another(), systemClock)
      const before = [...(await addedIds(here, 20)), ...(await addedIds(there, 20))]
      const removals = Promise.all(before.map((id, i) => (i % 2 === 0 ? here : there).remove(id)))
      const [mine, theirs, removed] = await Promise.all([addedIds(here, 20), addedIds(there, 20), removals])
      assert.ok(removed.every(Boolean))
      await assertDense(opened.database, [...mine, ...theirs])
    })

    test('the first, the last, one in between and the only film can be removed', async () => {
      await using opened = await kind.open()
      const repository = createFilmRepository(opened.database, systemClock)
      await repository.seed(films(5))
      const left = new Set([1, 2, 3, 4, 5])
      for (const id of [1, 5, 3, 2, 4]) {
        assert.equal(await repository.remove(id), true)
        left.delete(id)
        assert.equal(await repository.byId(id), undefined)
        assert.equal(await repository.remove(id), false, 'gone')
        await assertDense(opened.database, left)
      }
    })

    test('removing what is not there changes nothing', async () => {
      await using opened = await kind.open()
      const repository = createFilmRepository(opened.database, systemClock)
      await repository.seed(films(3))
      for (const id of [0, -1, 4, 999_999_999_999_999]) assert.equal(await repository.remove(id), false)
      await assertDense(opened.database, [1, 2, 3])
    })

    test('one film removed by many at once is removed by one', async () => {
      await using opened = await kind.open()
      const repository = createFilmRepository(opened.database, systemClock)
      await repository.seed(films(4))
      const removed = await Promise.all(Array.from({ length: 20 }, () => repository.remove(2)))
      assert.equal(removed.filter(Boolean).length, 1)
      await assertDense(opened.database, [1, 3, 4])
    })

    test('an id is never used again, not even that of the last film', async () => {
      await using opened = await kind.open()
      const repository = createFilmRepository(opened.database, systemClock)
      await repository.seed(films(2))
      await repository.remove(2)
      assert.equal((await repository.add({ name: 'New' })).id, 3)
      await repository.remove(3)
      await repository.remove(1)
      assert.equal((await repository.add({ name: 'Newer' })).id, 4)
    })

    test('with a film go its votes', async () => {
      await using opened = await kind.open()
      const repository = createFilmRepository(opened.database, systemClock)
      const votes = createVoteRepository(opened.database, systemClock.epochMs)
      await repository.seed(films(2))
      await voteOn(votes, 1, 'a', 'like')
      await voteOn(votes, 2, 'a', 'like')
      await repository.remove(1)
      assert.deepEqual(await opened.database.reader.selectFrom('vote').select(['film_id', 'voter']).execute(), [{ film_id: 2, voter: 'a' }])
      assert.equal((await repository.byId(2))?.likes, 1)
    })

    test('a catalogue is seeded once, in the order given, and never after it was touched', async () => {
      await using opened = await kind.open()
      const repository = createFilmRepository(opened.database, systemClock)
      assert.equal(await repository.seed(films(1203)), true)
      assert.equal(await repository.isUntouched(), false)
      for (const id of [1, 500, 501, 1203]) assert.equal((await repository.byId(id))?.name, `Film ${id}`)
      assert.equal(await repository.seed(films(2)), false)
      await assertDense(
        opened.database,
        Array.from({ length: 1203 }, (_, i) => i + 1),
      )
    })

    test('an emptied catalogue stays empty: neither a seeded one nor one that was filled by hand is untouched', async () => {
      for (const fill of [
        (repository: FilmRepository) => repository.seed(films(1)),
        (repository: FilmRepository) => repository.add({ name: 'Own' }),
      ]) {
        await using opened = await kind.open()
        const repository = createFilmRepository(opened.database, systemClock)
        await fill(repository)
        await repository.remove(1)
        assert.equal(await repository.isUntouched(), false)
        assert.equal(await repository.seed(films(2)), false)
        await assertDense(opened.database, [])
      }
    })

    test('of two instances that seed at once, one does', async () => {
      await using opened = await kind.open()
      const here = createFilmRepository(opened.database, systemClock)
      const there = createFilmRepository(await opened.another(), systemClock)
      const seeded = await Promise.all([here.seed(films(700)), there.seed(films(700))])
      assert.deepEqual(seeded.toSorted(), [false, true])
      await assertDense(
        opened.database,
        Array.from({ length: 700 }, (_, i) => i + 1),
      )
    })

    test('seeding is all or nothing, and a film that does not fit is not mistaken for a full catalogue', async () => {
      await using opened = await kind.open()
      const repository = createFilmRepository(opened.database, systemClock)
      await assert.rejects(repository.seed([...films(600), { name: '' }]))
      assert.equal(await repository.isUntouched(), true)
      await assertDense(opened.database, [])
    })

    test('any sequence of adding and removing, alone or at once, leaves slots 1 to n', async () => {
      await using opened = await kind.open()
      const repository = createFilmRepository(opened.database, systemClock)
      const alive = new Set<number>()
      const add = async (): Promise<void> => void alive.add((await repository.add({ name: 'Any' })).id)
      const remove = async (id: number): Promise<void> => assert.equal(await repository.remove(id), alive.delete(id))
      // A step is what happens at once; numbers choose among the films there are, -1 adds one.
      const steps = fc.array(
        fc.array(fc.oneof({ weight: 2, arbitrary: fc.constant(-1) }, { weight: 3, arbitrary: fc.nat(1000) }), {
          minLength: 1,
          maxLength: 5,
        }),
        { maxLength: 12 },
      )
      const property = fc.asyncProperty(steps, async (sequence) => {
        for (const step of sequence) {
          const choices = [...alive]
          const gone = new Set(
            step.filter((choice) => choice >= 0 && choices.length > 0).map((choice) => choices[choice % choices.length] ?? 0),
          )
          const added = step.filter((choice) => choice === -1)
          await Promise.all([...[...gone].map(remove), ...added.map(add)])
          await assertDense(opened.database, alive)
        }
      })
      await fc.assert(property, { numRuns: 40 })
    })
  })
}
