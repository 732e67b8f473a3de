import assert from 'node:assert/strict'

import { openMasterKey } from '../../src/credentials/master-key.ts'
import { createVoterIds } from '../../src/credentials/voter-id.ts'
import type { TestServer } from './server.ts'
import { assertConsistent, type Stored } from './stored.ts'

/** `unknown`: the write may have happened or not, because the connection broke before the whole answer was here, or as the options say. */
export type Fate = 'acknowledged' | 'refused' | 'unknown'

export interface Written {
  readonly fate: Fate
  /** Undefined where there was no answer. */
  readonly status: number | undefined
  readonly headers: Headers
  readonly body: Readonly<Record<string, unknown>>
}

export interface LedgerOptions {
  /** The store may have lost its connection after a commit was sent: then nobody knows what became of it, and 503 says no more than that. */
  readonly unavailableIsUnknown?: boolean
}

export interface Ledger {
  /** One vote. Calls for one voter and film must not overlap, or nobody could say which came last. */
  vote(server: TestServer, voter: string, filmId: number, value: 1 | -1): Promise<Written>
  /** Whether it is unknown what became of an earlier vote of this voter on this film. */
  isOpen(voter: string, filmId: number): boolean
  /** One film with a name that no other has. */
  addFilm(server: TestServer): Promise<Written>
  count(fate: Fate): number
  /** The server went in good order: what it did not answer it must not have done. */
  assumeUnknownRefused(): void
  /** Holds the database against everything that was asked for so far: what was acknowledged is there, what was refused is not. */
  verify(stored: Stored): Promise<void>
}

interface VoteEntry {
  /** 0 for no vote. */
  settled: number
  /** Asked for since, without an answer. */
  readonly open: Set<number>
}

type FilmBody = Readonly<Record<'name' | 'studio' | 'year' | 'genre' | 'director' | 'runtime_min' | 'rating', string | number | null>>

/** Must be set for a server whose voters are told apart by X-Forwarded-For. */
export const voterEnv = { FILMGATE_SERVER_TRUSTED_PROXIES: '127.0.0.1/32' }

/** Remembers every write that was asked for and how it was answered, over many lives of a server. */
export const createLedger = ({ unavailableIsUnknown = false }: LedgerOptions = {}): Ledger => {
  const votes = new Map<string, VoteEntry>()
  const films = new Map<string, { body: FilmBody; fate: Fate; id: number | undefined }>()
  const counts: Record<Fate, number> = { acknowledged: 0, refused: 0, unknown: 0 }

  const ask = async (url: string, init: RequestInit, accepted: (status: number, body: Written['body']) => boolean): Promise<Written> => {
    const answered = await send(url, init, accepted)
    const written: Written = unavailableIsUnknown && answered.status === 503 ? { ...answered, fate: 'unknown' } : answered
    counts[written.fate]++
    return written
  }

  return {
    vote: async (server, voter, filmId, value) => {
      const key = `${filmId} ${voter}`
      const entry = votes.get(key) ?? { settled: 0, open: new Set<number>() }
      votes.set(key, entry)
      const name = value === 1 ? 'like' : 'dislike'
      const url = `${server.url}/?${name}=${filmId}`
      const written = await ask(url, { headers: { 'x-forwarded-for': voter } }, (status, { vote }) => {
        if (status === 200) assert.deepEqual(vote, { film_id: filmId, value: name, recorded: true })
        return status === 200
      })
      if (written.fate === 'unknown') entry.open.add(value)
      if (written.fate === 'acknowledged') {
        entry.settled = value
        entry.open.clear()
      }
      return written
    },
    isOpen: (voter, filmId) => (votes.get(`${filmId} ${voter}`)?.open.size ?? 0) > 0,
    addFilm: async (server) => {
      const body = filmBody(films.size)
      const entry = { body, fate: 'unknown' as Fate, id: undefined as number | undefined }
      films.set(body.name as string, entry)
      const headers = { authorization: `Bearer ${server.key()}`, 'content-type': 'application/json' }
      const written = await ask(
        `${server.url}/add_film`,
        { method: 'POST', headers, body: JSON.stringify(body) },
        (status) => status === 201,
      )
      entry.fate = written.fate
      if (written.fate === 'acknowledged') entry.id = Number(written.body['id'])
      return written
    },
    count: (fate) => counts[fate],
    assumeUnknownRefused: () => {
      for (const entry of votes.values()) entry.open.clear()
      for (const entry of films.values()) if (entry.fate === 'unknown') entry.fate = 'refused'
    },
    verify: async (stored) => {
      await assertConsistent(stored)
      await verifyVotes(stored, votes)
      await verifyFilms(stored, films)
    },
  }
}

const send = async (url: string, init: RequestInit, accepted: (status: number, body: Written['body']) => boolean): Promise<Written> => {
  let status: number
  let headers: Headers
  let body: Written['body']
  try {
    const answer = await fetch(url, init)
    ;({ status, headers } = answer)
    body = (await answer.json()) as Written['body']
  } catch {
    return { fate: 'unknown', status: undefined, headers: new Headers(), body: {} }
  }
  return { fate: accepted(status, body) ? 'acknowledged' : 'refused', status, headers, body }
}

const filmBody = (index: number): FilmBody => ({
  name: `Chaos ${index} – "it's; --`,
  studio: index % 3 === 0 ? null : `Studio ${index}`,
  year: 1900 + (index % 200),
  genre: index % 2 === 0 ? 'Drama' : null,
  director: `Director Ñ ${index}`,
  runtime_min: 1 + (index % 300),
  rating: (index % 100) / 10,
})

const verifyVotes = async (stored: Stored, votes: ReadonlyMap<string, VoteEntry>): Promise<void> => {
  const voterId = createVoterIds(openMasterKey(stored.dataDir, stored.secretsKey).derive('voter'))
  const rows = (await stored.query('select film_id, voter, value from vote')) as { film_id: number; voter: string; value: number }[]
  const found = new Map(rows.map((row) => [`${row.film_id} ${row.voter}`, row.value]))
  for (const [key, entry] of votes) {
    const [filmId, address = ''] = key.split(' ')
    const storedKey = `${filmId} ${voterId({ subject: null, clientPrefix: address })}`
    const value = found.get(storedKey) ?? 0
    found.delete(storedKey)
    const possible = [entry.settled, ...entry.open]
    assert.ok(possible.includes(value), `vote ${key} is ${value}, but only ${possible.join(' or ')} can be`)
    // From now on it is known what became of the unanswered ones.
    entry.settled = value
    entry.open.clear()
  }
  assert.deepEqual([...found.keys()], [], 'votes that nobody cast')
}

const verifyFilms = async (
  stored: Stored,
  films: ReadonlyMap<string, { body: FilmBody; fate: Fate; id: number | undefined }>,
): Promise<void> => {
  const select = "select id, name, studio, year, genre, director, runtime_min, rating from film where name like 'Chaos %'"
  const rows = (await stored.query(select)) as unknown as ({ id: number } & FilmBody)[]
  const byName = Map.groupBy(rows, (row) => row.name as string)
  for (const [name, entry] of films) {
    const found = byName.get(name) ?? []
    byName.delete(name)
    if (entry.fate === 'unknown' && found.length === 1) {
      // It was stored without an answer: from now on it must stay.
      entry.fate = 'acknowledged'
      entry.id = found[0]?.id
    } else if (entry.fate === 'unknown') {
      entry.fate = 'refused'
    }
    const expected = entry.fate === 'acknowledged' ? [{ id: entry.id, ...entry.body }] : []
    assert.deepEqual(
      found.map((row) => ({ ...row })),
      expected,
      `film ${name} was ${entry.fate}`,
    )
  }
  assert.deepEqual([...byName.keys()], [], 'films that nobody added')
}
