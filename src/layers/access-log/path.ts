/** What of a request target may stand in the log. A query value can be a secret that somebody pasted; only what the schema calls public is shown. */

const redacted = '[redacted]'

/** Names of the query parameters of a schema that carry `x-public: true`. */
export const publicParameters = (querystring: unknown): ReadonlySet<string> => {
  const properties = (querystring as { properties?: Record<string, { 'x-public'?: boolean }> } | undefined)?.properties ?? {}
  return new Set(Object.keys(properties).filter((name) => properties[name]?.['x-public'] === true))
}

const nothing: ReadonlySet<string> = new Set()

/**
 * The target with every query value replaced that is not public (a name that the schema does not know may itself be the secret), a fragment
 * dropped, and the user of an absolute-form authority too.
 */
export const loggedPath = (target: string, shown: ReadonlySet<string> = nothing): string => {
  if (!/[?#@]/.test(target)) return target
  const at = target.search(/[?#]/)
  if (at === -1) return withoutUser(target)
  const path = withoutUser(target.slice(0, at))
  if (target[at] === '#') return `${path}#${redacted}`
  const pairs = target.slice(at + 1).split('&', 20)
  return `${path}?${pairs.map((pair) => loggedPair(pair, shown)).join('&')}`
}

const withoutUser = (target: string): string => (target.includes('@') ? target.replace(/^([a-z]+:\/\/)?[^/]*@/i, `$1${redacted}@`) : target)

const loggedPair = (pair: string, shown: ReadonlySet<string>): string => {
  const [name = ''] = pair.split('=', 1)
  return shown.has(name) && !pair.includes('#') ? pair.slice(0, 100) : redacted
}
