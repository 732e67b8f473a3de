import type { Generated } from 'kysely'

/** The schema as the repositories see it; both dialects, made by the migrations. Timestamps are epoch milliseconds. */
export interface Tables {
  film: FilmTable
  vote: VoteTable
  catalogue: CatalogueTable
  api_key: ApiKeyTable
  installation: InstallationTable
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
}

/** One row, once the first instance has started: what all instances on one database must agree on. */
export interface InstallationTable {
  id: number
  /** HKDF of the master key under a label of its own: two instances with different keys would count one voter twice. */
  key_check: string
}
