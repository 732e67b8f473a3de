import type { Machine } from './machine.ts'
import type { Options } from './options.ts'
import type { Outcome } from './report.ts'
import { spread } from './stats.ts'

/** What one part of `limits` gives back; the rows are of the one table that all parts share. */
export interface PartOutcome extends Pick<Outcome, 'rows' | 'notes' | 'goals' | 'versions'> {
  readonly rounds: readonly object[]
}

export type Part = (machine: Machine, options: Options) => Promise<PartOutcome>

export const headings = ['limits', 'median', 'min–max', 'unit'] as const

export function row(what: string, values: readonly number[], unit: string, digits = 2): string[] {
  const { median, min, max } = spread(values)
  const text = (value: number): string => Number(value.toFixed(digits)).toLocaleString('en-US')
  return [what, text(median), values.length === 1 ? '' : `${text(min)}–${text(max)}`, unit]
}

export function absentPart(what: string, reason: string): PartOutcome {
  return { rows: [], notes: [`**No figure of ${what}: ${reason}.**`], goals: [], versions: {}, rounds: [] }
}
