import { isIP } from 'node:net'

import type { FastifyRequest } from 'fastify'

import { Problem } from '../../../core/errors.ts'
import type { Assertion, Attestation } from './factor-schema.ts'

/** WebAuthn level 3 (w3.org/TR/webauthn-3), by @simplewebauthn/server, which is loaded with the first credential: it takes a tenth of a second. */
export interface RelyingParty {
  readonly id: string
  readonly origins: readonly string[]
}

/**
 * The name that passkeys are bound to for good: of `server.public_url`, else localhost where the request is for that. Never what a client
 * calls us: a passkey made for a name that passes is lost, and one for somebody else's name is worse.
 */
export const relyingPartyOf = (publicOrigin: string, { host, protocol }: Pick<FastifyRequest, 'host' | 'protocol'>): RelyingParty => {
  if (publicOrigin !== '') {
    const { hostname, origin } = new URL(publicOrigin)
    if (isIP(hostname.replaceAll(/[[\]]/g, '')) !== 0) throw noName
    return { id: hostname, origins: [origin] }
  }
  const local = /^localhost(:\d{1,5})?$/i.exec(host)
  if (local === null) throw noName
  // Over TLS no page in plain HTTP is ours; over plain HTTP something in front may speak TLS.
  const schemes = protocol === 'https' ? ['https'] : ['http', 'https']
  return { id: 'localhost', origins: schemes.map((scheme) => `${scheme}://localhost${local[1] ?? ''}`) }
}

/** An address is no relying party (section 5.1.2: a valid domain string). */
const noName = new Problem('conflict', {
  detail: 'Passkeys are bound to a name. Set server.public_url to one, or use this server as localhost.',
})

/** EdDSA, ES256, RS256 (IANA COSE Algorithms): what authenticators have. */
export const algorithms = [-8, -7, -257] as const

export type IsChallenge = (challenge: string) => boolean

export interface NewCredential {
  readonly id: string
  /** COSE key, base64url. */
  readonly publicKey: string
  readonly counter: number
  readonly amr: readonly string[]
}

/** Section 7.1. Undefined for a credential that is not what was asked for. */
export const verifyAttestation = async (
  response: Attestation,
  { id: expectedRPID, origins }: RelyingParty,
  isChallenge: IsChallenge,
): Promise<NewCredential | undefined> => {
  const { verifyRegistrationResponse } = await import('@simplewebauthn/server')
  const { decodeAttestationObject, isoBase64URL } = await import('@simplewebauthn/server/helpers')
  return quietly(async () => {
    const attestation = decodeAttestationObject(isoBase64URL.toBuffer(response.response.attestationObject))
    const format = attestation.get('fmt')
    // None was asked for, and then there is none, or one that the key itself signs (section 5.1.3). Certificates of a client's choice would
    // have the library fetch revocation lists from wherever they say.
    const isPlain = format === 'none' || (format === 'packed' && attestation.get('attStmt').get('x5c') === undefined)
    if (!isPlain || isForeign(response)) return undefined
    const { verified, registrationInfo } = await verifyRegistrationResponse({
      response: response as Parameters<typeof verifyRegistrationResponse>[0]['response'],
      expectedChallenge: isChallenge,
      expectedOrigin: [...origins],
      expectedRPID,
      requireUserVerification: true,
      supportedAlgorithmIDs: [...algorithms],
    })
    if (!verified || registrationInfo.credential.id !== response.id) return undefined
    const { id, publicKey, counter } = registrationInfo.credential
    return { id, publicKey: Buffer.from(publicKey).toString('base64url'), counter, amr: amrOf(registrationInfo.credentialDeviceType) }
  })
}

export interface UsedCredential {
  /** Above zero, and then always more, where the authenticator counts (section 6.1.1); for the caller to compare. */
  readonly counter: number
  readonly amr: readonly string[]
}

/** RFC 8176: the key is in hardware, or may be copied between devices; the user was there, and verified. */
const amrOf = (deviceType: 'singleDevice' | 'multiDevice'): readonly string[] => [
  deviceType === 'multiDevice' ? 'swk' : 'hwk',
  'user',
  'mfa',
]

/** Section 7.2, but for the counter. Undefined for an assertion that proves nothing. */
export const verifyAssertion = async (
  response: Assertion,
  { id: expectedRPID, origins }: RelyingParty,
  isChallenge: IsChallenge,
  { id, publicKey }: Pick<NewCredential, 'id' | 'publicKey'>,
): Promise<UsedCredential | undefined> => {
  const { verifyAuthenticationResponse } = await import('@simplewebauthn/server')
  return quietly(async () => {
    if (isForeign(response)) return undefined
    const { verified, authenticationInfo } = await verifyAuthenticationResponse({
      response: response as Parameters<typeof verifyAuthenticationResponse>[0]['response'],
      expectedChallenge: isChallenge,
      expectedOrigin: [...origins],
      expectedRPID,
      requireUserVerification: true,
      // The counter is compared where it is stored, or two at once would both be newer.
      credential: { id, publicKey: Uint8Array.from(Buffer.from(publicKey, 'base64url')), counter: 0 },
    })
    if (!verified) return undefined
    const { newCounter, credentialDeviceType } = authenticationInfo
    return { counter: newCounter, amr: amrOf(credentialDeviceType) }
  })
}

/** The library tells of everything that is wrong by throwing, with words of the client's in it; there is nothing of ours that could fail. */
const quietly = async <T>(verify: () => Promise<T | undefined>): Promise<T | undefined> => {
  try {
    return await verify()
  } catch {
    return undefined
  }
}

/** Made within a page of another site (section 5.8.1, crossOrigin): none of ours is embedded anywhere. */
const isForeign = ({ response: { clientDataJSON } }: Assertion | Attestation): boolean => {
  const { crossOrigin } = JSON.parse(Buffer.from(clientDataJSON, 'base64url').toString('utf8')) as { crossOrigin?: unknown }
  return crossOrigin !== undefined && crossOrigin !== false
}
