import { createHash, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto'
import { crc32 } from 'node:zlib'

/**
 * `fg_<id>_<secret><crc>`: 12 characters that name the key, 43 with 256 random bits, 6 of CRC-32, all base 62.
 * The prefix and the checksum let scanners find leaked keys without asking the server; the id finds the row without a scan.
 */
const apiKeyPattern = /^fg_([0-9A-Za-z]{12})_([0-9A-Za-z]{43})([0-9A-Za-z]{6})$/

export interface ApiKey {
  readonly id: string
  readonly secret: string
}

export const createApiKey = (): ApiKey => ({ id: base62(12, randomBytes), secret: base62(43, randomBytes) })

/** The secret that belongs to a key's id for everyone who holds `material` (32 bytes): HKDF-SHA-256 (RFC 5869) with the id as info. */
export const deriveSecret = (material: Buffer, id: string): string => {
  // 255 times the hash is all that HKDF gives; 43 letters use up 45 bytes on average.
  const stream = Buffer.from(hkdfSync('sha256', material, '', id, 255 * 32))
  let used = 0
  return base62(43, (count) => stream.subarray(used, (used += count)))
}

export const formatApiKey = ({ id, secret }: ApiKey): string => `fg_${id}_${secret}${checksum(id, secret)}`

/** Undefined for anything that is not a well-formed key, a wrong checksum included: no database is asked for those. */
export const parseApiKey = (text: string): ApiKey | undefined => {
  const [, id, secret, crc] = apiKeyPattern.exec(text) ?? []
  if (id === undefined || secret === undefined || crc !== checksum(id, secret)) return undefined
  return { id, secret }
}

/** SHA-256 of the secret, base64url: what is stored. */
export const hashSecret = (secret: string): string => createHash('sha256').update(secret).digest('base64url')

export const secretMatches = (secret: string, storedHash: string): boolean => {
  const given = Buffer.from(hashSecret(secret))
  const stored = Buffer.from(storedHash)
  return given.length === stored.length && timingSafeEqual(given, stored)
}

const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/** Bytes of 248 and above are thrown away, because 256 is not a multiple of 62 and the first letters would come more often. */
const base62 = (length: number, bytes: (count: number) => Buffer): string => {
  let text = ''
  while (text.length < length) {
    for (const byte of bytes(length)) if (byte < 248 && text.length < length) text += alphabet[byte % 62]
  }
  return text
}

const checksum = (id: string, secret: string): string => {
  let rest = crc32(`${id}_${secret}`)
  let text = ''
  for (let i = 0; i < 6; i++) {
    text = alphabet[rest % 62] + text
    rest = Math.floor(rest / 62)
  }
  return text
}
