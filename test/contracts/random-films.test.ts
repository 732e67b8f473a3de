import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'

import { createFilmRepository, type FilmRepository } from '../../src/api/films/repository.ts'
import type { Film } from '../../src/api/films/schema.ts'
import { createVoteRepository } from '../../src/api/votes/repository.ts'
import { systemClock } from '../../src/core/clock.ts'
import { databases } from '../support/databases.ts'
import { seededRandom } from '../support/random.ts'
import { describeUnless } from '../support/services.ts'
import { chiSquare, chiSquareTail } from '../support/statistics.ts'
import { voteOn } from '../support/vote.ts'

const named = (count: number): { name: string }[] => Array.from({ length: count }, (_, i) => ({ name: `Film ${i + 1}` }))

const pick = async ({ picks }: FilmRepository): Promise<Film | undefined> => picks.take() ?? (await picks.next())

const pickIds = async (films: FilmRepository, count: number): Promise<number[]> => {
  const ids: number[] = []
  while (ids.length < count) ids.push((await pick(films))?.id ?? 0)
  return ids
}

/** Fails when chance alone gives such counts, too uneven or too even, less than once in a million runs. */
const assertUniform = (t: TestContext, what: string, values: readonly number[], cells: readonly number[]): void => {
  const counts = new Map(cells.map((cell) => [cell, 0]))
  for (const value of values) {
    const count = counts.get(value)
    assert.ok(count !== undefined, `${what}: ${value} cannot come`)
    counts.set(value, count + 1)
  }
  const statistic = chiSquare([...counts.values()])
  const p = chiSquareTail(statistic, cells.length - 1)
  t.diagnostic(`${what}: chi-square ${statistic.toFixed(1)} with ${cells.length - 1} degrees of freedom, p = ${p.toPrecision(3)}`)
  assert.ok(p > 1e-6 && p < 1 - 1e-6, `${what}: p = ${p}`)
}

test('the chi-square tail agrees with the tables', () => {
  // NIST/SEMATECH e-Handbook of Statistical Methods, section 1.3.6.7.4.
  for (const [df, statistic, p] of [
    [1, 3.841, 0.05],
    [10, 18.307, 0.05],
    [10, 29.588, 0.001],
    [100, 124.342, 0.05],
    [100, 77.929, 0.95],
  ] as const) {
    assert.ok(Math.abs(chiSquareTail(statistic, df) - p) < p * 2e-3, `${df} ${statistic}`)
  }
})

for (const kind of databases) {
  describeUnless(kind.missing, `random films on ${kind.name}`, () => {
    test('uniform over the films that are left when half of them are gone', async (t) => {
      await using opened = await kind.open()
      const films = createFilmRepository(opened.database, systemClock)
      const random = seededRandom(t)
      await films.seed(named(400))
      const left = new Set(Array.from({ length: 400 }, (_, i) => i + 1))
      while (left.size > 200) {
        const id = 1 + random.below(400)
        assert.equal(await films.remove(id), left.delete(id))
      }
      assertUniform(t, '200 films', await pickIds(films, 100_000), [...left])
    })

    test('one pick says nothing about the next, within a batch and across its border', async (t) => {
      await using opened = await kind.open()
      const films = createFilmRepository(opened.database, systemClock)
      await films.seed(named(8))
      const ids = await pickIds(films, 128_000)
      const pairs = Array.from({ length: 64 }, (_, i) => i)
      for (const distance of [1, 2, 7, 255, 256, 257]) {
        // Disjoint pairs, so that they are independent of one another.
        const starts = [...ids.keys()].filter((i) => Math.floor(i / distance) % 2 === 0 && i + distance < ids.length)
        assertUniform(
          t,
          `pairs at distance ${distance}`,
          starts.map((i) => ((ids[i] ?? 0) - 1) * 8 + (ids[i + distance] ?? 0) - 1),
          pairs,
        )
      }
    })

    test('uniform while films are voted on all the time: one that changes comes neither more nor less often', async (t) => {
      await using opened = await kind.open()
      const films = createFilmRepository(opened.database, systemClock)
      await films.seed(named(20))
      const ids: number[] = []
      for (let i = 0; i < 40_000; i++) {
        // Films 1 and 2 change before almost every pick.
        films.picks.refresh(1 + (i % 2))
        ids.push((await pick(films))?.id ?? 0)
      }
      assertUniform(
        t,
        '20 films',
        ids,
        Array.from({ length: 20 }, (_, i) => i + 1),
      )
    })

    test('uniform for many askers at once', async (t) => {
      await using opened = await kind.open()
      const films = createFilmRepository(opened.database, systemClock)
      await films.seed(named(50))
      const ids = (await Promise.all(Array.from({ length: 64 }, () => pickIds(films, 500)))).flat()
      assertUniform(
        t,
        '50 films',
        ids,
        Array.from({ length: 50 }, (_, i) => i + 1),
      )
    })

    test('a film that was removed never comes again, not even from a batch that was fetched before', async () => {
      await using opened = await kind.open()
      const films = createFilmRepository(opened.database, systemClock)
      await films.seed(named(6))
      for (let id = 1; id <= 5; id++) {
        // A batch is ready, and another is on its way while the film goes.
        await pickIds(films, 300)
        const onItsWay = films.picks.next()
        assert.equal(await films.remove(id), true)
        await onItsWay
        assert.ok(
          (await pickIds(films, 600)).every((picked) => picked > id),
          `film ${id}`,
        )
      }
      assert.equal(await films.remove(6), true)
      assert.equal(films.picks.take(), undefined)
      assert.equal(await films.picks.next(), undefined)
    })

    test('a film that was added can come at once', async () => {
      await using opened = await kind.open()
      const films = createFilmRepository(opened.database, systemClock)
      await films.seed(named(1))
      await pickIds(films, 10)
      for (let count = 2; count <= 4; count++) {
        const { id } = await films.add({ name: 'New' })
        // Missing it 200 times in a row has a probability below 1e-24.
        assert.ok((await pickIds(films, 200)).includes(id))
      }
    })

    test('what another instance writes is seen when a second has passed', async () => {
      await using opened = await kind.open()
      let nowMs = 5000
      const here = createFilmRepository(opened.database, { epochMs: Date.now, monotonicMs: () => nowMs })
      const votesThere = createVoteRepository(await opened.another(), systemClock.epochMs)
      await here.seed(named(3))
      await pickIds(here, 600)
      assert.equal(await voteOn(votesThere, 2, 'elsewhere', 'like'), true)
      nowMs += 1001
      const films: (Film | undefined)[] = []
      while (films.length < 600) films.push(await pick(here))
      assert.ok(films.every((film) => film?.likes === (film?.id === 2 ? 1 : 0)))
    })

    test('a film that was voted on is handed out with its new counters', async () => {
      await using opened = await kind.open()
      const films = createFilmRepository(opened.database, systemClock)
      const votes = createVoteRepository(opened.database, systemClock.epochMs)
      await films.seed(named(3))
      for (let likes = 1; likes <= 30; likes++) {
        const onItsWay = films.picks.next()
        assert.equal(await voteOn(votes, 2, `voter ${likes}`, 'like'), true)
        films.picks.refresh(2)
        await onItsWay
        for (let i = 0; i < 40; i++) {
          const film = await pick(films)
          assert.equal(film?.likes, film?.id === 2 ? likes : 0)
        }
      }
    })

    test("another instance's films, removals and votes are seen within a second", async () => {
      let nowMs = 0
      await using opened = await kind.open()
      const films = createFilmRepository(opened.database, { epochMs: Date.now, monotonicMs: () => nowMs })
      const elsewhere = createFilmRepository(await opened.another(), systemClock)
      const votesElsewhere = createVoteRepository(opened.database, systemClock.epochMs)
      await films.seed(named(3))
      await pickIds(films, 300)
      await elsewhere.remove(1)
      await elsewhere.add({ name: 'New' })
      await voteOn(votesElsewhere, 2, 'voter', 'dislike')
      nowMs = 1001
      const seen = new Map<number, Film>()
      for (let i = 0; i < 200; i++) {
        const film = await pick(films)
        if (film) seen.set(film.id, film)
      }
      assert.deepEqual(
        [...seen.keys()].toSorted((a, b) => a - b),
        [2, 3, 4],
      )
      assert.equal(seen.get(2)?.dislikes, 1)
    })
  })
}
