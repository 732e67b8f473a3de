import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { RecentFilms } from './recent-films.ts'

const row = (slot: number, likes = 0, id = slot) => ({
  id,
  slot,
  name: `Film ${id}`,
  studio: null,
  year: null,
  genre: null,
  director: null,
  runtime_min: null,
  rating: null,
  likes,
  dislikes: 0,
})

const none: ReadonlySet<number> = new Set()

test('a film that was read need not be read again, until the time is over', () => {
  const recent = new RecentFilms()
  recent.expire(10, 0, 100)
  assert.deepEqual(recent.missing([3, 1, 3, 2]), [3, 1, 2], 'each once')
  recent.add([row(1), row(2), row(3)], none)
  assert.deepEqual(recent.missing([3, 1, 4]), [4])
  assert.deepEqual(
    recent.at([3, 1, 3, 9]).map(({ film }) => film.id),
    [3, 1, 3],
    'in the order of the slots; one that holds no film is left out',
  )
  recent.expire(10, 100, 1099)
  assert.deepEqual([recent.since, recent.missing([1])], [100, []])
  recent.expire(10, 101, 1101)
  assert.deepEqual([recent.since, recent.missing([1])], [1101, [1]])
})

test('of a large catalogue nothing is kept', () => {
  const recent = new RecentFilms()
  recent.expire(100_000, 0, 100)
  recent.add([row(1)], none)
  recent.expire(100_000, 0, 200)
  assert.deepEqual([recent.since, recent.missing([1])], [200, [1]])
})

test('a film that changed is read again; one that changed on its way too', () => {
  const recent = new RecentFilms()
  recent.expire(10, 0, 100)
  recent.add([row(1), row(2, 0, 7)], none)
  recent.refresh(7)
  assert.deepEqual(recent.missing([1, 2]), [2])
  recent.add([row(2, 1, 7)], new Set([7]))
  assert.deepEqual(recent.missing([1, 2]), [2], 'it may have been read before the change')
  recent.add([row(2, 1, 7)], none)
  assert.deepEqual(recent.missing([1, 2]), [])
  recent.forgetAll()
  assert.deepEqual(recent.missing([1, 2]), [1, 2])
})

test('only the members of a film are handed out, and the JSON is that of the film', () => {
  const recent = new RecentFilms()
  recent.expire(10, 0, 1)
  recent.add([{ ...row(1), secret: 'x' } as ReturnType<typeof row>], none)
  const [pick] = recent.at([1])
  assert.ok(pick)
  assert.ok(!('secret' in pick.film) && !('slot' in pick.film))
  assert.deepEqual(JSON.parse(pick.json), pick.film)
})

test('whatever happens, what is handed out is as it was at a moment that is not before `since`, and after its last known change', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('tick' as const), ms: fc.integer({ min: 0, max: 700 }) }),
    fc.record({ kind: fc.constant('change' as const), slot: fc.integer({ min: 1, max: 4 }), known: fc.boolean() }),
    fc.record({ kind: fc.constant('draw' as const), slots: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 6 }) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const recent = new RecentFilms()
      let now = 0
      const history = new Map<number, { at: number; likes: number; known: boolean }[]>()
      const likesAt = (slot: number, at: number): number => history.get(slot)?.findLast((one) => one.at <= at)?.likes ?? 0
      const changesOf = (slot: number) => history.get(slot) ?? []
      for (const one of steps) {
        if (one.kind === 'tick') now += one.ms
        else if (one.kind === 'change') {
          now += 1
          history.set(one.slot, [...changesOf(one.slot), { at: now, likes: likesAt(one.slot, now) + 1, known: one.known }])
          if (one.known) recent.refresh(one.slot)
        } else {
          recent.expire(4, now - 1000, now)
          recent.add(
            recent.missing(one.slots).map((slot) => row(slot, likesAt(slot, now))),
            none,
          )
          for (const { film } of recent.at(one.slots)) {
            const lastKnown = changesOf(film.id).findLast(({ known }) => known)?.at ?? -Infinity
            const oldest = Math.max(recent.since, lastKnown)
            assert.ok(recent.since >= now - 1000)
            assert.ok(film.likes >= likesAt(film.id, oldest) && film.likes <= likesAt(film.id, now))
          }
        }
      }
    }),
  )
})
