import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

/** Long enough for somebody who has to find the security key first. */
export const challengeLifetimeMs = 300_000

/**
 * Challenges that nothing is stored for until they are answered, so that nobody fills a table with questions: the time they end (6 bytes),
 * 26 random bytes and an HMAC-SHA-256 over both and what the challenge is for. WebAuthn section 13.4.3 wants at least 16 random bytes.
 */
export const createChallenge = (key: Buffer, purpose: string, epochMs: number): string => {
  const head = Buffer.alloc(6)
  head.writeUIntBE(epochMs + challengeLifetimeMs, 0, 6)
  const body = Buffer.concat([head, randomBytes(26)])
  return Buffer.concat([body, tagOf(key, purpose, body)]).toString('base64url')
}

export interface OpenChallenge {
  /** SHA-256, to remember that it was answered. */
  readonly hash: string
  readonly expiresAt: number
}

/** Undefined where it is not ours, for something else, or over. */
export const readChallenge = (key: Buffer, purpose: string, text: string, epochMs: number): OpenChallenge | undefined => {
  const bytes = Buffer.from(text, 'base64url')
  // One spelling alone: another one of the same bytes would be another answer to a challenge that was answered.
  if (bytes.length !== 64 || bytes.toString('base64url') !== text) return undefined
  const body = bytes.subarray(0, 32)
  if (!timingSafeEqual(tagOf(key, purpose, body), bytes.subarray(32))) return undefined
  const expiresAt = body.readUIntBE(0, 6)
  return epochMs < expiresAt ? { hash: createHash('sha256').update(bytes).digest('base64url'), expiresAt } : undefined
}

const tagOf = (key: Buffer, purpose: string, body: Buffer): Buffer =>
  createHmac('sha256', key).update(JSON.stringify(purpose)).update(body).digest()
