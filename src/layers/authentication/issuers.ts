import type { Role } from '../../core/access.ts'
import { type Clock, systemTimers, type Timers } from '../../core/clock.ts'
import { createEgress, type Egress } from '../../core/egress.ts'
import type { Observe } from '../../core/events.ts'
import type { Principal } from '../../core/request.ts'
import { fetchIssuerKeys } from './discovery.ts'
import { createIssuerKeys } from './issuer-keys.ts'
import { principalOf } from './issuer-principal.ts'
import { readUnverified, verifiedClaims } from './issuer-token.ts'

/** Somebody else who says who people are: an OpenID Connect issuer whose access tokens are JWTs. */
export interface ExternalIssuer {
  /** Exactly as in the claim `iss` of its tokens. */
  readonly url: string
  /** What it must name in the claim `aud` of tokens for this server. */
  readonly audience: string
  /** The claim that holds the roles, `groups` or `realm_access.roles`; empty: nobody has one. See `namesAt`. */
  readonly roleClaim: string
  /** What its roles are here. */
  readonly roles: Readonly<Record<string, Role>>
  /** It may be in a private network, or be asked without TLS where it is on this machine. */
  readonly allowPrivate: boolean
}

export interface ExternalIssuersOptions {
  readonly issuers: readonly ExternalIssuer[]
  readonly clock: Clock
  readonly observe?: Observe
  /** Default: those of the system. */
  readonly timers?: Timers
  /** Default: HTTPS to checked addresses. */
  readonly egress?: Egress
}

export interface VerifiedToken {
  readonly principal: Principal
  /** Epoch milliseconds. */
  readonly expiresAt: number
}

/** Access tokens of other issuers: an exact list of those, and nothing is asked of anybody else. */
export interface ExternalIssuers {
  knows(issuer: string): boolean
  /** Undefined where the token is not valid. Rejects with a `Problem` where that cannot be known now: the issuer does not answer. */
  verify(token: string): Promise<VerifiedToken | undefined>
}

export const createExternalIssuers = ({
  issuers,
  clock,
  observe = () => undefined,
  timers = systemTimers,
  egress = createEgress(),
}: ExternalIssuersOptions): ExternalIssuers => {
  const known = new Map(
    issuers.map((issuer) => {
      const { url, allowPrivate } = issuer
      const fetchKeys = (signal: AbortSignal) => fetchIssuerKeys(egress, url, { allowPrivate, signal })
      return [url, { issuer, keys: createIssuerKeys({ issuer: url, fetchKeys, clock, timers, observe }) }] as const
    }),
  )
  return {
    knows: (issuer) => known.has(issuer),
    verify: async (token) => {
      const unverified = readUnverified(token)
      const trusted = unverified && known.get(unverified.issuer)
      if (unverified === undefined || trusted === undefined) return undefined
      const key = await trusted.keys.find(unverified.kid)
      if (key === undefined) return undefined
      const nowMs = clock.epochMs()
      const claims = await verifiedClaims(token, key, trusted.issuer, nowMs)
      return claims && { principal: principalOf(claims, trusted.issuer, nowMs), expiresAt: claims.exp * 1000 }
    },
  }
}
