import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { createFilmRepository } from '../../src/api/films/repository.ts'
import { createVoteRepository, type VoteValue } from '../../src/api/votes/repository.ts'
import { systemClock } from '../../src/core/clock.ts'
import type { Database } from '../../src/db/open.ts'
import { databases, type DatabaseKind } from '../support/databases.ts'
import { describeUnless } from '../support/services.ts'
import { voteOn } from '../support/vote.ts'

const filmCount = 4

const setUp = async (kind: DatabaseKind) => {
  const opened = await kind.open()
  const films = createFilmRepository(opened.database, systemClock)
  await films.seed(Array.from({ length: filmCount }, (_, i) => ({ name: `Film ${i + 1}` })))
  const votes = createVoteRepository(opened.database, systemClock.epochMs)
  return { opened, database: opened.database, films, votes, [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose]() }
}

/** `film voter value`, sorted. */
const votesOf = async ({ reader }: Database): Promise<string[]> => {
  const rows = await reader.selectFrom('vote').select(['film_id', 'voter', 'value']).execute()
  return rows.map(({ film_id: filmId, voter, value }) => `${filmId} ${voter} ${value}`).toSorted()
}

const assertCounted = async (database: Database): Promise<void> => {
  const votes = await database.reader.selectFrom('vote').select(['film_id', 'value']).execute()
  const films = await database.reader.selectFrom('film').select(['id', 'likes', 'dislikes']).execute()
  for (const { id, likes, dislikes } of films) {
    const values = votes.filter((vote) => vote.film_id === id).map(({ value }) => value)
    assert.deepEqual(
      { likes, dislikes },
      { likes: values.filter((value) => value === 1).length, dislikes: values.filter((value) => value === -1).length },
      `film ${id}`,
    )
  }
}

const values: readonly VoteValue[] = ['like', 'dislike']

for (const kind of databases) {
  describeUnless(kind.missing, `votes on ${kind.name}`, () => {
    test('a later vote replaces the earlier one; the same again changes nothing', async () => {
      await using context = await setUp(kind)
      const { votes, films, database } = context
      const sequence: [VoteValue, number, number][] = [
        ['like', 1, 0],
        ['like', 1, 0],
        ['dislike', 0, 1],
        ['dislike', 0, 1],
        ['like', 1, 0],
      ]
      for (const [value, likes, dislikes] of sequence) {
        assert.equal(await voteOn(votes, 1, 'a', value), true)
        const film = await films.byId(1)
        assert.deepEqual([film?.likes, film?.dislikes], [likes, dislikes])
        assert.deepEqual(await votesOf(database), [`1 a ${value === 'like' ? 1 : -1}`])
      }
    })

    test('votes of different voters and on different films do not touch one another', async () => {
      await using context = await setUp(kind)
      const { votes, films, database } = context
      await voteOn(votes, 1, 'a', 'like')
      await voteOn(votes, 1, 'b', 'dislike')
      await voteOn(votes, 2, 'a', 'dislike')
      await voteOn(votes, 1, 'a', 'dislike')
      assert.deepEqual(await votesOf(database), ['1 a -1', '1 b -1', '2 a -1'])
      assert.deepEqual([(await films.byId(1))?.dislikes, (await films.byId(2))?.dislikes, (await films.byId(3))?.dislikes], [2, 1, 0])
    })

    test('several votes of one call: each told apart, all counted', async () => {
      await using context = await setUp(kind)
      const { votes, database } = context
      const asked = [
        { filmId: 1, value: 'like' },
        { filmId: filmCount + 1, value: 'like' },
        { filmId: 2, value: 'dislike' },
      ] as const
      assert.deepEqual(await votes.record('a', asked), [true, false, true])
      assert.deepEqual(await votesOf(database), ['1 a 1', '2 a -1'])
      await assertCounted(database)
    })

    test('several votes of one call: none is stored where one cannot be', async () => {
      await using context = await setUp(kind)
      const { votes, database } = context
      await voteOn(votes, 2, 'a', 'like')
      // A counter that somebody else broke: taking the like back would make it negative, which the table refuses.
      await database.commit([{ sql: 'update film set likes = 0 where id = 2', parameters: [], rows: 1 }])
      const asked = [
        { filmId: 1, value: 'like' },
        { filmId: 2, value: 'dislike' },
      ] as const
      await assert.rejects(votes.record('a', asked))
      assert.deepEqual(await votesOf(database), ['2 a 1'])
      assert.equal((await context.films.byId(1))?.likes, 0)
    })

    test('several votes of one call, crosswise at once: none waits for one that waits for it', async () => {
      await using context = await setUp(kind)
      const { votes, database } = context
      const elsewhere = createVoteRepository(await context.opened.another(), systemClock.epochMs)
      const cast = (i: number): Promise<boolean[]> => {
        const ids = i % 2 === 0 ? [1, 2] : [2, 1]
        const repository = i % 3 === 0 ? elsewhere : votes
        return repository.record(`voter ${i}`, [
          { filmId: ids[0] ?? 0, value: 'like' },
          { filmId: ids[1] ?? 0, value: 'dislike' },
        ])
      }
      const recorded = await Promise.all(Array.from({ length: 200 }, (_, i) => cast(i)))
      assert.ok(recorded.flat().every(Boolean))
      await assertCounted(database)
    })

    test('a film that does not exist: false, and nothing is stored', async () => {
      await using context = await setUp(kind)
      const { votes, films, database } = context
      await films.remove(2)
      for (const id of [2, 0, filmCount + 1, 999_999_999_999_999]) assert.equal(await voteOn(votes, id, 'a', 'like'), false)
      assert.deepEqual(await votesOf(database), [])
      await assertCounted(database)
    })

    test('one voter, one film, many votes at once: one vote, counted once', async () => {
      await using context = await setUp(kind)
      const elsewhere = createVoteRepository(await context.opened.another(), systemClock.epochMs)
      const recorded = await Promise.all(
        Array.from({ length: 60 }, (_, i) => voteOn(i % 3 === 0 ? elsewhere : context.votes, 1, 'a', values[i % 2] ?? 'like')),
      )
      assert.ok(recorded.every(Boolean))
      assert.equal((await votesOf(context.database)).length, 1)
      await assertCounted(context.database)
    })

    test('many voters at once, votes and changed votes: counters are the sums', async () => {
      await using context = await setUp(kind)
      const { votes, films, database } = context
      const vote = (i: number): Promise<boolean> => voteOn(votes, 1 + (i % filmCount), `voter ${i % 50}`, values[(i >> 2) % 2] ?? 'like')
      const recorded = await Promise.all(Array.from({ length: 400 }, (_, i) => vote(i)))
      assert.ok(recorded.every(Boolean))
      await assertCounted(database)
      assert.equal((await films.byId(1))?.id, 1)
    })

    test('voting while films come and go: nothing is counted twice or left behind', async () => {
      await using context = await setUp(kind)
      const { votes, films, database } = context
      const removals = [2, 3].map((id) => films.remove(id))
      const recorded = await Promise.all(
        Array.from({ length: 120 }, (_, i) => voteOn(votes, 1 + (i % filmCount), `voter ${i}`, values[i % 2] ?? 'like')),
      )
      assert.deepEqual(await Promise.all(removals), [true, true])
      recorded.forEach((wasRecorded, i) => {
        if (i % filmCount === 0 || i % filmCount === 3) assert.equal(wasRecorded, true)
      })
      assert.ok((await votesOf(database)).every((vote) => /^[14] /.test(vote)))
      await assertCounted(database)
    })

    test('a voter is a value, never SQL', async () => {
      await using context = await setUp(kind)
      const hostile = ["'; drop table vote; --", '" or 1=1 --', '%', '_', '\\', "s:o'brien"]
      if (kind.holdsNul) hostile.push('v\0w')
      else await assert.rejects(voteOn(context.votes, 1, 'v\0w', 'like'))
      for (const voter of hostile) assert.equal(await voteOn(context.votes, 1, voter, 'like'), true)
      const rows = await context.database.reader.selectFrom('vote').select('voter').execute()
      assert.deepEqual(rows.map(({ voter }) => voter).toSorted(), hostile.toSorted())
      await assertCounted(context.database)
    })

    test('any sequence of votes ends with the last one of each voter, counters included', async () => {
      const vote = fc.record({
        film: fc.integer({ min: 1, max: filmCount + 1 }),
        voter: fc.constantFrom('a', 'b', 'c'),
        value: fc.constantFrom(...values),
      })
      await using context = await setUp(kind)
      const model = new Map<string, VoteValue>()
      const property = fc.asyncProperty(fc.array(vote, { maxLength: 25 }), async (sequence) => {
        for (const { film, voter, value } of sequence) {
          assert.equal(await voteOn(context.votes, film, voter, value), film <= filmCount)
          if (film <= filmCount) model.set(`${film} ${voter}`, value)
        }
        assert.deepEqual(
          await votesOf(context.database),
          [...model].map(([key, value]) => `${key} ${value === 'like' ? 1 : -1}`).toSorted(),
        )
        await assertCounted(context.database)
      })
      await fc.assert(property, { numRuns: 30 })
    })
  })
}
