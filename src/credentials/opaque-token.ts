import { createHash, randomBytes } from 'node:crypto'

/** What a token is good for, at its beginning, so that scanners and people see what leaked: a refresh token, a login half done. */
export type OpaqueKind = 'fgr' | 'fgm'

const pattern = /^(fgr|fgm)_[A-Za-z0-9_-]{43}$/

/** `<kind>_` and 256 random bits in base64url, with what is stored of it. */
export const createOpaqueToken = (kind: OpaqueKind): { readonly token: string; readonly hash: string } => {
  const token = `${kind}_${randomBytes(32).toString('base64url')}`
  return { token, hash: hashOf(token) }
}

/** What a token of that kind is stored as; undefined for anything else, so that one kind never does for another. */
export const hashOpaqueToken = (kind: OpaqueKind, text: string): string | undefined =>
  text.startsWith(`${kind}_`) && pattern.test(text) ? hashOf(text) : undefined

/** SHA-256: the token has all the entropy a slow hash could add. */
const hashOf = (token: string): string => createHash('sha256').update(token).digest('base64url')
