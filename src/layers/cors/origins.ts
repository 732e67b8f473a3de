/** Which origins a list names. */
export interface OriginMatch {
  /** Nobody. */
  readonly isEmpty: boolean
  /** Everybody: the list is `*`. */
  readonly isAny: boolean
  /** Origins as they stand in the list. */
  readonly exact: readonly string[]
  /** Whether one of the list's names is meant. Of `*` it is none: that names nobody. */
  readonly isNamed: (origin: string) => boolean
}

/** 253 for a name (RFC 1035), and the scheme and the port around it: what is longer is no origin of a browser. */
const maxOriginLength = 253 + 'https://:65535'.length

/**
 * Compares origins as text, as the Fetch standard does in its CORS check: a browser sends the serialised form (RFC 6454 section 6.2, HTML
 * standard), of which each origin has one. So nothing is parsed, folded or trimmed: whatever differs in a letter is somebody else.
 *
 * An entry is such an origin (`https://app.example.com`, `http://localhost:5173`), `https://*.example.com` for every name below that one (not
 * for itself), or `*` alone. Throws a TypeError for anything else.
 */
export const createOriginMatch = (list: readonly string[]): OriginMatch => {
  const isAny = list.includes('*')
  if (isAny && list.length > 1) throw new TypeError('"*" must be the only origin of its list')
  const entries = isAny ? [] : list
  const suffixes = new Set(entries.flatMap((entry) => suffixOf(entry) ?? []))
  const exact = entries.filter((entry) => suffixOf(entry) === undefined)
  for (const entry of exact) if (!isSerialised(entry)) throw new TypeError(`${JSON.stringify(entry)} is not an origin as browsers send it`)
  const known = new Set(exact)
  return {
    isEmpty: list.length === 0,
    isAny,
    exact,
    isNamed: (origin) => known.has(origin) || (suffixes.size > 0 && isBelow(origin, suffixes)),
  }
}

/** Node's URL is the standard's: what it writes back unchanged is the one spelling. It takes a star for a letter. */
const isSerialised = (text: string): boolean => /^https?:\/\/[^*]+$/.test(text) && URL.canParse(text) && new URL(text).origin === text

/** Of `https://*.example.com:8443`: `.example.com:8443`. */
const suffixOf = (entry: string): string | undefined => {
  if (!entry.startsWith('https://*.')) return undefined
  const rest = entry.slice('https://*.'.length)
  const isName = /^[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z][a-z0-9-]*(?::\d+)?$/.test(rest) && isSerialised(`https://${rest}`)
  if (!isName) throw new TypeError(`${JSON.stringify(entry)} must have a name of two labels or more behind the star`)
  return `.${rest}`
}

/**
 * Every label before the suffix must be letters, digits and hyphens: no user, no port, no path can stand there. One look at each character, one
 * look-up for each dot, whatever the list holds.
 */
const isBelow = (origin: string, suffixes: ReadonlySet<string>): boolean => {
  if (origin.length > maxOriginLength || !origin.startsWith('https://')) return false
  for (let start = 'https://'.length; ;) {
    const dot = origin.indexOf('.', start)
    if (dot <= start || !isLabel(origin, start, dot)) return false
    if (suffixes.has(origin.slice(dot))) return true
    start = dot + 1
  }
}

const isLabel = (text: string, start: number, end: number): boolean => {
  for (let i = start; i < end; i++) {
    const code = text.charCodeAt(i)
    const isLetter = (code >= 0x61 && code <= 0x7a) || (code >= 0x30 && code <= 0x39) || code === 0x2d
    if (!isLetter) return false
  }
  return true
}
