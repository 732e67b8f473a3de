import { type AccessClaims, maxTokenBytes, verifyAccessToken } from '../../credentials/access-token.ts'
import { type ApiKey, parseApiKey, secretMatches } from '../../credentials/api-key.ts'
import { readCompactForm } from '../../credentials/compact-form.ts'
import type { Clock } from '../../core/clock.ts'
import type { Principal } from '../../core/request.ts'

/** What is known of a key that is not revoked. */
export interface FoundKey {
  readonly secretHash: string
  /** Whom it speaks for. */
  readonly principal: Principal
  /** Epoch milliseconds. */
  readonly expiresAt?: number | null
  /** Called when its secret was found to be right: whoever only names a key has not used it. */
  readonly verified?: () => void
}

/** A text is why a key that is known speaks for nobody all the same: a trap. Whoever shows it is told no more than of an unknown one. */
export type KeyLookup = (id: string) => Promise<FoundKey | string | undefined>

/** What is asked about credentials. At least one of the three. */
export interface CredentialSources {
  readonly lookupKey?: KeyLookup
  /** Tokens of our own. `principalOf` says whom a session speaks for now; undefined where it has ended. */
  readonly tokens?: {
    readonly issuer: string
    readonly audience: string
    readonly keyOf: (kid: string) => Promise<CryptoKey | undefined>
    readonly principalOf: (claims: AccessClaims) => Promise<Principal | undefined>
  }
  /** Tokens of other issuers: who it is, or undefined. */
  readonly issuers?: {
    readonly knows: (issuer: string) => boolean
    readonly verify: (token: string) => Promise<{ readonly principal: Principal; readonly expiresAt: number } | undefined>
  }
}

/** Whom a credential speaks for now, and until when; infinity where it does not expire by itself. */
export interface Speaker {
  readonly principal: Principal
  readonly expiresAt: number
}

/** A credential whose own part was checked: what is left is to ask whom it speaks for, which can change. */
export interface Checked {
  /** Undefined: nobody any more. A text: nobody, and why. */
  readonly ask: () => Promise<Speaker | string | undefined>
  /** Whom it speaks for stands in it, so nothing that is changed here changes it. */
  readonly isSelfContained: boolean
}

/** Tokens of others may carry more than ours. */
export const maxCredentialBytes = 16_384

/** Checks what can be checked once: form and signature. Resolves with the reason where it is refused. */
export const createCredentialCheck = (sources: CredentialSources, clock: Clock): ((credential: string) => Promise<Checked | string>) => {
  const { lookupKey, tokens, issuers } = sources
  return async (credential) => {
    const key = parseApiKey(credential)
    if (key !== undefined && lookupKey !== undefined) return { ask: () => askKey(key, lookupKey), isSelfContained: false }
    const issuer = claimedIssuer(credential, issuers === undefined ? maxTokenBytes : maxCredentialBytes)
    if (issuer === undefined) return 'malformed'
    if (issuer === tokens?.issuer) return checkOwn(credential, tokens, clock)
    if (issuers?.knows(issuer) === true) return { ask: () => issuers.verify(credential), isSelfContained: true }
    return 'unknown issuer'
  }
}

/** Whose rules a token is to be held against: only a hint, for whose it really is, its signature says. */
const claimedIssuer = (text: string, maxBytes: number): string | undefined => {
  const form = readCompactForm(text, maxBytes)
  const { iss } = (form && readClaims(form.payload)) ?? {}
  return typeof iss === 'string' ? iss : undefined
}

/** Others may spell JSON as they like. */
const readClaims = (payload: string): { readonly iss?: unknown } | undefined => {
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString())
    return typeof claims === 'object' && claims !== null ? claims : undefined
  } catch {
    return undefined
  }
}

const askKey = async (key: ApiKey, lookupKey: KeyLookup): Promise<Speaker | string | undefined> => {
  const stored = await lookupKey(key.id)
  if (typeof stored === 'string') return stored
  if (stored === undefined || !secretMatches(key.secret, stored.secretHash)) return undefined
  stored.verified?.()
  return { principal: stored.principal, expiresAt: stored.expiresAt ?? Infinity }
}

const checkOwn = async (token: string, tokens: NonNullable<CredentialSources['tokens']>, clock: Clock): Promise<Checked | string> => {
  const verified = await verifyAccessToken(token, { ...tokens, epochMs: clock.epochMs })
  if (typeof verified === 'string') return verified
  const { claims, kid } = verified
  return {
    isSelfContained: false,
    ask: async () => {
      // A key that was taken back takes what it signed with it.
      if ((await tokens.keyOf(kid)) === undefined) return undefined
      const principal = await tokens.principalOf(claims)
      return principal && { principal, expiresAt: claims.exp * 1000 }
    },
  }
}
