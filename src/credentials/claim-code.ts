import { createHash, randomBytes } from 'node:crypto'

/** Base 32 without the letters that look like others (Crockford). */
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'
const letters = 25

/** A one-time code that a person can read aloud, 125 random bits in groups of five, with what is stored of it. */
export const createClaimCode = (): { readonly code: string; readonly hash: string } => {
  // 32 divides 256: every letter is as likely.
  const text = Array.from(randomBytes(letters), (byte) => alphabet[byte % 32]).join('')
  return { code: (text.match(/.{5}/g) ?? []).join('-'), hash: hashOf(text) }
}

/** What a code is stored as, however a person spells it: case, blanks and hyphens do not matter, o is 0, i and l are 1. Undefined: it is none. */
export const hashClaimCode = (given: string): string | undefined => {
  const text = given.toLowerCase().replace(/[\s-]/g, '').replaceAll('o', '0').replace(/[il]/g, '1')
  return text.length === letters && /^[0-9a-hjkmnp-tv-z]+$/.test(text) ? hashOf(text) : undefined
}

/** SHA-256: the code has all the entropy that a slow hash could add, and who guesses cannot steer how far a comparison of hashes gets. */
const hashOf = (text: string): string => createHash('sha256').update(text).digest('base64url')
