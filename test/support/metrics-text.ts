import assert from 'node:assert/strict'

export interface MetricSample {
  /** With `_bucket`, `_sum` or `_count` where it is of a histogram. */
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface MetricsText {
  /** By the name behind `# TYPE`. */
  readonly families: ReadonlyMap<string, { readonly type: string; readonly help: string }>
  readonly samples: readonly MetricSample[]
  /** The value of one series; undefined where it is not there. */
  value(name: string, labels?: Readonly<Record<string, string>>): number | undefined
  /** Of all series of that name that have these labels. */
  sum(name: string, labels?: Readonly<Record<string, string>>): number
}

const linePattern = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/s
const labelPattern = /([a-zA-Z_]\w*)="((?:[^"\\\n]|\\[\\n"])*)"(,|$)/gy

const unescaped: Readonly<Record<string, string>> = { '\\\\': '\\', '\\n': '\n', '\\"': '"' }

const readLabels = (text: string): Record<string, string> => {
  const labels: Record<string, string> = {}
  let end = 0
  for (const [whole, name = '', value = ''] of text.matchAll(labelPattern)) {
    assert.ok(!(name in labels), `${name} stands twice in ${text}`)
    labels[name] = value.replace(/\\./g, (escape) => unescaped[escape] ?? escape)
    end += whole.length
  }
  assert.equal(end, text.length, `not labels: ${text}`)
  return labels
}

/** Reads the text format of Prometheus, strictly: what is not of it is an error, and so is a series that stands there twice. */
export const parseMetrics = (text: string): MetricsText => {
  assert.ok(text.endsWith('\n'), 'the last line has no end')
  const families = new Map<string, { type: string; help: string }>()
  const samples: MetricSample[] = []
  const seen = new Set<string>()
  let help = ''
  for (const line of text.slice(0, -1).split('\n')) {
    if (line === '') continue
    const comment = /^# (HELP|TYPE) (\S+) (.+)$/s.exec(line)
    if (comment?.[1] === 'HELP') help = comment[3] ?? ''
    else if (comment?.[1] === 'TYPE') {
      assert.ok(!families.has(comment[2] ?? ''), `${comment[2]} stands there twice`)
      families.set(comment[2] ?? '', { type: comment[3] ?? '', help })
    } else {
      const [, name = '', labels = '', value = ''] = linePattern.exec(line) ?? assert.fail(`not of the format: ${line}`)
      const key = line.slice(0, line.lastIndexOf(' '))
      assert.ok(!seen.has(key), `twice: ${key}`)
      seen.add(key)
      const number = value === '+Inf' ? Infinity : Number(value)
      assert.ok(value === 'NaN' || !Number.isNaN(number), line)
      samples.push({ name, labels: readLabels(labels), value: number })
    }
  }
  const matching = (wanted: string, labels: Readonly<Record<string, string>>): MetricSample[] =>
    samples.filter((one) => one.name === wanted && Object.entries(labels).every(([name, value]) => one.labels[name] === value))
  return {
    families,
    samples,
    value: (name, labels = {}) =>
      matching(name, labels).find((one) => Object.keys(one.labels).length === Object.keys(labels).length)?.value,
    sum: (name, labels = {}) => matching(name, labels).reduce((sum, { value }) => sum + value, 0),
  }
}

/** What the ops listener tells now. */
export const scrape = async ({ opsUrl }: { readonly opsUrl: string }): Promise<MetricsText> => {
  const answer = await fetch(`${opsUrl}/metrics`)
  assert.equal(answer.status, 200)
  assert.equal(answer.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8')
  return parseMetrics(await answer.text())
}
