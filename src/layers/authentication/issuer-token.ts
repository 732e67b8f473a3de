import type { JWTPayload } from 'jose'

import { readCompactForm } from '../../credentials/compact-form.ts'
import type { VerificationKey } from './verification-keys.ts'

/** What has to be known to choose the key: nothing else is believed before the signature is. */
export interface Unverified {
  readonly issuer: string
  readonly kid: string | undefined
}

/** Those of other issuers hold lists of groups, but longer ones fit into no header field. */
const maxTokenBytes = 16_384

/** Only for these is an issuer worth asking for its keys. */
const algorithms: ReadonlySet<unknown> = new Set(['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA', 'Ed25519'])

export const readUnverified = (token: string): Unverified | undefined => {
  const form = readCompactForm(token, maxTokenBytes)
  if (form === undefined) return undefined
  const { alg, kid } = parseObject(form.header)
  const { iss: issuer } = parseObject(form.payload)
  const isKeyId = kid === undefined || (typeof kid === 'string' && kid.length <= 255)
  return typeof issuer === 'string' && isKeyId && algorithms.has(alg) ? { issuer, kid } : undefined
}

const parseObject = (segment: string): Readonly<Record<string, unknown>> => {
  try {
    const value: unknown = JSON.parse(Buffer.from(segment, 'base64url').toString('utf8'))
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

/** Claims that are what they must be. */
export type VerifiedClaims = JWTPayload & { readonly sub: string; readonly exp: number }

/** Clocks differ by seconds; whoever may choose the difference chooses how long a token lives. */
export const leewaySeconds = 30
/** An issuer cannot take a token back here, so one that says it is good for longer is not taken at all. */
const longestLifeSeconds = 24 * 3600

/** Signature, issuer, audience, type and times (RFC 9068 section 4, RFC 8725); undefined where one of them is not as it must be. */
export const verifiedClaims = async (
  token: string,
  { key, algorithms: allowed }: VerificationKey,
  { url, audience }: { readonly url: string; readonly audience: string },
  nowMs: number,
): Promise<VerifiedClaims | undefined> => {
  // Loaded by the first token: 30 ms that a start does not wait for.
  const { errors, jwtVerify } = await import('jose')
  try {
    const { payload, protectedHeader } = await jwtVerify(token, key, {
      algorithms: [...allowed],
      issuer: url,
      audience,
      requiredClaims: ['exp', 'iat', 'sub'],
      clockTolerance: leewaySeconds,
      currentDate: new Date(nowMs),
    })
    return isAccessToken(payload, protectedHeader.typ) && hasSubject(payload) && isTimely(payload, nowMs / 1000) ? payload : undefined
  } catch (error) {
    if (error instanceof errors.JOSEError) return undefined
    throw error
  }
}

/** Claims of ID tokens (OpenID Connect Core 1.0 sections 2 and 3.3.2.11) and of events and logouts (RFC 8417): not for a server to take. */
const foreignClaims = ['nonce', 'at_hash', 'c_hash', 's_hash', 'events']

/**
 * `at+jwt` says that it is one (RFC 9068 section 2.1). Many issuers say JWT or nothing, for ID tokens and logout tokens too, so those are
 * told by their claims; the audience is what really keeps them apart, for that of an ID token is the client.
 */
const isAccessToken = (payload: JWTPayload, typ: unknown): boolean => {
  // jose promises text, but does not look.
  if (typeof typ !== 'string' && typ !== undefined) return false
  const type = typ?.toLowerCase().replace(/^application\//, '')
  if (type === 'at+jwt') return true
  if (type !== undefined && type !== 'jwt') return false
  // Keycloak signs its ID and refresh tokens alike, and tells them apart here.
  if (payload['typ'] !== undefined && payload['typ'] !== 'Bearer') return false
  return foreignClaims.every((claim) => payload[claim] === undefined)
}

/** OpenID Connect Core 1.0 section 2: at most 255 characters. */
const hasSubject = (payload: JWTPayload): payload is VerifiedClaims =>
  typeof payload.sub === 'string' && payload.sub !== '' && payload.sub.length <= 255

/** jose has checked that these are numbers; 1e400 is one too. A token ends when it says: only its beginning is a matter of two clocks. */
const isTimely = ({ exp = Infinity, iat = Infinity, nbf = 0 }: JWTPayload, now: number): boolean =>
  [exp, iat, nbf].every(Number.isFinite) && now < exp && exp <= now + longestLifeSeconds && iat <= now + leewaySeconds
