import type { FastifyRequest } from 'fastify'

import type { Timers } from '../../core/clock.ts'
import { Problem } from '../../core/errors.ts'
import type { Journal, JournalEntry } from '../../layers/index.ts'
import { EventStream, told } from './event-stream.ts'
import { shownEvent } from './shown.ts'

export interface EventStreamsOptions {
  readonly journal: Journal
  readonly timers: Timers
  /** Why somebody who was let in may not go on; undefined: nothing changed. */
  readonly refusedNow: (request: FastifyRequest) => Promise<string | undefined>
  /** Of one subject; default 4. */
  readonly perSubject?: number
  /** Default 64. */
  readonly total?: number
}

export interface EventStreams {
  /** Throws quota_exceeded or temporary_reduced_capacity where there are too many. `from` is what the client says it saw last. */
  open(request: FastifyRequest, subject: string, fits: (entry: JournalEntry) => boolean, from: string | undefined): EventStream
  /** Ends all of them. */
  close(): void
  readonly count: number
}

/** So often it is asked whether a reader still may: a revocation ends a stream within a second. */
const lookMs = 500
const beatEvery = 30
/** An answer that takes longer is none: what cannot be asked is not believed. */
const maxLooks = 10

interface Open {
  readonly request: FastifyRequest
  readonly stream: EventStream
  looks: number
}

export const createEventStreams = (options: EventStreamsOptions): EventStreams => {
  const { journal, timers, perSubject = 4, total = 64 } = options
  const open = new Set<Open>()
  const subjects = createCounts()
  const following = createFollowing(journal, timers, {
    fill: () => open.forEach(({ stream }) => stream.fill()),
    look: (turn) => open.forEach((one) => lookAt(one, turn, options.refusedNow)),
  })
  const format = createFormat(journal.run)

  const close = (one: Open, subject: string): void => {
    if (!open.delete(one)) return
    subjects.give(subject)
    if (open.size === 0) following.end()
  }

  return {
    open: (request, subject, fits, from) => {
      if (open.size >= total) throw tooManyInAll
      if (!subjects.take(subject, perSubject)) throw tooManyOfOne(perSubject)
      const place = placeOf(from, journal)
      const greeting = `retry: 5000\n\n${place === undefined ? told('gap', { reason: 'it is not known what was missed' }) : ''}`
      const stream = new EventStream({ journal, place: place ?? 0, fits, format, greeting, onClose: () => close(one, subject) })
      const one: Open = { request, stream, looks: 0 }
      open.add(one)
      following.begin()
      return stream
    },
    close: () => {
      for (const { stream } of open) stream.end('the server stops')
    },
    get count() {
      return open.size
    },
  }
}

/** Behind which entry to go on; undefined where the client names none of this process. Without a word: from now on. */
const placeOf = (from: string | undefined, { run, newest }: Pick<Journal, 'run' | 'newest'>): number | undefined => {
  if (from === undefined) return newest
  const [, of, seq] = /^([\w-]{8})\.(\d{1,15})$/.exec(from) ?? []
  return of === run && Number(seq) <= newest ? Number(seq) : undefined
}

const lookAt = (one: Open, turn: number, refusedNow: EventStreamsOptions['refusedNow']): void => {
  const { stream, request } = one
  // What it was given before waits for a reader that takes its time.
  if (stream.isEnding) {
    stream.destroy()
    return
  }
  if (turn % beatEvery === 0) stream.beat()
  if (one.looks++ > 0) {
    if (one.looks > maxLooks) stream.end('your credentials could not be checked')
    return
  }
  refusedNow(request).then(
    (reason) => {
      one.looks = 0
      if (reason !== undefined) stream.end(reason)
    },
    () => stream.end('your credentials could not be checked'),
  )
}

/** While there are readers: all of them are given what is new once in a turn, however much there is, and looked at by one timer. */
const createFollowing = (journal: Journal, { after }: Timers, { fill, look }: { fill: () => void; look: (turn: number) => void }) => {
  let ends: (() => void) | undefined
  return {
    begin: (): void => {
      if (ends !== undefined) return
      let due: NodeJS.Immediate | undefined
      let turn = 0
      const unfollow = journal.follow(() => {
        due ??= setImmediate(() => {
          due = undefined
          fill()
        })
      })
      const next = (): void => {
        cancel = after(lookMs, next)
        look(++turn)
      }
      let cancel = after(lookMs, next)
      ends = () => {
        unfollow()
        cancel()
        clearImmediate(due)
      }
    },
    end: (): void => {
      ends?.()
      ends = undefined
    },
  }
}

/** Made once for all readers. */
const createFormat = (run: string): ((entry: JournalEntry) => string) => {
  const made = new WeakMap<JournalEntry, string>()
  return (entry) => {
    const known = made.get(entry)
    if (known !== undefined) return known
    const text = `id: ${run}.${entry.seq}\ndata: ${JSON.stringify(shownEvent(entry))}\n\n`
    made.set(entry, text)
    return text
  }
}

const createCounts = () => {
  const counts = new Map<string, number>()
  return {
    take: (name: string, most: number): boolean => {
      const count = counts.get(name) ?? 0
      if (count >= most) return false
      counts.set(name, count + 1)
      return true
    },
    give: (name: string): void => {
      const left = (counts.get(name) ?? 1) - 1
      if (left === 0) counts.delete(name)
      else counts.set(name, left)
    },
  }
}

const tooManyOfOne = (most: number): Problem =>
  new Problem('quota_exceeded', {
    detail: `At most ${most} streams of yours are open at the same time. Close one.`,
    retryAfterSeconds: 5,
    members: { 'violated-policies': ['streams'] },
  })

const tooManyInAll = new Problem('temporary_reduced_capacity', {
  detail: 'Too many streams are open at the same time. Try again later.',
  retryAfterSeconds: 5,
})
