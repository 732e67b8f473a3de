/** What of a request target may stand in the log. A query value can be a secret that somebody pasted; only what the schema calls public is shown. */

const redacted = '[redacted]'

/** Names of the query parameters of a schema that carry `x-public: true`. */
export const publicParameters = (querystring: unknown): ReadonlySet<string> => {
  const properties = (querystring as { properties?: Record<string, { 'x-public'?: boolean }> } | undefined)?.properties ?? {}
  return new Set(Object.keys(properties).filter((name) => properties[name]?.['x-public'] === true))
}

const nothing: ReadonlySet<string> = new Set()

/** The target with every query value replaced that is not public; a name that the schema does not know may itself be the secret. */
export const loggedPath = (target: string, shown: ReadonlySet<string> = nothing): string => {
  const at = target.indexOf('?')
  if (at === -1) return target
  const pairs = target.slice(at + 1).split('&', 20)
  return `${target.slice(0, at)}?${pairs.map((pair) => loggedPair(pair, shown)).join('&')}`
}

const loggedPair = (pair: string, shown: ReadonlySet<string>): string => {
  const [name = ''] = pair.split('=', 1)
  return shown.has(name) ? pair.slice(0, 100) : redacted
}
