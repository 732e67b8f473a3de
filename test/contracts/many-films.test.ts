import assert from 'node:assert/strict'
import { test } from 'node:test'

import { normaliseFilm, type StoredFilm } from '../../src/api/films/normalise.ts'
import { createFilmRepository } from '../../src/api/films/repository.ts'
import { systemClock } from '../../src/core/clock.ts'
import { databases, openAt } from '../support/databases.ts'
import { seededRandom } from '../support/random.ts'
import { describeUnless } from '../support/services.ts'
import { assertConsistent } from '../support/stored.ts'

const filmsNamed = (name: string, count: number): StoredFilm[] =>
  Array.from({ length: count }, (_, i) => normaliseFilm({ name: `${name} ${i}` }))

for (const database of databases) {
  describeUnless(database.missing, `many films in one unit, on ${database.name}`, () => {
    test('of every size: all of them, in their order, in the last slots', async () => {
      await using place = await database.place()
      await using opened = await openAt(place)
      const films = createFilmRepository(opened.database, systemClock)
      const expected: string[] = []
      for (const count of [1, 2, 499, 500, 501, 1000, 1203]) {
        const batch = filmsNamed(`Batch of ${count}`, count)
        await films.addMany(batch)
        expected.push(...batch.map(({ name }) => name))
      }
      const rows = await place.query('select slot, name from film order by id')
      assert.deepEqual(
        rows.map(({ name }) => name),
        expected,
      )
      assert.deepEqual(
        rows.map(({ slot }) => slot),
        expected.map((_, i) => i + 1),
      )
    })

    test('beside others that add and remove, on two instances: no slot twice, none left out', async (t) => {
      const random = seededRandom(t)
      await using place = await database.filledPlace(50)
      await using opened = await openAt(place)
      const instances = [opened.database, await opened.another()].map((one) => createFilmRepository(one, systemClock))
      let expected = 50
      const work = Array.from({ length: 60 }, async (_, i) => {
        const films = instances[i % 2]
        const count = random.below(700)
        if (i % 3 === 0) await films?.addMany(filmsNamed(`Many ${i}`, count + 1))
        else if (i % 3 === 1) await films?.add({ name: `One ${i}` })
        else return (await films?.remove(1 + random.below(50))) === true ? -1 : 0
        return i % 3 === 0 ? count + 1 : 1
      })
      for (const change of await Promise.all(work)) expected += change
      await assertConsistent(place)
      const [row] = await place.query('select films from catalogue')
      assert.equal(row?.['films'], expected)
    })

    test('a unit with one film that the database refuses stores none of them', async () => {
      await using place = await database.filledPlace(3)
      await using opened = await openAt(place)
      const films = createFilmRepository(opened.database, systemClock)
      const batch = [...filmsNamed('Good', 700), { ...normaliseFilm({ name: 'x' }), name: '' }]
      await assert.rejects(films.addMany(batch), /conflicted/)
      assert.equal((await place.query('select id from film')).length, 3)
      await assertConsistent(place)
    })
  })
}
