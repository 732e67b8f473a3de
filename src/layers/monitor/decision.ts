/** Whom a decision is about: a client prefix, a CIDR, one credential (`key:<id>`, `session:<id>`), or a subject with all its credentials and its login. */
export type DecisionScope = 'client' | 'range' | 'principal' | 'account'

/**
 * `ban` refuses; `tighten` leaves a small share of the limits; `require_login` refuses whoever sends no credentials; `tell` refuses nobody: people
 * are told, and it is always `observed`.
 */
export type DecisionType = 'ban' | 'tighten' | 'require_login' | 'tell'

export interface Decision {
  /** 96 random bits, base64url. */
  readonly id: string
  readonly scope: DecisionScope
  /** In its canonical spelling: `192.0.2.7`, `2001:db8::/64`, `192.0.2.0/24`, `key:4fGh7Kq2LmZx`, a subject. */
  readonly target: string
  readonly type: DecisionType
  /** The rule that asked for it; null where a person did. */
  readonly rule: string | null
  /** For operators, never for who is refused. */
  readonly reason: string
  /** `monitor`, or the subject of a person. */
  readonly by: string
  /** Epoch milliseconds. */
  readonly createdAt: number
  /** Epoch milliseconds. */
  readonly expiresAt: number
  /** 1 for the first of this target, 2 for its first repetition… */
  readonly offence: number
  /** Told of, never enforced: made so, or, where it is read from `Decisions`, because the mode of its rule says so now. */
  readonly observed: boolean
  readonly evidence: Evidence | null
}

/** Why a rule decided. */
export interface Evidence {
  readonly bucket: { readonly capacity: number; readonly leakPerSecond: number; readonly level: number }
  /** The newest of what filled the bucket, oldest first, `maxEvidence` at most. */
  readonly signals: readonly EvidenceSignal[]
}

export interface EvidenceSignal {
  /** Epoch milliseconds. */
  readonly at: number
  readonly requestId: string | null
  /** A security event, or `request`. */
  readonly name: string
  readonly client: string | null
  readonly method: string | null
  readonly route: string | null
  readonly status: number | null
  /** What about it counted, such as a tag or a reason; never a value that a client sent. */
  readonly about: string | null
}

export const maxEvidence = 20

/** The request by which a person decided; nulls where no request did. */
export interface Origin {
  readonly requestId: string | null
  readonly client: string | null
}

/** What happened to the decisions of all instances. */
export type DecisionChange =
  | { readonly change: 'decided'; readonly decision: Decision }
  | { readonly change: 'lifted'; readonly id: string; readonly by: string }

/**
 * Where decisions live on after this process, and how other instances hear of them. A decision is in force here before the store has it; what
 * cannot be stored now is tried again for as long as the decision lasts.
 */
export interface DecisionStore {
  /** All that are in force, and those of the last days that `offence` is counted from. */
  load(): Promise<readonly Decision[]>
  /** Rejects where it is not durable. `origin` only where a person decided. */
  save(decision: Decision, origin?: Origin): Promise<void>
  /** Resolves with false where none such is in force. */
  lift(id: string, by: string, origin?: Origin): Promise<boolean>
  /** Calls back with what other instances changed, within a second, and with everything where something may have been missed. */
  follow(heard: (changes: readonly DecisionChange[]) => void): void
  close(): Promise<void>
}
