import { createHmac, timingSafeEqual } from 'node:crypto'

/** One row of the trail but for its MAC. `details` is the text of a JSON object. */
export interface AuditRow {
  readonly seq: number
  readonly at: number
  readonly actor: string
  readonly action: string
  readonly target: string
  readonly details: string
  readonly request_id: string | null
  readonly client: string | null
}

/**
 * HMAC-SHA-256 over the MAC of the row before and every member of this one, base64url. Who can write the database but has not the master key
 * cannot make a row, nor change, remove or move one, without a link that does not hold (Schneier and Kelsey 1999, section 3, without erasure).
 */
export const macOf = (key: Buffer, previous: string, row: AuditRow): string =>
  // JSON of a list: no two different rows have the same text.
  createHmac('sha256', key)
    .update(JSON.stringify([previous, row.seq, row.at, row.actor, row.action, row.target, row.details, row.request_id, row.client]))
    .digest('base64url')

export const macMatches = (a: string, b: string): boolean => {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}
