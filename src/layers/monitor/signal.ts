import type { SecurityEvent } from '../../core/events.ts'
import type { Client, Principal } from '../../core/request.ts'

/** A request that has ended, as the monitor sees it: a part of what the access log has. */
export interface EndedRequest {
  /** Epoch milliseconds. */
  readonly epochMs: number
  readonly requestId: string
  readonly method: string | null
  /** The route's template; null where nothing matched. */
  readonly route: string | null
  /** Null where the client went away. */
  readonly status: number | null
  readonly durationMs: number
  /** `ok`, the code that refused, or `aborted`. */
  readonly verdict: string
  /** Null for what was refused before it became a request. */
  readonly userAgent: string | null
  readonly client: Client
  readonly principal: Principal | null
  /**
   * A browser says that a page of another site, which the operator did not name, made it send this (Fetch Metadata, Sec-Fetch-Site), or that a
   * link led it to where nothing is.
   */
  readonly isForeign: boolean
  /** As it was sent, with everything that a client may have put there: looked at, never kept or told. */
  readonly target: string
  /** Values of the route's parameters. */
  readonly params: Readonly<Record<string, string>>
  /** The parsed body, where there is one. */
  readonly body: unknown
}

/** What the monitor consumes. */
export type Signal =
  | { readonly kind: 'event'; readonly epochMs: number; readonly event: SecurityEvent }
  | { readonly kind: 'request'; readonly epochMs: number; readonly request: EndedRequest }
