/** Whether an Accept field (RFC 9110 section 12.5.1) allows a media type with a weight above 0; the most specific range decides. */
export const accepts = (accept: string, mediaType: string): boolean => {
  const [type = ''] = mediaType.split('/', 1)
  let bestRank = 0
  let bestWeight = 0
  for (const item of accept.split(',', maxRanges)) {
    const [range = '', ...parameters] = item.split(';').map((part) => part.trim().toLowerCase())
    const rank = range === mediaType ? 3 : range === `${type}/*` ? 2 : range === '*/*' ? 1 : 0
    if (rank === 0 || rank < bestRank) continue
    const weight = weightOf(parameters)
    bestWeight = rank > bestRank ? weight : Math.max(bestWeight, weight)
    bestRank = rank
  }
  return bestWeight > 0
}

/** A field with more ranges than this is no browser's. */
const maxRanges = 50

const weightOf = (parameters: readonly string[]): number => {
  const q = parameters.find((parameter) => parameter.startsWith('q='))
  if (q === undefined) return 1
  return /^q=(0(\.\d{0,3})?|1(\.0{0,3})?)$/.test(q) ? Number(q.slice(2)) : 0
}
