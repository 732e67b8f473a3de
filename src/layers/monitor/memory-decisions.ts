import type { DecisionStore } from './decision.ts'

/** Decisions that end with the process. */
export const createMemoryDecisions = (): DecisionStore => {
  const known = new Set<string>()
  return {
    load: () => Promise.resolve([]),
    save: (decision) => Promise.resolve(void known.add(decision.id)),
    lift: (id) => Promise.resolve(known.delete(id)),
    follow: () => undefined,
    close: () => Promise.resolve(),
  }
}
