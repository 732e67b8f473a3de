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

/** A link of the chain. */
export interface Link {
  readonly seq: number
  readonly mac: string
}

/** The newest link, as the database has it. */
export interface Head extends Link {
  readonly seal: string
}

/** The beginning of every chain. */
export const root: Head = { seq: 0, mac: '', seal: '' }

/** What is stored beside the newest link. Without it, whoever can write the database could cut rows off and call an older one the newest. */
export const sealOf = (key: Buffer, { seq, mac }: Link): string =>
  // Another form than any row's, so that no MAC of a row is a seal.
  createHmac('sha256', key)
    .update(JSON.stringify({ head: [seq, mac] }))
    .digest('base64url')

/** `hasHistory`: something is there that the program never made without a row in the trail. */
export const isOurHead = (key: Buffer, head: Head, hasHistory: boolean): boolean =>
  head.seq === 0 ? head.mac === '' && head.seal === '' && !hasHistory : macMatches(head.seal, sealOf(key, head))

export const macMatches = (a: string, b: string): boolean => {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}
