/** The text format 0.0.4 of Prometheus (prometheus.io/docs/instrumenting/exposition_formats). */
export const contentType = 'text/plain; version=0.0.4; charset=utf-8'

export type Labels = Readonly<Record<string, string>>

/** What is told under one name. */
export interface Family {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  /** Whole lines, each with its line feed; none where nothing is known. */
  readonly samples: () => string
}

/** A value may hold anything: whatever would end it, or the line, is escaped. */
const escapeValue = (value: string): string => value.replace(/[\\"\n]/g, (found) => escapes[found] ?? found)

const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '"': '\\"', '\n': '\\n' }

/** `method="GET",route="/"`, without braces, because a histogram puts one more behind it. */
export const formatLabels = (labels: Labels): string =>
  Object.entries(labels)
    .map(([name, value]) => `${name}="${escapeValue(value)}"`)
    .join(',')

export const formatValue = (value: number): string => {
  if (Number.isFinite(value)) return String(value)
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf'
}

export const sample = (name: string, labels: string, value: number): string =>
  `${name}${labels === '' ? '' : `{${labels}}`} ${formatValue(value)}\n`

export const formatFamily = ({ name, help, type, samples }: Family): string => {
  const escaped = help.replace(/[\\\n]/g, (found) => escapes[found] ?? found)
  return `# HELP ${name} ${escaped}\n# TYPE ${name} ${type}\n${samples()}`
}
