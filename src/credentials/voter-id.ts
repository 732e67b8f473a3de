import { createHmac } from 'node:crypto'

/** Who a vote belongs to: the subject, else a keyed hash of the client prefix, so that the table of votes holds no address. */
export type VoterId = string

export interface Voter {
  readonly subject: string | null
  readonly clientPrefix: string
}

/** 128 bits of HMAC-SHA-256: enough that two clients never share a vote, and nobody without the key can test an address against the table. */
export const createVoterIds =
  (key: Buffer): ((voter: Voter) => VoterId) =>
  ({ subject, clientPrefix }) =>
    subject === null ? `c:${createHmac('sha256', key).update(clientPrefix).digest().subarray(0, 16).toString('base64url')}` : `s:${subject}`
