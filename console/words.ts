const units = [
  [86_400, 'day', 'd'],
  [3600, 'hour', 'h'],
  [60, 'minute', 'min'],
  [1, 'second', 's'],
] as const

/** "42 s", "12 min 5 s", "2 h 5 min": the two largest units that there are. */
export const duration = (seconds: number): string => {
  const rest = Math.max(0, Math.ceil(seconds))
  const first = units.findIndex(([size]) => rest >= size)
  if (first === -1) return '0 s'
  let left = rest
  const parts = units.slice(first, first + 2).flatMap(([size, , short]) => {
    const amount = Math.floor(left / size)
    left -= amount * size
    return amount === 0 ? [] : [`${amount} ${short}`]
  })
  return parts.join(' ')
}

/** "this hour", "in 15 minutes": the window that a quota is counted in. */
export const windowWords = (seconds: number): string => {
  const unit = units.find(([size]) => seconds % size === 0)
  if (unit === undefined) return `in ${duration(seconds)}`
  const amount = seconds / unit[0]
  if (amount !== 1) return `in ${amount} ${unit[1]}s`
  return unit[1] === 'day' ? 'today' : `this ${unit[1]}`
}

/** "1,234", as it stands in a sentence. */
export const numberWords = (value: number): string => value.toLocaleString('en')

/** "1.2K": no longer than what fits into a ring. */
export const shortNumber = (value: number): string =>
  value.toLocaleString('en', { notation: 'compact', maximumSignificantDigits: value < 1000 ? 3 : 2 })

/** "1 h 42 min". */
export const runtimeWords = (minutes: number): string => duration(minutes * 60)

const plainer: readonly (readonly [pattern: RegExp, words: string])[] = [
  [/^must have required property .*$/, 'A film needs this.'],
  [/^must be number(,null)?$/, 'must be a number'],
  [/^must be integer(,null)?$/, 'must be a whole number'],
  [/^must be >= (\d+)$/, 'must be at least $1'],
  [/^must be <= (\d+)$/, 'must be at most $1'],
  [/^must NOT have more than (\d+) characters$/, 'must have at most $1 characters'],
  [/^must match pattern .*$/, 'must be visible text, without control characters'],
]

/** What a schema finds, in words for people; as it stands where there are no better ones. */
export const fieldWords = (detail: string): string => {
  const better = plainer.find(([pattern]) => pattern.test(detail))
  return better === undefined ? detail : detail.replace(...better)
}
