import type { LogRecord } from '../../test/support/server.ts'
import type { Field, FieldOptions } from './field.ts'

export interface Scenario {
  readonly name: string
  readonly label: 'attack' | 'good'
  readonly field?: FieldOptions
  /** Of an attack: the rules that are there for it. One of the first must decide; `also` may, and it is right when they do. */
  readonly rules?: readonly string[]
  /** Within so much of it there must be a decision; default `soon`. A slow one is given what it takes. */
  readonly within?: { readonly requests: number; readonly seconds: number }
  /** Addresses of people who are there at the same time and do nothing wrong. */
  readonly bystanders?: readonly string[]
  readonly run: (field: Field) => Promise<void>
}

/** An attacker has to be stopped by either. */
export const soon = { requests: 100, seconds: 10 } as const

/** A decision of the monitor, as its log tells. */
export interface Decided {
  readonly rule: string
  readonly scope: string
  readonly target: string
  readonly type: string
  readonly observed: boolean
  /** Requests before it, and time since the first one. */
  readonly requests: number
  readonly seconds: number
}

export type Verdict = 'ok' | 'late' | 'missed' | 'false'

export interface Judged {
  readonly name: string
  readonly label: Scenario['label']
  readonly rules: readonly string[]
  readonly requests: number
  readonly seconds: number
  readonly decided: readonly Decided[]
  /** Refused by a decision. */
  readonly refused: number
  readonly verdict: Verdict
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '')
const timeOf = (record: LogRecord): number => Date.parse(text(record['time']))

/** Of our own: what a scenario prepares comes from the machine itself, about which nothing is ever decided. */
const isPrepared = ({ client }: LogRecord): boolean => client === '127.0.0.1'

/** What a server told of a scenario. */
const readLog = (log: readonly LogRecord[]): Pick<Judged, 'requests' | 'seconds' | 'decided' | 'refused'> => {
  let [requests, refused, first, last] = [0, 0, Number.NaN, Number.NaN]
  const decided: Decided[] = []
  for (const record of log) {
    if (record.msg === 'request' && !isPrepared(record)) {
      requests++
      if (record['verdict'] === 'abnormal_usage_detected') refused++
      last = timeOf(record)
      if (Number.isNaN(first)) first = last
    }
    if (record['event'] !== 'decision_created') continue
    decided.push({
      rule: text(record['rule']),
      scope: text(record['scope']),
      target: text(record['target']),
      type: text(record['type']),
      observed: record['observed'] === true,
      requests,
      seconds: Number.isNaN(first) ? 0 : Math.max(0, timeOf(record) - first) / 1000,
    })
  }
  return { requests, refused, decided, seconds: Number.isNaN(first) ? 0 : (last - first) / 1000 }
}

/** About somebody who did nothing. */
export const isFalse = ({ label, bystanders = [] }: Pick<Scenario, 'label' | 'bystanders'>, { target }: Decided): boolean =>
  label === 'good' || bystanders.includes(target)

const judge = (scenario: Scenario, log: readonly LogRecord[]): Judged => {
  const { name, label, rules = [], within = soon } = scenario
  const told = readLog(log)
  const isGood = (): Verdict => (told.decided.length === 0 ? 'ok' : 'false')
  const isStopped = (): Verdict => {
    if (told.decided.some((one) => isFalse(scenario, one))) return 'false'
    const first = told.decided[0]
    if (first === undefined) return 'missed'
    return first.requests <= within.requests || first.seconds <= within.seconds ? 'ok' : 'late'
  }
  return { name, label, rules, ...told, verdict: label === 'good' ? isGood() : isStopped() }
}

/** In a server of its own. */
export const play = async (scenario: Scenario, open: (options?: FieldOptions) => Promise<Field>): Promise<Judged> => {
  await using field = await open(scenario.field)
  await scenario.run(field)
  return judge(scenario, await field.finish())
}
