import type { ServerResponse } from 'node:http'

import type { Permission, Role } from './access.ts'

/**
 * Where a request comes from, after trusted proxies were taken off.
 * `address` is canonical (IPv4-mapped IPv6 is the IPv4 address); `prefix` is what counts as one client:
 * the address itself for IPv4, its /64 for IPv6 (a household gets 2^64 addresses, RFC 6177).
 * `network` is what one owner may have of them at once: /24 of IPv4, /48 of IPv6; undefined where there is no address.
 */
export interface Client {
  readonly address: string
  readonly prefix: string
  readonly network?: string | undefined
}

/** A known caller. `subject` is who acts and whom quotas and votes belong to; `credential` names the key or session used, never its secret. */
export interface Principal {
  readonly subject: string
  /** `key:<id>`, `session:<id>`, or `issuer:<url>` for a token of somebody else's. */
  readonly credential: string
  readonly permissions: ReadonlySet<Permission>
  /** Of accounts: undefined for keys that belong to nobody's account. */
  readonly role?: Role | undefined
  /** When the person last proved who it is, epoch milliseconds; undefined where nobody did (an API key). */
  readonly authenticatedAt?: number | undefined
}

/** The session of a principal who logged in here; undefined for anybody else. */
export const sessionIdOf = (principal: Principal | null | undefined): string | undefined =>
  principal?.credential.startsWith('session:') === true ? principal.credential.slice('session:'.length) : undefined

/**
 * Whether the 'close' of a response was before or is about to come: who begins to wait for it may wait for ever. A response over HTTP/2 is no
 * stream and has no `destroyed`, but it has a stream.
 */
export const isGone = (response: ServerResponse & { readonly stream?: { readonly destroyed: boolean } }): boolean =>
  response.destroyed || response.stream?.destroyed === true
