import { createHash, webcrypto } from 'node:crypto'

/** A key for ES256 (RFC 7518 section 3.4) as it is published: an entry of a JWK set (RFC 7517). */
export interface PublicJwk {
  readonly kty: 'EC'
  readonly crv: 'P-256'
  readonly x: string
  readonly y: string
  /** The thumbprint of the key (RFC 7638): another key has another id. */
  readonly kid: string
  readonly use: 'sig'
  readonly alg: 'ES256'
}

export interface SigningKeyPair {
  readonly publicJwk: PublicJwk
  readonly publicKey: CryptoKey
  readonly privateKey: CryptoKey
}

const { subtle } = webcrypto
const algorithm = { name: 'ECDSA', namedCurve: 'P-256' } as const

/** A new private key as a JWK, to be sealed and kept. */
export const createPrivateJwk = async (): Promise<string> => {
  const { privateKey } = await subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const { x, y, d } = await subtle.exportKey('jwk', privateKey)
  return JSON.stringify({ kty: 'EC', crv: 'P-256', x, y, d })
}

/** Throws where it is no such JWK. The public key comes from the private one, which is sealed, and not from what stands beside it. */
export const importSigningKey = async (privateJwk: string): Promise<SigningKeyPair> => {
  const jwk = JSON.parse(privateJwk) as webcrypto.JsonWebKey
  const { x = '', y = '' } = jwk
  const publicJwk: PublicJwk = { kty: 'EC', crv: 'P-256', x, y, kid: thumbprint(x, y), use: 'sig', alg: 'ES256' }
  const [privateKey, publicKey] = await Promise.all([
    subtle.importKey('jwk', jwk, algorithm, false, ['sign']),
    subtle.importKey('jwk', { kty: 'EC', crv: 'P-256', x, y }, algorithm, false, ['verify']),
  ])
  return { publicJwk, publicKey, privateKey }
}

/** RFC 7638 section 3: SHA-256 over the required members in the order of their names. */
const thumbprint = (x: string, y: string): string =>
  createHash('sha256')
    .update(JSON.stringify({ crv: 'P-256', kty: 'EC', x, y }))
    .digest('base64url')
