import { openDecisionFeed, type DecisionFeed } from '../api/security/decision-feed.ts'
import type { DecisionRepository } from '../api/security/decision-repository.ts'
import type { Channel } from '../db/channel.ts'
import {
  type DecisionChange,
  type DecisionStore,
  type MonitorDecision as Decision,
  nameOfChange,
  type Origin,
  Outbox,
  type OutboxOptions,
  RecentNames,
  type SharedDecisions,
} from '../layers/index.ts'
import { Reconciling } from './decision-reconciling.ts'

export interface DecisionStoreOptions {
  readonly repository: DecisionRepository
  readonly channel: Channel
  readonly epochMs: () => number
  /** Beside the database, where instances share Redis. */
  readonly shared?: SharedDecisions | undefined
}

/** As long as a stop may take for what waits. */
const lastTryMs = 2000

/**
 * Decisions in the database, and in Redis where instances share one: what is heard from one is told the other, so that a database of one
 * instance alone holds all decisions too. What a person decides is durable when it is acknowledged; what the monitor decides is in force
 * before, and waits where a store is away.
 */
export const createDecisionStore = (options: DecisionStoreOptions): DecisionStore => new JoinedDecisions(options)

class JoinedDecisions implements DecisionStore {
  readonly #options: DecisionStoreOptions
  readonly #database: Outbox
  readonly #redis: Outbox | undefined
  readonly #inDatabase = new RecentNames()
  readonly #inRedis = new RecentNames()
  /** Ids of what was lifted. */
  readonly #lifted = new RecentNames()
  readonly #reconciling: Reconciling | undefined
  #feed: DecisionFeed | undefined
  /** Until somebody follows, what is heard is kept. */
  #early: DecisionChange[] = []
  #heard = (changes: readonly DecisionChange[]): void => void this.#early.push(...changes)

  constructor(options: DecisionStoreOptions) {
    const { repository, shared, epochMs } = options
    this.#options = options
    this.#database = createOutbox((changes) => repository.keep(changes), this.#inDatabase, epochMs)
    if (shared === undefined) return
    const redis = createOutbox((changes) => shared.publish(changes), this.#inRedis, epochMs)
    this.#redis = redis
    this.#reconciling = new Reconciling({ repository, shared, publish: (change) => redis.add(change) })
  }

  async load(): Promise<readonly Decision[]> {
    const { repository, channel, shared } = this.#options
    const after = await repository.newest()
    const stored = await repository.load()
    for (const { id } of stored) this.#inDatabase.add(`decided ${id}`)
    const mayLack = (): void => this.#reconciling?.begin()
    // A Redis that does not answer now is looked at again.
    await shared?.start((changes) => this.#hearFromRedis(changes), mayLack).catch(ignored)
    this.#feed = openDecisionFeed({ repository, channel, after, heard: (changes) => this.#hearFromDatabase(changes) })
    const known = new Set(stored.map(({ id }) => id))
    const others = this.#early.flatMap((change) => (change.change === 'decided' && !known.has(change.decision.id) ? [change.decision] : []))
    return [...stored, ...others].filter(({ id }) => !this.#lifted.has(id))
  }

  follow(heard: (changes: readonly DecisionChange[]) => void): void {
    this.#heard = heard
    heard(this.#early)
    this.#early = []
  }

  async save(decision: Decision, origin?: Origin): Promise<void> {
    const change: DecisionChange = { change: 'decided', decision }
    if (decision.by === 'monitor') {
      this.#tellRedis(change)
      await this.#database.add(change)
      return
    }
    await this.#options.repository.save(decision, origin)
    this.#inDatabase.add(nameOfChange(change))
    this.#tellRedis(change)
  }

  async lift(id: string, by: string, origin?: Origin): Promise<boolean> {
    if (this.#database.holds(id)) await this.#database.flush()
    if (!(await this.#options.repository.lift(id, by, origin))) return false
    const change: DecisionChange = { change: 'lifted', id, by }
    this.#lifted.add(id)
    this.#inDatabase.add(nameOfChange(change))
    this.#tellRedis(change)
    return true
  }

  async close(): Promise<void> {
    this.#feed?.close()
    this.#reconciling?.close()
    await Promise.all([this.#database.close(lastTryMs), this.#redis?.close(lastTryMs)])
    this.#options.shared?.close()
  }

  #tellRedis(change: DecisionChange): void {
    if (!this.#inRedis.has(nameOfChange(change))) this.#redis?.add(change).catch(ignored)
  }

  #hearFromDatabase(changes: readonly DecisionChange[]): void {
    for (const change of changes) {
      this.#inDatabase.add(nameOfChange(change))
      this.#tellRedis(change)
    }
    this.#hear(changes)
  }

  #hearFromRedis(changes: readonly DecisionChange[]): void {
    for (const change of changes) {
      const name = nameOfChange(change)
      this.#inRedis.add(name)
      if (!this.#inDatabase.has(name)) this.#database.add(change).catch(ignored)
    }
    this.#hear(changes)
  }

  /** A decision that comes behind its end, over the slower of two ways, is over. */
  #hear(changes: readonly DecisionChange[]): void {
    for (const change of changes) if (change.change === 'lifted') this.#lifted.add(change.id)
    const news = changes.filter((change) => change.change === 'lifted' || !this.#lifted.has(change.decision.id))
    if (news.length > 0) this.#heard(news.map(withoutEvidence))
  }
}

const createOutbox = (deliver: OutboxOptions['deliver'], delivered: RecentNames, epochMs: () => number): Outbox =>
  new Outbox({
    deliver: async (changes) => {
      await deliver(changes)
      for (const change of changes) delivered.add(nameOfChange(change))
    },
    epochMs,
  })

/** Whoever has to know is told by the store itself. */
const ignored = (): void => undefined

/** Evidence would be most of the memory that decisions take: the repository finds it. */
const withoutEvidence = (change: DecisionChange): DecisionChange =>
  change.change === 'lifted' ? change : { change: 'decided', decision: { ...change.decision, evidence: null } }
