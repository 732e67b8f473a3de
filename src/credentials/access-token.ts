import { randomBytes } from 'node:crypto'

import { isRole, type Role } from '../core/access.ts'
import { readCompactForm, readJsonObject } from './compact-form.ts'
import { hasLowS, withLowS } from './low-s.ts'

/** What an access token of ours says (RFC 9068 section 2.2), each claim exactly so. Times in seconds since 1970. */
export interface AccessClaims {
  readonly iss: string
  readonly aud: string
  readonly sub: string
  readonly iat: number
  readonly nbf: number
  readonly exp: number
  readonly jti: string
  /** The session. */
  readonly sid: string
  /** Of the account when the token was made: a later one ends it. */
  readonly epoch: number
  readonly auth_time: number
  readonly amr: readonly string[]
  readonly role: Role
}

/** Why a token is refused: for events, never for whoever sent it. */
export type TokenFault = 'malformed' | 'unknown signing key' | 'wrong signature' | 'wrong claims' | 'expired' | 'not valid yet'

export interface VerifiedToken {
  readonly claims: AccessClaims
  readonly kid: string
}

export interface VerifyOptions {
  readonly issuer: string
  readonly audience: string
  /** A key that signs with ES256; undefined where no key of ours has that id. */
  readonly keyOf: (kid: string) => Promise<CryptoKey | undefined>
  readonly epochMs: () => number
}

/** Ours take some 600. */
export const maxTokenBytes = 4096

/** More is nothing that we ever said. */
const maxLifeSeconds = 3600

/** By so much the clocks of two instances may differ. */
const leewaySeconds = 5

/**
 * One type, one algorithm, one key of ours by its id (RFC 8725 sections 3.1, 3.11): a header with any other member is refused, so there is no
 * `jku`, `jwk`, `x5u`, `x5c` or `crit` to follow. jose checks the signature and nothing else: what claims must be is stricter here than it
 * knows.
 */
export const verifyAccessToken = async (token: string, options: VerifyOptions): Promise<VerifiedToken | TokenFault> => {
  const form = readCompactForm(token, maxTokenBytes)
  const kid = form && readKeyId(form.header)
  // The other half of the signatures that say the same: with it a token would have two texts.
  if (form === undefined || kid === undefined || !hasLowS(form.signature)) return 'malformed'
  const key = await options.keyOf(kid)
  if (key === undefined) return 'unknown signing key'
  if (!(await hasSignature(token, key))) return 'wrong signature'
  const claims = readClaims(form.payload, options)
  if (claims === undefined) return 'wrong claims'
  return faultInTime(claims, options.epochMs() / 1000) ?? { claims, kid }
}

/** Text for `Authorization: Bearer`. `now` is the second it begins with. */
export const signAccessToken = async (
  facts: Omit<AccessClaims, 'iat' | 'nbf' | 'exp' | 'jti'>,
  { kid, privateKey, now, lifeSeconds }: { kid: string; privateKey: CryptoKey; now: number; lifeSeconds: number },
): Promise<string> => {
  const { iss, aud, sub, sid, epoch, auth_time, amr, role } = facts
  const times = { iat: now, nbf: now, exp: now + lifeSeconds, jti: randomBytes(16).toString('base64url') }
  const claims: AccessClaims = { iss, aud, sub, ...times, sid, epoch, auth_time, amr, role }
  const { CompactSign } = await import('jose/jws/compact/sign')
  const signing = new CompactSign(Buffer.from(JSON.stringify(claims))).setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid })
  return withLowS(await signing.sign(privateKey))
}

const readKeyId = (header: string): string | undefined => {
  const { alg, typ, kid, ...more } = readJsonObject(header) ?? {}
  if (alg !== 'ES256' || typ !== 'at+jwt' || typeof kid !== 'string' || Object.keys(more).length > 0) return undefined
  // Nothing is looked for by an id that none of our keys could have.
  return /^[A-Za-z0-9_-]{43}$/.test(kid) ? kid : undefined
}

/** Loaded by the first token: 10 ms that a start does not wait for. */
const hasSignature = async (token: string, key: CryptoKey): Promise<boolean> => {
  const { compactVerify } = await import('jose/jws/compact/verify')
  return compactVerify(token, key, { algorithms: ['ES256'] }).then(
    () => true,
    () => false,
  )
}

const isTime = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
const isName = (value: unknown): value is string => typeof value === 'string' && value !== ''
const areNames = (value: unknown): value is readonly string[] => Array.isArray(value) && value.every(isName)

/** Of exactly our types and for us; claims that we do not know say nothing. */
const readClaims = (payload: string, { issuer, audience }: VerifyOptions): AccessClaims | undefined => {
  const { iss, aud, sub, iat, nbf, exp, jti, sid, epoch, auth_time, amr, role } = readJsonObject(payload) ?? {}
  if (iss !== issuer || aud !== audience || !isName(iss) || !isName(aud)) return undefined
  if (!isName(sub) || !isName(jti) || !isName(sid) || !areNames(amr) || !isRole(role)) return undefined
  if (!isTime(iat) || !isTime(nbf) || !isTime(exp) || !isTime(epoch) || !isTime(auth_time)) return undefined
  if (exp <= iat || exp - iat > maxLifeSeconds) return undefined
  return { iss, aud, sub, iat, nbf, exp, jti, sid, epoch, auth_time, amr, role }
}

const faultInTime = ({ iat, nbf, exp }: AccessClaims, now: number): TokenFault | undefined => {
  if (now >= exp) return 'expired'
  return Math.max(iat, nbf) > now + leewaySeconds ? 'not valid yet' : undefined
}
