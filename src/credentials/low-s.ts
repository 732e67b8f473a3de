/** The order of P-256 (FIPS 186-5, SP 800-186 section 3.2.1.3). */
const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n

/**
 * Of every ECDSA signature (r, s) there is a twin (r, n - s) that is as good, and anybody can make it. Only the one with the lower s is ours.
 * `signature` is r and s as ES256 has them (RFC 7518 section 3.4): 32 bytes each, base64url.
 */
export const hasLowS = (signature: string): boolean => {
  const bytes = Buffer.from(signature, 'base64url')
  return bytes.length === 64 && readS(bytes) <= order / 2n
}

/** The same JWS with that signature of the two. */
export const withLowS = (token: string): string => {
  const start = token.lastIndexOf('.') + 1
  const bytes = Buffer.from(token.slice(start), 'base64url')
  const s = readS(bytes)
  if (s <= order / 2n) return token
  bytes.write((order - s).toString(16).padStart(64, '0'), 32, 'hex')
  return token.slice(0, start) + bytes.toString('base64url')
}

const readS = (bytes: Buffer): bigint => BigInt(`0x${bytes.toString('hex', 32)}`)
