import { type Family, formatLabels, formatValue, type Labels, sample } from './exposition.ts'

/** Seconds; the boundaries that OpenTelemetry advises for `http.server.request.duration` (semantic conventions 1.23 and later). */
export const requestBounds = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10] as const

/** Seconds; for what takes microseconds in this process and milliseconds in another. */
export const storeBounds = [
  0.000005, 0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5,
] as const

/** One series of a histogram: whoever observes holds it, so that no label is looked at again. */
export class Histogram {
  readonly #bounds: readonly number[]
  /** Not cumulative, the last for all above the bounds: the scrape adds them up, not the request. */
  readonly #counts: Float64Array
  #sum = 0
  #observed = 0
  /** As it was written last: most series do not change from one scrape to the next. */
  #written = { observed: -1, text: '' }

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds
    this.#counts = new Float64Array(bounds.length + 1)
  }

  observe(seconds: number): void {
    const bounds = this.#bounds
    let i = 0
    // Most answers are in the first buckets: a search by halves would be slower.
    while (i < bounds.length && seconds > (bounds[i] as number)) i++
    ;(this.#counts[i] as number)++
    this.#sum += seconds
    this.#observed++
  }

  /** The same name and labels each time. */
  samples(name: string, labels: string): string {
    if (this.#written.observed !== this.#observed) this.#written = { observed: this.#observed, text: this.#write(name, labels) }
    return this.#written.text
  }

  #write(name: string, labels: string): string {
    const before = labels === '' ? '' : `${labels},`
    let count = 0
    let text = ''
    for (const [i, bound] of this.#bounds.entries()) {
      count += this.#counts[i] ?? 0
      text += `${name}_bucket{${before}le="${bound}"} ${count}\n`
    }
    count += this.#counts[this.#bounds.length] ?? 0
    const own = labels === '' ? '' : `{${labels}}`
    return `${text}${name}_bucket{${before}le="+Inf"} ${count}\n${name}_sum${own} ${formatValue(this.#sum)}\n${name}_count${own} ${count}\n`
  }
}

/** One series of a counter. */
export class Counter {
  value = 0
}

interface Described {
  readonly name: string
  readonly help: string
}

/** Series by their labels. Made once and held by who counts; what is asked for again is the same series. */
class Series<Child> {
  readonly #children = new Map<string, Child>()
  readonly #create: () => Child

  constructor(create: () => Child) {
    this.#create = create
  }

  of(labels: Labels): Child {
    const key = formatLabels(labels)
    const known = this.#children.get(key)
    if (known !== undefined) return known
    const fresh = this.#create()
    this.#children.set(key, fresh)
    return fresh
  }

  samples(write: (child: Child, labels: string) => string): string {
    let text = ''
    for (const [labels, child] of this.#children) text += write(child, labels)
    return text
  }
}

export interface Counters extends Family {
  readonly of: (labels: Labels) => Counter
}

export const createCounters = ({ name, help }: Described): Counters => {
  const series = new Series(() => new Counter())
  return {
    name,
    help,
    type: 'counter',
    of: (labels) => series.of(labels),
    samples: () => series.samples(({ value }, labels) => sample(name, labels, value)),
  }
}

export interface Histograms extends Family {
  readonly of: (labels: Labels) => Histogram
}

export const createHistograms = ({ name, help, bounds }: Described & { readonly bounds: readonly number[] }): Histograms => {
  const series = new Series(() => new Histogram(bounds))
  return {
    name,
    help,
    type: 'histogram',
    of: (labels) => series.of(labels),
    samples: () => series.samples((histogram, labels) => histogram.samples(name, labels)),
  }
}

/** Asked when it is scraped; no sample where it answers undefined. */
export const createReading = (described: Described & { readonly type: 'counter' | 'gauge' }, read: () => number | undefined): Family => ({
  ...described,
  samples: () => {
    const value = read()
    return value === undefined ? '' : sample(described.name, '', value)
  },
})
