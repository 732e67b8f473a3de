import type { ProblemCode } from './errors.ts'

/**
 * Everything security-relevant that can happen (OWASP Logging Vocabulary Cheat Sheet).
 * Layers tell the world through `Observe` alone; log, metrics and monitor only consume. Members carry no secrets.
 */
export type SecurityEvent =
  | { readonly event: 'sys_startup'; readonly address: string }
  | { readonly event: 'sys_shutdown'; readonly reason: string }
  | { readonly event: 'sys_crash'; readonly error: string }
  | { readonly event: 'sys_config_reload'; readonly ok: boolean; readonly error: string | null }
  | { readonly event: 'sys_store_failure'; readonly store: string; readonly error: string }
  | { readonly event: 'sys_store_recovered'; readonly store: string }
  | (RequestFacts & {
      readonly event: 'authn_login_fail'
      readonly reason: string
      readonly subject?: string | null
      /**
       * What was tried: a name, as a digest under a key of this installation, for it may be somebody's password; a credential, as a digest under
       * a key of this process.
       */
      readonly tried?: string
    })
  /** No further guess is looked at for a while: of a client, of a client for one account, or of one account. */
  | (RequestFacts & { readonly event: 'authn_login_fail_max'; readonly limit: string })
  | (RequestFacts & { readonly event: 'authn_login_lock'; readonly subject: string; readonly reason: string })
  | (RequestFacts & { readonly event: 'authn_login_success'; readonly subject: string; readonly methods: readonly string[] })
  | (RequestFacts & {
      readonly event: 'authn_token_created' | 'authn_token_revoked'
      readonly subject: string
      readonly credential: string
    })
  | (RequestFacts & { readonly event: 'authn_token_reuse'; readonly subject: string; readonly session: string })
  | (RequestFacts & { readonly event: 'authn_password_change'; readonly subject: string })
  | (RequestFacts & { readonly event: 'session_created' | 'session_expired'; readonly subject: string; readonly session: string })
  | (RequestFacts & { readonly event: 'user_created' | 'user_updated'; readonly subject: string; readonly by: string })
  | (RequestFacts & {
      readonly event: 'privilege_permissions_changed'
      readonly subject: string
      readonly by: string
      readonly role: string
    })
  | (RequestFacts & { readonly event: 'authz_change'; readonly subject: string; readonly by: string; readonly change: string })
  | (RequestFacts & { readonly event: 'authz_fail'; readonly subject: string; readonly permission: string })
  | (RequestFacts & {
      readonly event: 'excess_rate_limit_exceeded'
      readonly policy: string
      readonly violated: readonly string[]
      /** Set where limits are only observed: nothing was refused. */
      readonly observed?: true
    })
  | (RequestFacts & {
      readonly event: 'authz_admin'
      readonly subject: string | null
      readonly action: 'limits_reset'
      readonly target: string
    })
  | (RequestFacts & { readonly event: 'sensitive_read'; readonly subject: string | null; readonly resource: 'audit' })
  | (RequestFacts & { readonly event: 'input_validation_fail'; readonly code: ProblemCode; readonly pointers: readonly string[] })
  | (RequestFacts & { readonly event: 'malicious_extraneous'; readonly reason: string })
  /** A page of an origin that is neither ours nor allowed; the beginning of what it says. */
  | (RequestFacts & { readonly event: 'malicious_cors'; readonly origin: string; readonly preflight: boolean })
  /** More to do than can be done: told once a second at most. `delay` of the event loop in ms, `heap` and `shed` (requests) in percent. */
  | (RequestFacts & {
      readonly event: 'abnormal_performance'
      readonly reason: 'event_loop' | 'heap'
      readonly delay: number
      readonly heap: number
      readonly shed: number
      /** Since the last event. */
      readonly refused: number
    })
  /** What the service does left what it usually does. `value` and `usual` are ms (latency), percent (errors) or requests a second (traffic). */
  | (RequestFacts & {
      readonly event: 'abnormal_performance'
      readonly reason: 'latency' | 'error_rate' | 'traffic'
      readonly value: number
      readonly usual: number
    })
  /** A rule of the monitor says what somebody is doing. */
  | (RequestFacts & {
      readonly event: 'malicious_excess_404' | 'malicious_attack_tool' | 'malicious_direct_reference'
      readonly rule: string
    })
  | (RequestFacts & {
      readonly event: 'decision_created'
      readonly decision: string
      readonly type: string
      readonly scope: string
      readonly target: string
      readonly rule: string | null
      readonly by: string
      /** ISO 8601. */
      readonly until: string
      /** Set where it is only told of. */
      readonly observed?: true
    })
  | (RequestFacts & { readonly event: 'decision_lifted'; readonly decision: string; readonly by: string })
  | (RequestFacts & { readonly event: 'decision_enforced'; readonly decision: string; readonly type: string })

/** Which request an event is about; both are null only for what was refused before there was a request. */
interface RequestFacts {
  readonly requestId: string | null
  readonly client: string | null
}

export type SecurityEventName = SecurityEvent['event']

export type Observe = (event: SecurityEvent) => void
