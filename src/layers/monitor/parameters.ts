/** Parameters in the text of a target. The router's own parse is of the request, which is gone when the monitor looks. */

export type ParameterName = (name: string) => boolean

export interface Parameter {
  readonly name: string
  readonly value: string
}

/** More than any route knows: what comes behind is not looked at. */
const maxParameters = 64

/** Whether the query has one of these parameters, spelled in percent or not. Without a query it costs one look for `?`. */
export const hasParameter = (target: string, names: readonly string[]): boolean => {
  const from = target.indexOf('?')
  return from !== -1 && pairsOf(target, from).some((pair) => names.includes(decoded(nameOf(pair))))
}

/** Decoded, in the order of the query. */
export const parameterValues = (target: string, wanted: ParameterName): readonly Parameter[] => {
  const from = target.indexOf('?')
  if (from === -1) return []
  const found: Parameter[] = []
  for (const pair of pairsOf(target, from)) {
    const name = nameOf(pair)
    const plain = decoded(name)
    if (plain !== '' && wanted(plain)) found.push({ name: plain, value: decoded(pair.slice(name.length + 1)) })
  }
  return found
}

const pairsOf = (target: string, from: number): readonly string[] => target.slice(from + 1).split('&', maxParameters)

const nameOf = (pair: string): string => {
  const end = pair.indexOf('=')
  return end === -1 ? pair : pair.slice(0, end)
}

/** As the router decodes: what is no valid escape stays as it is. */
const decoded = (text: string): string => {
  if (!text.includes('%') && !text.includes('+')) return text
  const spaced = text.replaceAll('+', ' ')
  try {
    return decodeURIComponent(spaced)
  } catch {
    return spaced
  }
}
