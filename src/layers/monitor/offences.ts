import type { Decision, DecisionScope } from './decision.ts'

/** How long a decision makes the next one of the same target longer. */
export const repeatMs = 7 * 24 * 3_600_000
/** About 100 bytes each; the oldest is forgotten for the next, which makes somebody's next ban shorter, never somebody banned. */
const maxRemembered = 100_000

interface Offence {
  readonly count: number
  readonly at: number
}

/** How often each target was decided on within the last week, across restarts and instances. */
export class Offences {
  readonly #epochMs: () => number
  readonly #known = new Map<string, Offence>()
  readonly #counted = new Set<string>()

  constructor(epochMs: () => number) {
    this.#epochMs = epochMs
  }

  note({ id, scope, target, createdAt, observed }: Decision): void {
    // Heard of twice, from here and from the store, it is one.
    if (observed || this.#counted.has(id)) return
    this.#counted.add(id)
    const key = `${scope} ${target}`
    const at = Math.max(createdAt, this.#known.get(key)?.at ?? 0)
    const count = this.count(scope, target) + 1
    this.#known.delete(key)
    this.#known.set(key, { count, at })
    forgetOldest(this.#known)
    forgetOldest(this.#counted)
  }

  count(scope: DecisionScope, target: string): number {
    const known = this.#known.get(`${scope} ${target}`)
    return known === undefined || known.at + repeatMs < this.#epochMs() ? 0 : known.count
  }
}

const forgetOldest = (known: Map<string, unknown> | Set<string>): void => {
  const [oldest] = known.keys()
  if (known.size > maxRemembered && oldest !== undefined) known.delete(oldest)
}
