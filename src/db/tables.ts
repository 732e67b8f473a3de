import type { Generated } from 'kysely'

import type { Role } from '../core/access.ts'

/** The schema as the repositories see it; both dialects, made by the migrations. Timestamps are epoch milliseconds. */
export interface Tables {
  film: FilmTable
  vote: VoteTable
  catalogue: CatalogueTable
  api_key: ApiKeyTable
  installation: InstallationTable
  account: AccountTable
  recovery_code: RecoveryCodeTable
  passkey: PasskeyTable
  known_place: KnownPlaceTable
  session: SessionTable
  refresh_token: RefreshTokenTable
  pending_login: PendingLoginTable
  spent_challenge: SpentChallengeTable
  claim_code: ClaimCodeTable
  signing_key: SigningKeyTable
  announcement: AnnouncementTable
  audit: AuditTable
  audit_head: AuditHeadTable
  decision: DecisionTable
  decision_head: DecisionHeadTable
}

export interface FilmTable {
  /** Never used again, not even after a deletion: a client that kept an id must not reach another film. */
  id: Generated<number>
  /** 1 to catalogue.films without a hole, so that a random slot is a uniformly random film at the cost of one index look-up. */
  slot: number
  name: string
  studio: string | null
  year: number | null
  genre: string | null
  director: string | null
  runtime_min: number | null
  rating: number | null
  likes: Generated<number>
  dislikes: Generated<number>
}

export interface VoteTable {
  film_id: number
  /** `s:<subject>` or `c:<keyed hash of a client prefix>`; the primary key with film_id. */
  voter: string
  /** 1 like, -1 dislike. */
  value: number
  /** What the vote was before its last change, so that the film's counters move in the same unit without a read in between. */
  previous: number
  voted_at: number
}

/** One row: how many films there are. Its lock orders everything that adds or removes films. */
export interface CatalogueTable {
  id: number
  films: number
  /** When the first film came; null until then. */
  filled_at: number | null
}

export interface ApiKeyTable {
  id: string
  subject: string
  name: string
  /** SHA-256 of the secret part, base64url. The secret has 256 random bits, so a slow hash would add nothing. */
  secret_hash: string
  /** Space-separated permissions (RFC 6749 section 3.3 has the form). */
  scopes: string
  created_at: number
  revoked_at: number | null
  expires_at: number | null
  /** Coarse: written once an hour at most. */
  last_used_at: number | null
}

/** One row, once the first instance has started: what all instances on one database must agree on. */
export interface InstallationTable {
  id: number
  /** HKDF of the master key under a label of its own: two instances with different keys would count one voter twice. */
  key_check: string
}

export interface AccountTable {
  /** The subject of tokens, quotas and votes; never used again. */
  id: string
  username: string
  role: Role
  /** PHC string (github.com/P-H-C/phc-string-format); null: no login by password. */
  password_hash: string | null
  /** Grows with every change that access tokens made before must not survive. */
  epoch: Generated<number>
  created_at: number
  updated_at: number
  last_login_at: number | null
  disabled_at: number | null
  /** Sealed; counts as a factor from `totp_confirmed_at` on. */
  totp_secret: string | null
  totp_confirmed_at: number | null
  /** The last time step whose code was accepted (RFC 6238 section 5.2: once). */
  totp_step: number | null
}

export interface RecoveryCodeTable {
  account_id: string
  /** SHA-256 of at least 112 random bits. */
  hash: string
  used_at: number | null
}

export interface PasskeyTable {
  /** The credential id, base64url. */
  id: string
  account_id: string
  name: string
  /** COSE key, base64url. */
  public_key: string
  counter: number
  /** Space-separated. */
  transports: string
  created_at: number
  last_used_at: number | null
}

/** Where an account was logged in to before: keyed hashes of client prefixes. */
export interface KnownPlaceTable {
  account_id: string
  place: string
  last_used_at: number
}

export interface SessionTable {
  /** The `sid` of access tokens; no secret. */
  id: string
  account_id: string
  created_at: number
  /** When the person last proved who it is. */
  authenticated_at: number
  last_used_at: number
  /** Absolute. */
  expires_at: number
  /** Space-separated methods (RFC 8176). */
  amr: string
  mfa: number
  browser: number
  /** The prefix it was opened from. */
  client: string | null
  user_agent: string | null
  revoked_at: number | null
}

export interface RefreshTokenTable {
  /** SHA-256 of the token. */
  hash: string
  session_id: string
  created_at: number
  used_at: number | null
}

/** A login whose second factor is due. */
export interface PendingLoginTable {
  /** SHA-256 of the mfa_token. */
  hash: string
  account_id: string
  expires_at: number
  attempts: Generated<number>
  amr: string
  browser: number
  /** Of WebAuthn, base64url. */
  challenge: string | null
  finished_at: number | null
}

/** Challenges that were answered, until they expire: each is good for one answer. */
export interface SpentChallengeTable {
  hash: string
  expires_at: number
}

export interface ClaimCodeTable {
  hash: string
  expires_at: number
  used_at: number | null
}

export interface SigningKeyTable {
  kid: string
  /** 1, 2, 3…: of two instances that make the next key, one does. */
  generation: number
  public_jwk: string
  /** The private JWK, sealed with a key derived from the master key. */
  sealed_private: string
  created_at: number
  /** From when on it signs; it is published before. */
  active_at: number
}

/** What the monitor or a person decided about somebody; see api/security/. */
export interface DecisionTable {
  /** 96 random bits, base64url. */
  id: string
  /** Grows with each change of any row, in the order of commits: whoever knows one reads only what is newer. */
  seq: number
  scope: string
  target: string
  type: string
  /** Null where a person decided. */
  rule: string | null
  reason: string
  /** `monitor`, or the subject of a person. */
  decided_by: string
  created_at: number
  expires_at: number
  offence: number
  observed: number
  /** A JSON object; null where there is none. */
  evidence: string | null
  lifted_at: number | null
  lifted_by: string | null
}

/** One row: the newest number. Its lock orders everything that changes decisions. */
export interface DecisionHeadTable {
  id: number
  seq: number
}

/** SQLite: how often something was announced, for processes that share the file. */
export interface AnnouncementTable {
  topic: string
  count: number
}

/** Rows are never changed; see api/audit/. */
export interface AuditTable {
  seq: number
  at: number
  /** A subject, or `cli`, `system`. */
  actor: string
  action: string
  target: string
  /** A JSON object. */
  details: string
  request_id: string | null
  client: string | null
  /** HMAC-SHA-256 over the MAC of the row before and this row, base64url. */
  mac: string
}

/** One row: the newest link, so that the end of the chain cannot be cut off unseen. */
export interface AuditHeadTable {
  id: number
  seq: number
  mac: string
  /** HMAC-SHA-256 over both, base64url: an earlier link is not the end again for whoever has not the key. Empty where the trail is. */
  seal: string
}
