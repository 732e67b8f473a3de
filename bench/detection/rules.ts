import type { Rule } from '../../src/layers/index.ts'
import { type Judged, isFalse } from './scenario.ts'

/** How good one rule is. */
export interface RuleQuality {
  readonly rule: string
  readonly decisions: number
  /** About somebody who did nothing. */
  readonly wrong: number
  /** Attacks that the rule is for, without those that another rule ended before it could. */
  readonly attacks: number
  readonly found: number
}

/** Of every rule that decided something, or should have. */
export const byRule = (played: readonly Judged[]): readonly RuleQuality[] => {
  const names = new Set(played.flatMap(({ rules, decided }) => [...rules, ...decided.map(({ rule }) => rule)]))
  return [...names].toSorted().map((rule) => {
    const own = played.flatMap((one) => one.decided.filter((decided) => decided.rule === rule).map((decided) => ({ one, decided })))
    const meant = played.filter(({ rules }) => rules.includes(rule))
    const found = meant.filter(({ decided }) => decided.some((one) => one.rule === rule)).length
    const missed = meant.filter(({ decided }) => decided.length === 0).length
    const wrong = own.filter(({ one, decided }) => isFalse(one, decided)).length
    return { rule, decisions: own.length, wrong, attacks: found + missed, found }
  })
}

const share = (part: number, all: number): string => (all === 0 ? '–' : (part / all).toFixed(2))

export const ruleRow = ({ rule, decisions, wrong, attacks, found }: RuleQuality): string[] => [
  rule,
  String(decisions),
  String(wrong),
  share(decisions - wrong, decisions),
  String(attacks),
  String(found),
  share(found, attacks),
]

/** Rules that no attack is for. */
export const rulesWithout = (played: readonly Judged[], rules: readonly Rule[]): readonly string[] =>
  rules.map(({ name }) => name).filter((name) => !played.some((one) => one.rules.includes(name)))
