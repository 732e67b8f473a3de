import type { Rule } from '../../src/layers/index.ts'

const units = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
  [1000, 's'],
] as const

const spelled = (ms: number): string => {
  const [unit, name] = units.find(([size]) => ms % size === 0) ?? [1000, 's']
  return `${ms / unit} ${name}`
}

const leakOf = (perSecond: number): string => (perSecond >= 1 ? `${perSecond} in 1 s` : `1 in ${spelled(Math.round(1 / perSecond) * 1000)}`)

/** A rule as docs/rules.md has it. */
export const ruleRow = ({ name, summary, groupBy, distinct, bucket, decision, confidence, spoofable }: Rule): string => {
  const { type, scope, durationMs, maxDurationMs } = decision
  const counts = distinct === undefined ? groupBy.join(', ') : `${groupBy.join(', ')}: ${distinct}`
  const until = durationMs === maxDurationMs ? spelled(durationMs) : `${spelled(durationMs)} to ${spelled(maxDurationMs)}`
  const cells = [
    `\`${name}\``,
    summary,
    counts,
    `${bucket.capacity}; ${leakOf(bucket.leakPerSecond)}`,
    `${type} ${scope}, ${until}`,
    spoofable ? `${confidence}, spoofable` : confidence,
  ]
  return `| ${cells.join(' | ')} |`
}
