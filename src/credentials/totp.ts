import { randomBytes } from 'node:crypto'

import { Secret, TOTP } from 'otpauth'

/** RFC 6238 with what every authenticator app knows: SHA-1, 6 digits, steps of 30 s. */
const parameters = { algorithm: 'SHA1', digits: 6, period: 30 } as const

/** Steps that a code may be early or late (RFC 6238 section 5.2: at most one): a code is good for a minute and a half. */
const window = 1

/** 160 random bits, as RFC 4226 section 4 recommends, in base 32. */
export const createTotpSecret = (): string => new Secret({ buffer: Uint8Array.from(randomBytes(20)).buffer }).base32

/** What authenticator apps read from a QR code (github.com/google/google-authenticator/wiki/Key-Uri-Format). */
export const totpUri = (secret: string, issuer: string, username: string): string =>
  new TOTP({ ...parameters, secret: Secret.fromBase32(secret), issuer, label: username }).toString()

/** The time step whose code it is; undefined for a code of no step close to now. Compared in constant time. */
export const totpStep = (secret: string, code: string, epochMs: number): number | undefined => {
  if (!/^[0-9]{6}$/.test(code)) return undefined
  const delta = TOTP.validate({ ...parameters, secret: Secret.fromBase32(secret), token: code, timestamp: epochMs, window })
  return delta === null ? undefined : TOTP.counter({ period: parameters.period, timestamp: epochMs }) + delta
}
