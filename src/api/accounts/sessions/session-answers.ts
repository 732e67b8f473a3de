import { Problem } from '../../../core/errors.ts'

/** RFC 6749 section 5.1: no cache keeps a token. */
export const uncached = { 'cache-control': 'no-store' } as const

/** Somebody changed the account between the proof and the session: it is proven no more, and that is all there is to tell. */
export const accountChanged = new Problem('unauthenticated', {
  detail: 'The account was changed meanwhile. Log in again.',
})
