import { mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Machine } from './machine.ts'
import type { Options } from './options.ts'

/** One of the numbers to reach, judged. */
export interface Goal {
  readonly what: string
  readonly value: number
  readonly wanted: string
  readonly met: boolean
}

/** What a subcommand gives back: the table for people, everything for the file. */
export interface Outcome {
  readonly headings: readonly string[]
  readonly rows: readonly (readonly string[])[]
  readonly notes: readonly string[]
  readonly goals: readonly Goal[]
  readonly versions: Readonly<Record<string, string>>
  readonly settings: Readonly<Record<string, number | string>>
  /** Every measurement, in the order in which it was made. */
  readonly rounds: readonly object[]
}

export function goal(what: string, value: number, sign: '>=' | '<=' | '<', limit: number, unit = ''): Goal {
  const met = sign === '>=' ? value >= limit : sign === '<=' ? value <= limit : value < limit
  return { what, value, wanted: `${sign} ${limit}${unit}`, met }
}

/** 76,543 */
export function whole(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

function line(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`
}

/** Of Markdown, the first column to the left. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  return [line(headings), line(headings.map((_, i) => (i === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n')
}

export function render(outcome: Outcome): string {
  const goals = outcome.goals.map(({ what, value, wanted, met }) => [what, String(Number(value.toFixed(2))), wanted, met ? 'yes' : 'NO'])
  const versions = Object.entries(outcome.versions).map(([name, version]) => `${name} ${version}`)
  return [
    table(outcome.headings, outcome.rows),
    ...outcome.notes,
    ...(goals.length > 0 ? [table(['number to reach', 'measured', 'wanted', 'met'], goals)] : []),
    `Versions: ${versions.join(', ')}.`,
  ].join('\n\n')
}

/** A part of the figures must not take the place of all. */
function fileName({ subcommand, database, parts, areAllParts }: Options): string {
  if (subcommand === 'limits' && !areAllParts) return `limits-${parts.join('')}`
  return database === 'sqlite' ? subcommand : `${subcommand}-${database}`
}

export function save(options: Options, startedAt: Date, machine: Machine, outcome: Outcome): string {
  const { subcommand } = options
  const name = fileName(options)
  const file = fileURLToPath(new URL(`results/${name}.json`, import.meta.url))
  mkdirSync(fileURLToPath(new URL('results/', import.meta.url)), { recursive: true })
  const { settings, versions, goals, rounds } = outcome
  const content = { subcommand, startedAt: startedAt.toISOString(), machine, versions, settings, goals, rounds }
  writeFileSync(file, `${JSON.stringify(content, null, 2)}\n`)
  return file
}
