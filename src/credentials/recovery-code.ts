import { createHash, randomBytes } from 'node:crypto'

import { base32 } from './ids.ts'

/** How many an account has at once. */
const recoveryCodeCount = 10

const letters = 24
const pattern = /^[a-z2-7]{24}$/

export interface RecoveryCode {
  readonly code: string
  /** What is stored of it: SHA-256, for it has all the entropy that a slow hash could add. */
  readonly hash: string
}

/** Codes for whom the authenticator is lost: 120 random bits each, in groups that people can copy from paper. */
export const createRecoveryCodes = (): readonly RecoveryCode[] =>
  Array.from({ length: recoveryCodeCount }, () => {
    const plain = base32(randomBytes(15), letters)
    return { code: plain.replaceAll(/(.{4})(?!$)/g, '$1-'), hash: hashOf(plain) }
  })

/** However somebody copied it. Undefined for what can be none. */
export const hashRecoveryCode = (text: string): string | undefined => {
  const plain = text.toLowerCase().replaceAll(/[\s-]/g, '')
  return pattern.test(plain) ? hashOf(plain) : undefined
}

const hashOf = (plain: string): string => createHash('sha256').update(plain).digest('base64url')
