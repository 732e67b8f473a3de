import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import fc from 'fast-check'

import type { Channel } from '../../db/channel.ts'
import type { Outcome } from '../../db/unit.ts'
import type { AuditTrail } from '../audit/trail.ts'
import { type AccountChanges, createAccountChanges } from './changes.ts'

/** How a commit ends for whoever asked for it; what is cut off may be stored all the same. */
type Ending = 'committed' | 'conflict' | 'unavailable' | 'cut off' | 'rejected'
const isStored = (ending: Ending): boolean => ending === 'committed' || ending === 'cut off'

/** Two instances on one database, in which a number grows with each change. Everything happens when a step says so, in any order. */
const createWorld = (create: typeof createAccountChanges) => {
  let stored = 0
  const instances = [0, 1].map(() => createInstance(create))
  const store = (): void => {
    stored++
    for (const { channel } of instances) channel.receive(stored)
  }
  const run = async ({ step, instance: index, ending }: Step): Promise<void> => {
    const instance = instances[index]
    assert.ok(instance)
    const { commits, channel, cache } = instance
    if (step === 'commit') commits.begin(ending)
    else if (step === 'store') {
      if (commits.takeUnstored()) store()
    } else if (step === 'answer') {
      // An acknowledged change is in force from the acknowledgement on, whether or not anything was heard of it.
      if (await commits.answer(store)) instance.floor = stored
    } else if (step === 'hear') instance.floor = Math.max(instance.floor, channel.deliver())
    else if (step === 'down') channel.setUp(false)
    else if (step === 'up') {
      if (channel.setUp(true)) instance.floor = stored
    } else if (step === 'ask') cache.ask()
    else if (step === 'read') cache.read(stored)
    else if (step === 'remember') cache.remember()
    else if (step === 'load') {
      cache.ask()
      cache.read(stored)
      cache.remember()
    } else {
      // While announcements may be missed, nothing but what is stored now will do.
      const floor = channel.isUp() ? instance.floor : stored
      const used = cache.use()
      if (used !== undefined) assert.ok(used >= floor, `${used} is believed, though ${floor} is known to be there`)
    }
  }
  return run
}

const createInstance = (create: typeof createAccountChanges) => {
  const channel = createHandChannel()
  const commits = createHandCommits()
  const changes = create(channel, { commit: commits.commit })
  return {
    channel,
    commits: { ...commits, begin: (ending: Ending) => commits.begin(changes, ending) },
    cache: createCache(changes),
    floor: 0,
  }
}

/** A channel that delivers by hand, and loses everything while it is down. */
const createHandChannel = () => {
  const heard = new Set<() => void>()
  let up = true
  let waiting: number[] = []
  const tell = (): void => heard.forEach((one) => one())
  return {
    announce: () => [],
    subscribe: (_topic, listener) => void heard.add(listener),
    isUp: () => up,
    receive: (change: number): void => void (up && waiting.push(change)),
    deliver: (): number => {
      const change = waiting.shift() ?? 0
      if (change > 0) tell()
      return change
    },
    /** Whether that changed anything. */
    setUp: (now: boolean): boolean => {
      if (now === up) return false
      up = now
      waiting = []
      if (up) tell()
      return true
    },
  } satisfies Channel & Record<string, unknown>
}

/** Commits that are stored, and then answered, by hand. */
const createHandCommits = () => {
  interface Begun {
    readonly ending: Ending
    readonly answered: Promise<unknown>
    readonly resolve: (outcome: Outcome) => void
    readonly reject: (error: Error) => void
    stored: boolean
    isAnswered: boolean
  }
  const begun: Begun[] = []
  let next: Pick<Begun, 'resolve' | 'reject'> | undefined
  return {
    commit: (): Promise<Outcome> => {
      const { promise, resolve, reject } = Promise.withResolvers<Outcome>()
      next = { resolve, reject }
      return promise
    },
    begin: (changes: AccountChanges, ending: Ending): void => {
      const answered = changes.commit([], [{ actor: 'a', action: 'b', target: 'c' }]).catch(() => undefined)
      assert.ok(next)
      begun.push({ ...next, ending, answered, stored: false, isAnswered: false })
    },
    takeUnstored: (): boolean => {
      const one = begun.find(({ ending, stored }) => isStored(ending) && !stored)
      if (one) one.stored = true
      return one !== undefined
    },
    /** Whether the oldest was acknowledged as done. What was cut off may be stored later still, and is then only heard of. */
    answer: async (store: () => void): Promise<boolean> => {
      const one = begun.find(({ isAnswered }) => !isAnswered)
      if (one === undefined) return false
      const { ending } = one
      one.isAnswered = true
      if (ending === 'committed' && !one.stored) {
        one.stored = true
        store()
      }
      if (ending === 'rejected') one.reject(new Error('no head'))
      else if (ending === 'conflict') one.resolve({ result: 'conflict', statement: 0 })
      else one.resolve(ending === 'committed' ? { result: 'committed', rows: [] } : { result: 'unavailable', reason: 'cut off' })
      await one.answered
      return ending === 'committed'
    },
  }
}

/** What remembers as it is told to: the generation is asked for first, then the database, and only then something is remembered. */
const createCache = (changes: AccountChanges) => {
  let loading: { readonly generation: number | undefined; value?: number } | undefined
  let remembered: { readonly generation: number | undefined; readonly value: number } | undefined
  return {
    ask: (): void => void (loading = { generation: changes.generation() }),
    read: (stored: number): void => {
      if (loading !== undefined) loading.value ??= stored
    },
    remember: (): void => {
      if (loading?.value !== undefined) remembered = { generation: loading.generation, value: loading.value }
    },
    use: (): number | undefined => {
      const now = changes.generation()
      return now !== undefined && remembered?.generation === now ? remembered.value : undefined
    },
  }
}

interface Step {
  readonly step: 'load' | 'commit' | 'store' | 'answer' | 'hear' | 'down' | 'up' | 'ask' | 'read' | 'remember' | 'use'
  readonly instance: number
  readonly ending: Ending
}

const steps = fc.array(
  fc.record<Step>({
    step: fc.constantFrom('commit', 'store', 'answer', 'hear', 'down', 'up', 'ask', 'read', 'remember', 'use', 'use', 'load', 'load'),
    instance: fc.nat(1),
    ending: fc.constantFrom('committed', 'committed', 'conflict', 'unavailable', 'cut off', 'rejected'),
  }),
  { minLength: 5, maxLength: 40 },
)

const neverStale = (create: typeof createAccountChanges) =>
  fc.asyncProperty(steps, async (all) => {
    const run = createWorld(create)
    for (const step of all) await run(step)
  })

describe('what is remembered of credentials', () => {
  test('is never older than a change that was acknowledged here or heard of, in whatever order things happen', async () => {
    await fc.assert(neverStale(createAccountChanges), { numRuns: 3000 })
  })

  const wrong: readonly (readonly [name: string, steps: string, (changes: AccountChanges, trail: AuditTrail) => AccountChanges])[] = [
    [
      'that does not notice its own changes',
      'load commit answer use',
      (changes, trail) => ({ commit: (unit, entries) => trail.commit(unit, entries), generation: () => changes.generation() }),
    ],
    [
      'that believes what it knows while nothing is heard',
      'load use down commit store use',
      (changes) => {
        let last = 0
        return { commit: (unit, entries) => changes.commit(unit, entries), generation: () => (last = changes.generation() ?? last) }
      },
    ],
    [
      'that notices its own changes before they are stored',
      'commit load answer use',
      (changes, trail) => {
        let own = 0
        return {
          commit: (unit, entries) => {
            own++
            return trail.commit(unit, entries)
          },
          generation: () => plus(changes.generation(), own),
        }
      },
    ],
  ]
  for (const [name, words, spoil] of wrong) {
    test(`one ${name} is found out`, async () => {
      await play(createAccountChanges, words)
      await assert.rejects(
        play((channel, trail) => spoil(createAccountChanges(channel, trail), trail), words),
        /is believed, though/,
      )
    })
  }
})

/** Steps on one instance, each given as its name. */
const play = async (create: typeof createAccountChanges, words: string): Promise<void> => {
  const run = createWorld(create)
  for (const step of words.split(' ')) await run({ step: step as Step['step'], instance: 0, ending: 'committed' })
}

/** Another number whenever one of the two is. */
const plus = (generation: number | undefined, own: number): number | undefined =>
  generation === undefined ? undefined : generation + own * 1e6
