const unitMs = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** Milliseconds of a duration that `loadConfig` has checked. */
export const durationOf = (text: string): number => {
  const ms = parseDuration(text)
  if (ms === undefined) throw new Error(`not a duration: ${text}`)
  return ms
}

/** Milliseconds of a text such as `90s`, `5m`, `12h` or `30d`; undefined for anything else. */
export const parseDuration = (text: string): number | undefined => {
  const [, digits, unit] = /^([1-9]\d{0,7})([smhd])$/.exec(text) ?? []
  return digits === undefined || unit === undefined ? undefined : Number(digits) * unitMs[unit as keyof typeof unitMs]
}
