import type { Decision, DecisionStore } from './decision.ts'
import { Decisions } from './decisions.ts'
import { Offences } from './offences.ts'

/** What is decided about whom, here and on all other instances, and how often before. */
export interface Known {
  readonly decisions: Decisions
  readonly offences: Offences
  readonly take: (decision: Decision) => void
  /** It was lifted. */
  readonly end: (id: string, by: string) => void
}

/** With what the store remembers, and what it hears of from now on. */
export const openKnown = async (
  store: Pick<DecisionStore, 'load' | 'follow'>,
  epochMs: () => number,
  isObserved: (rule: string) => boolean,
): Promise<Known> => {
  const decisions = new Decisions(epochMs, undefined, isObserved)
  const offences = new Offences(epochMs)
  const take = (decision: Decision): void => {
    decisions.apply({ change: 'decided', decision })
    offences.note(decision)
  }
  const end = (id: string, by: string): void => {
    decisions.apply({ change: 'lifted', id, by })
    offences.forget(id)
  }
  for (const decision of await store.load()) take(decision)
  store.follow((changes) => {
    for (const change of changes) {
      if (change.change === 'decided') take(change.decision)
      else end(change.id, change.by)
    }
  })
  return { decisions, offences, take, end }
}
