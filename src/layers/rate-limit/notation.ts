import type { Window } from './store.ts'

/**
 * Limits as text, in the notation of Flask-Limiter (flask-limiter.readthedocs.io, "Rate limit string notation"):
 * `[count] [per or /] [n (optional)] [second, minute, hour, day, month or year]`, several of them separated by `;`, `,` or `|`.
 * A month is 30 days and a year is 365. Beyond that notation `burst [count]` at the end makes it a rate (GCRA): "10 per second burst 20".
 */

const daySeconds = 86_400
const unitSeconds = { second: 1, minute: 60, hour: 3600, day: daySeconds, month: 30 * daySeconds, year: 365 * daySeconds } as const

type Unit = keyof typeof unitSeconds

const units = Object.keys(unitSeconds) as Unit[]
const unitList = `${units.slice(0, -1).join(', ')} or ${units.at(-1)}`
/** What people write instead; other words are likened by their letters. */
const otherWords: Readonly<Record<string, string>> = {
  ms: 'second',
  hr: 'hour',
  hrs: 'hour',
  w: '7 days',
  week: '7 days',
  weeks: '7 days',
  fortnight: '14 days',
  mth: 'month',
  yr: 'year',
}

const mostRequests = 1_000_000_000
const mostBurst = 1_000_000
const longestSeconds = 100 * unitSeconds.year

/** A limit that cannot be understood. The message names the piece, the place in it that is wrong and what belongs there. */
export class LimitSyntaxError extends Error {
  override readonly name = 'LimitSyntaxError'
  /** The limit that is wrong, without the others around it. */
  readonly piece: string
  /** Where in the whole text it goes wrong: characters (UTF-16) before that place. */
  readonly offset: number

  constructor(piece: string, offset: number, problem: string) {
    super(`limit ${quoted(piece)}: ${problem}, at character ${offset + 1}`)
    this.piece = piece
    this.offset = offset
  }
}

/**
 * The windows of `"200 per day; 50 per hour; 1/second"`, in the order of the text. Case does not matter and spaces are free.
 * A window is named after its unit, or `15-minutes` when it lasts several; a rate `second-rate`.
 * Throws a LimitSyntaxError, also for a limit that would forbid everything and for two limits over the same time.
 */
export const parseLimits = (text: string): readonly Window[] => {
  const windows: Window[] = []
  const pieces = text.split(/[;,|]/)
  let offset = 0
  for (const piece of pieces) {
    const window = new PieceReader(piece, offset).read()
    const twin = windows.find(({ name, windowMs }) => windowMs === window.windowMs && isRateName(name) === isRateName(window.name))
    if (twin !== undefined)
      throw new LimitSyntaxError(
        piece.trim(),
        offset + piece.search(/\S/),
        `${quoted(formatLimits([twin]))} already limits the same time; keep one of them`,
      )
    windows.push(window)
    offset += piece.length + 1
  }
  return windows
}

/** The canonical text of windows: `parseLimits` gives them back, names included if it made them. Throws a RangeError for part seconds. */
export const formatLimits = (windows: readonly Window[]): string =>
  windows
    .map((window) => {
      const { amount, unit } = spanOf(window)
      const burst = window.burst === undefined ? '' : ` burst ${window.burst}`
      return `${window.limit} per ${amount === 1 ? unit : `${amount} ${unit}s`}${burst}`
    })
    .join('; ')

/** In the words of the name, so that "60 seconds" stay seconds; a window of another name in the largest unit that divides it. */
const spanOf = ({ name, windowMs }: Window): { amount: number; unit: Unit } => {
  const seconds = windowMs / 1000
  for (const unit of units.toReversed()) {
    const amount = seconds / unitSeconds[unit]
    if (name.replace(rateEnding, '') === windowName(amount, unit)) return { amount, unit }
  }
  for (const unit of units.toReversed()) {
    const amount = seconds / unitSeconds[unit]
    if (Number.isInteger(amount) && amount >= 1) return { amount, unit }
  }
  throw new RangeError(`window "${name}" lasts ${windowMs} ms; the notation has whole seconds`)
}

const rateEnding = /-rate$/
const isRateName = (name: string): boolean => rateEnding.test(name)

const windowName = (amount: number, unit: Unit): string => (amount === 1 ? unit : `${amount}-${unit}s`)

/** Reads one limit from left to right, so that an error can say how far it was understood. */
class PieceReader {
  readonly #piece: string
  readonly #offset: number
  #at = 0

  /** `offset`: where the piece begins in the whole text. */
  constructor(piece: string, offset: number) {
    this.#piece = piece
    this.#offset = offset
  }

  read(): Window {
    this.#take(/\s*/y)
    if (this.#at === this.#piece.length) this.#fail('nothing here; expected a limit such as "50 per hour"')
    const limit = this.#number('requests', mostRequests)
    if (this.#take(/\s*(?:\/|per)\s*/iy) === undefined)
      this.#fail(`expected "per" or "/" after ${quoted(String(limit))}, found ${this.#rest()}`)
    const hasAmount = /[-+.\d]/.test(this.#piece.charAt(this.#at))
    const amount = hasAmount ? this.#number('units of time', longestSeconds) : 1
    this.#take(/\s*/y)
    const unitAt = this.#at
    const unit = this.#unit()
    if (amount * unitSeconds[unit] > longestSeconds) this.#fail('the time is longer than 100 years', unitAt)
    this.#take(/\s*/y)
    const isRate = this.#take(/burst(?!\w)\s*/iy) !== undefined
    const burst = isRate ? this.#number('requests at once', mostBurst) : undefined
    this.#take(/\s*/y)
    if (this.#at < this.#piece.length)
      this.#fail(`expected the end${isRate ? '' : ', "burst"'} or one of ; , | here, found ${this.#rest()}`)
    const windowMs = amount * unitSeconds[unit] * 1000
    const name = windowName(amount, unit)
    return burst === undefined ? { name, limit, windowMs } : { name: `${name}-rate`, limit, windowMs, burst }
  }

  #number(what: string, most: number): number {
    const start = this.#at
    const sign = this.#take(/[-+]/y)
    if (sign !== undefined) this.#fail(`the number of ${what} takes no sign, found ${quoted(sign)}`, start)
    const digits = this.#take(/\d+/y)
    if (digits === undefined) this.#fail(`expected a whole number of ${what}, found ${this.#rest()}`)
    if (this.#take(/[.e]\d/iy) !== undefined) this.#fail(`the number of ${what} must be whole and written in digits alone`, start)
    const value = Number(digits)
    if (value === 0) this.#fail(`the number of ${what} must be at least 1`, start)
    if (value > most) this.#fail(`the number of ${what} must be at most ${most}, found ${quoted(digits)}`, start)
    return value
  }

  #unit(): Unit {
    const start = this.#at
    const word = this.#take(/[^\s/]+/y)
    if (word === undefined) this.#fail(`expected ${unitList}, found ${this.#rest()}`)
    const lower = word.toLowerCase()
    const unit = units.find((candidate) => lower === candidate || lower === `${candidate}s`)
    if (unit === undefined) this.#fail(`unknown unit ${quoted(word)}, did you mean "${nearestUnit(lower)}"? Expected ${unitList}`, start)
    return unit
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#piece)?.[0]
    this.#at += found?.length ?? 0
    return found
  }

  #rest(): string {
    const rest = this.#piece.slice(this.#at).trim()
    return rest === '' ? 'the end' : quoted(rest)
  }

  #fail(problem: string, at = this.#at): never {
    throw new LimitSyntaxError(this.#piece.trim(), this.#offset + at, problem)
  }
}

const nearestUnit = (word: string): string => {
  if (Object.hasOwn(otherWords, word)) return otherWords[word]!
  const begun = units.find((unit) => unit.startsWith(word))
  if (begun !== undefined) return begun
  const start = word.slice(0, 12)
  return units.toSorted((a, b) => editDistance(start, a) - editDistance(start, b))[0]!
}

/** Levenshtein's distance: how many letters to insert, delete or replace. */
const editDistance = (from: string, to: string): number => {
  let row = Array.from({ length: to.length + 1 }, (_, column) => column)
  for (let index = 0; index < from.length; index++) {
    const next = [index + 1]
    for (let column = 1; column <= to.length; column++) {
      const replaced = row[column - 1]! + (from[index] === to[column - 1] ? 0 : 1)
      next.push(Math.min(replaced, row[column]! + 1, next[column - 1]! + 1))
    }
    row = next
  }
  return row.at(-1)!
}

/** Foreign text for a message: escaped, and no longer than a line. */
const quoted = (text: string): string => JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text)
