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

/** "1 h 42 min". */
export const runtimeWords = (minutes: number): string => duration(minutes * 60)
