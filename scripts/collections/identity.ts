import { createHash } from 'node:crypto'

/** An id in the form of a UUID that is the same each time: the same description makes the same files. */
export const deterministicId = (name: string): string => {
  const hex = createHash('sha256').update(`filmgate ${name}`).digest('hex')
  // Version 8 is for ids of one's own making (RFC 9562 section 5.8).
  return [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`, `a${hex.slice(17, 20)}`, hex.slice(20, 32)].join('-')
}

/** Tools want a date; that of the day would make other files every day. */
export const fixedDate = '2026-01-01T00:00:00.000Z'
