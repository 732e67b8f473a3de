import type { SecurityEventName } from '../../core/events.ts'
import type { DecisionScope, DecisionType } from './decision.ts'

/** What a signal can be grouped by, or be told apart by. Undefined for a signal that has none of it: then the rule does not see the signal. */
export type Aspect =
  /** The client prefix. */
  | 'client'
  /** /24 of IPv4, /48 of IPv6. */
  | 'network'
  /** A subject; where an event has none, what was tried (a name, or a credential), as a digest. */
  | 'account'
  /** One credential: `key:<id>`, `session:<id>`. */
  | 'principal'
  /** Method and route template. */
  | 'route'
  /** The path as it was sent, its runs of digits as one, as a digest: who counts through the ids of a misspelt route asks for one path. */
  | 'path'
  /** The value of the route's parameter, as a digest. */
  | 'id'
  /** What `like` or `dislike` names, with which of the two. */
  | 'vote'
  /** The pages of one listing: the target without its cursor, as a digest. */
  | 'listing'
  | 'cursor'
  /** Which field was wrong. */
  | 'pointer'
  /** The names in the query of a request, each once and sorted, as a digest. */
  | 'parameters'
  | 'origin'

/** What the text of a refused or odd request looks like; see classify.ts. */
export type Tag =
  | 'scanner_agent'
  | 'sensitive_file'
  | 'admin_interface'
  | 'traversal'
  | 'sql'
  | 'command'
  | 'script'
  | 'template'
  | 'honey_route'
  /** The address of some web page. */
  | 'link'

/** A security event; `where` names members of it and the values that fit. Of a member with several values one that fits is enough. */
export interface EventCondition {
  readonly event: SecurityEventName | readonly SecurityEventName[]
  readonly where?: Readonly<Record<string, string | readonly string[]>>
}

/** A request that has ended; everything that is named must fit. */
export interface RequestCondition {
  readonly request: {
    readonly methods?: readonly string[]
    /** Route templates; null is a request that no route matched. */
    readonly routes?: readonly (string | null)[]
    /** The route has a parameter. */
    readonly hasId?: true
    /** One of these parameters is in the query. */
    readonly parameters?: readonly string[]
    readonly statuses?: readonly number[]
    readonly verdicts?: readonly string[]
    readonly authenticated?: boolean
    /** Whether who acts does so with an API key. */
    readonly withKey?: boolean
    /** Whether a browser says that a page of another site made it send this: its visitor may know nothing of it. */
    readonly foreign?: boolean
    /** One of them; what the request looks like is found out only for rules that ask. */
    readonly tags?: readonly Tag[]
  }
}

export type Condition = EventCondition | RequestCondition

/**
 * A leaky bucket for each group: a signal that fits pours `cost` in, `leakPerSecond` runs out, and what would go beyond `capacity` is the decision.
 * With `capacity` 0 the first signal is.
 */
export interface Rule {
  /** In kebab-case; it never changes its meaning. */
  readonly name: string
  /** One sentence for operators. */
  readonly summary: string
  readonly groupBy: readonly Aspect[]
  readonly bucket: { readonly capacity: number; readonly leakPerSecond: number }
  /** Any of them. */
  readonly when: readonly Condition[]
  /** Only values that the bucket has not seen pour. */
  readonly distinct?: Aspect
  /** Default 1. */
  readonly cost?: number
  /**
   * The bucket's overflow alone decides nothing: this has to come, of the same group, while it is full. Whom the decision is about is read
   * from this signal.
   */
  readonly completedBy?: Condition
  readonly decision: {
    readonly type: DecisionType
    /** Whom it is about is read from the signal that overflows the bucket; a range is its network. */
    readonly scope: DecisionScope
    /** Of the first; each further one within a week doubles it. */
    readonly durationMs: number
    readonly maxDurationMs: number
  }
  /** What the event is called that tells of an overflow, beside the decision's own. */
  readonly tells?: 'malicious_excess_404' | 'malicious_attack_tool' | 'malicious_direct_reference'
  /** How sure an overflow means what the name says, and whether a third party could bring it about for somebody else. */
  readonly confidence: 'low' | 'medium' | 'high'
  readonly spoofable: boolean
  /** OWASP and MITRE ATT&CK names, and where the numbers come from. */
  readonly references: readonly string[]
}
