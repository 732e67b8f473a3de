import { createHash, randomBytes } from 'node:crypto'

const alphabet = 'abcdefghijklmnopqrstuvwxyz234567'

/** Base 32 of RFC 4648 in lower case, five bits a letter from the front of `bytes`. */
export const base32 = (bytes: Buffer, letters: number): string => {
  let text = ''
  for (let bit = 0; text.length < letters; bit += 5) {
    const [high = 0, low = 0] = [bytes[bit >> 3], bytes[(bit >> 3) + 1]]
    text += alphabet[(((high << 8) | low) >> (11 - (bit & 7))) & 31]
  }
  return text
}

/** The subject of an account: `u` and 100 random bits, none of which is used again. */
export const createAccountId = (): string => `u${base32(randomBytes(14), 20)}`

/** The subject of somebody whom another issuer knows: `x` and 120 bits of SHA-256 of both names, which no other pair of names shares. */
export const externalSubject = (issuer: string, subject: string): string =>
  `x${base32(
    createHash('sha256')
      .update(JSON.stringify([issuer, subject]))
      .digest(),
    24,
  )}`

/** The `sid` of a session; no secret. */
export const createSessionId = (): string => randomBytes(16).toString('base64url')
