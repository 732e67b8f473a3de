import type { Decision, DecisionScope } from './decision.ts'
import { Newest } from './newest.ts'

/** How long a decision makes the next one of the same target longer. */
const repeatMs = 7 * 24 * 3_600_000
/** About 100 bytes each; the oldest is forgotten for the next, which makes somebody's next ban shorter, never somebody banned. */
const maxRemembered = 100_000

interface Offence {
  readonly count: number
  readonly at: number
}

/** How often each target was decided on within the last week, across restarts and instances. */
export class Offences {
  readonly #epochMs: () => number
  readonly #known = new Newest<string, Offence>(maxRemembered)
  /** By the id of the decision: whose offence it is. */
  readonly #counted = new Newest<string, string>(maxRemembered)

  constructor(epochMs: () => number) {
    this.#epochMs = epochMs
  }

  note({ id, scope, target, createdAt, observed, offence }: Decision): void {
    // Heard of twice, from here and from the store, it is one.
    if (observed || this.#counted.get(id) !== undefined) return
    const key = `${scope} ${target}`
    this.#counted.put(id, key)
    const at = Math.max(createdAt, this.#known.get(key)?.at ?? 0)
    // Two instances that decide at the same moment saw one offence; and those before may be older than what a store still tells of.
    const count = Math.max(this.count(scope, target), offence)
    this.#known.put(key, { count, at })
  }

  /** Whoever lifts a decision says that it was none. */
  forget(id: string): void {
    const key = this.#counted.get(id)
    const known = key === undefined ? undefined : this.#known.get(key)
    if (key === undefined || known === undefined) return
    // Its id stays: heard of again, it counts as little.
    this.#counted.put(id, '')
    this.#known.put(key, { ...known, count: known.count - 1 })
  }

  count(scope: DecisionScope, target: string): number {
    const known = this.#known.get(`${scope} ${target}`)
    return known === undefined || known.at + repeatMs < this.#epochMs() ? 0 : known.count
  }
}
