/* oxlint-disable no-await-in-loop -- one after the other is the point: what runs side by side measures each other */
import { crowd } from './limits-crowd.ts'
import { decisions } from './limits-decisions.ts'
import { exactness } from './limits-exact.ts'
import { flood } from './limits-flood.ts'
import { overhead } from './limits-overhead.ts'
import { headings, type Part, type PartOutcome } from './limits-part.ts'
import { shared } from './limits-shared.ts'
import type { Machine } from './machine.ts'
import type { LimitsPart, Options } from './options.ts'
import type { Outcome } from './report.ts'

const parts: Record<LimitsPart, Part> = { a: decisions, b: overhead, c: crowd, d: exactness, e: shared, f: flood }

/** What limits cost, and whether they hold: the parts that were asked for, one after the other. */
export async function limits(machine: Machine, options: Options): Promise<Outcome> {
  const outcomes: { readonly part: LimitsPart; readonly outcome: PartOutcome }[] = []
  for (const part of options.parts) {
    console.error(`part ${part}`)
    outcomes.push({ part, outcome: await parts[part](machine, options) })
  }
  const { rounds, seconds, clients } = options
  return {
    headings,
    rows: outcomes.flatMap(({ part, outcome }) => outcome.rows.map(([what, ...rest]) => [`${part}: ${what}`, ...rest])),
    notes: outcomes.flatMap(({ part, outcome }) => outcome.notes.map((note) => `${part}: ${note}`)),
    goals: outcomes.flatMap(({ part, outcome }) => outcome.goals.map((goal) => ({ ...goal, what: `${part}: ${goal.what}` }))),
    versions: Object.assign({}, ...outcomes.map(({ outcome }) => outcome.versions)) as Record<string, string>,
    settings: { rounds, seconds, clients, parts: options.parts.join() },
    rounds: outcomes.flatMap(({ part, outcome }) => outcome.rounds.map((round) => ({ part, ...round }))),
  }
}
