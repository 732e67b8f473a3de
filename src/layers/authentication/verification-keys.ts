import { createPublicKey, type KeyObject } from 'node:crypto'

/** A key that signatures are verified with, and what its signatures may call themselves (RFC 9864: EdDSA and Ed25519 are one). */
export interface VerificationKey {
  readonly key: KeyObject
  readonly algorithms: readonly string[]
}

/** By key id. A key without an id is under `undefined`, and then it is the only one. */
export type VerificationKeys = ReadonlyMap<string | undefined, VerificationKey>

const maxKeys = 50

type Jwk = Readonly<Record<string, unknown>>

/**
 * The public signature keys of a JWK Set (RFC 7517 section 5) that this server has an algorithm for; the others are left out. The algorithm
 * follows from the key, never from a token, so that no token can choose another (RFC 8725 section 3.1). Throws for what is no such set.
 */
export const parseKeySet = (document: Readonly<Record<string, unknown>>): VerificationKeys => {
  const { keys } = document
  if (!Array.isArray(keys)) throw new Error('the key set has no keys')
  if (keys.length > maxKeys) throw new Error(`the key set has more than ${maxKeys} keys`)
  const found = new Map<string | undefined, VerificationKey>()
  const ambiguous = new Set<string | undefined>()
  for (const jwk of keys as readonly unknown[]) {
    if (typeof jwk !== 'object' || jwk === null) continue
    const key = verificationKey(jwk as Jwk)
    const { kid } = jwk as Jwk
    if (key === undefined || (kid !== undefined && (typeof kid !== 'string' || kid.length > 255))) continue
    // Two keys of one name: a token could choose which of the two algorithms it is verified with.
    if (found.has(kid)) ambiguous.add(kid)
    found.set(kid, key)
  }
  for (const kid of ambiguous) found.delete(kid)
  if (found.size > 1) found.delete(undefined)
  if (found.size === 0) throw new Error('the key set has no key that is fit to verify signatures with')
  return found
}

/** Private members: whoever reads the set can sign, so its signatures prove nothing. `k` is a symmetric key. */
const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']

const verificationKey = (jwk: Jwk): VerificationKey | undefined => {
  if (privateMembers.some((member) => Object.hasOwn(jwk, member))) return undefined
  if (jwk['use'] !== undefined && jwk['use'] !== 'sig') return undefined
  if (jwk['key_ops'] !== undefined && !(Array.isArray(jwk['key_ops']) && jwk['key_ops'].includes('verify'))) return undefined
  const algorithms = algorithmsOf(jwk)
  if (algorithms.length === 0) return undefined
  try {
    const key = createPublicKey({ key: jwk, format: 'jwk' })
    return isStrong(key) ? { key, algorithms } : undefined
  } catch {
    return undefined
  }
}

const byCurve: ReadonlyMap<unknown, readonly string[]> = new Map([
  ['EC P-256', ['ES256']],
  ['EC P-384', ['ES384']],
  ['OKP Ed25519', ['EdDSA', 'Ed25519']],
])

/** What the key itself says; an RSA key that says nothing is for RS256, the algorithm that every issuer has (OpenID Connect Discovery 1.0 section 3). */
const algorithmsOf = ({ kty, crv, alg }: Jwk): readonly string[] => {
  if (kty === 'RSA') return alg === undefined ? ['RS256'] : alg === 'RS256' || alg === 'PS256' ? [alg] : []
  const algorithms = byCurve.get(`${String(kty)} ${String(crv)}`) ?? []
  return alg === undefined || algorithms.includes(alg as string) ? algorithms : []
}

/** NIST SP 800-131A and FIPS 186-5 section 5.1: 2048 bits, an exponent above 2^16. The upper ends bound what one verification costs. */
const isStrong = ({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): boolean => {
  if (asymmetricKeyType !== 'rsa') return true
  const { modulusLength = 0, publicExponent = 0n } = asymmetricKeyDetails ?? {}
  return modulusLength >= 2048 && modulusLength <= 8192 && publicExponent > 2n ** 16n && publicExponent < 2n ** 32n
}
