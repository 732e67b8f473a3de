/** One thing wrong with the configuration. */
export interface ConfigMistake {
  /** As in filmgate.toml (`server.port`); empty when it is the file or a variable as a whole. */
  readonly key: string
  /** The end of a sentence that starts with the key. Never holds a configured value: it might be a secret, or a URL with a password. */
  readonly message: string
  /** `filmgate.toml:12`, `filmgate.toml`, or the name of an environment variable. */
  readonly source: string
}

export type Report = (mistake: ConfigMistake) => void

/**
 * Everything that is wrong with the configuration, those of the file first, by line. Its message is the whole list.
 * There is no `cause`: a TOML error quotes the lines around it, and one of them may hold the master key.
 */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly errors: readonly ConfigMistake[]

  constructor(mistakes: readonly ConfigMistake[]) {
    const errors = mistakes.map(printableMistake).toSorted((a, b) => lineOf(a) - lineOf(b))
    super(formatConfigErrors(errors))
    this.errors = errors
  }
}

/** The list for a terminal: a count, then one line for each, `source: key message`. No trailing newline. */
export function formatConfigErrors(errors: readonly ConfigMistake[]): string {
  const lines = errors.map(({ key, message, source }) => `  ${source}: ${key === '' ? message : `${key} ${message}`}`)
  return [`The configuration has ${errors.length} ${errors.length === 1 ? 'error' : 'errors'}:`, ...lines].join('\n')
}

// Two lines may have the same number for a sort: MAX_SAFE_INTEGER, because Infinity - Infinity is not a number.
const lineOf = ({ source }: ConfigMistake): number => Number(/:(\d+)$/.exec(source)?.[1] ?? Number.MAX_SAFE_INTEGER)

const printableMistake = ({ key, message, source }: ConfigMistake): ConfigMistake => ({
  key: printable(cut(withoutSecrets(key))),
  message: printable(message),
  source: printable(source),
})

/** So many letters and digits in a row are no name of ours, but maybe a secret in the wrong place: an API key instead of its id. */
const withoutSecrets = (name: string): string => name.replace(/[0-9A-Za-z]{40,}/g, '***')

const cut = (name: string): string => (name.length > 100 ? `${name.slice(0, 100)}…` : name)

/** Names come from files and variables: their control characters must not reach a terminal or forge a line of the log. */
export const printable = (text: string): string =>
  text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (char) => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`)

/**
 * The known name most like `name`. A right key in the wrong section counts as one letter off, so `port` finds `server.port`.
 * `known` must not be empty; the earlier of equals wins.
 */
export function nearest(name: string, known: readonly string[]): string {
  // Distances are quadratic, and no known name is as long as this.
  const wanted = name.slice(0, 64).toLowerCase()
  let best = ''
  let bestDistance = Infinity
  for (const candidate of known) {
    const lower = candidate.toLowerCase()
    const distance = Math.min(editDistance(wanted, lower), 1 + editDistance(lastPart(wanted), lastPart(lower)))
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance]
  }
  return best
}

const lastPart = (name: string): string => name.slice(name.lastIndexOf('.') + 1)

/** Levenshtein distance, one row at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const substitution = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(substitution, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
