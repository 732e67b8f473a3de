import { Problem } from '../core/errors.ts'
import type { Outcome, Row } from '../db/unit.ts'

/**
 * The rows of a committed unit; a store that cannot write becomes the refusal that the client sees. A conflict that the caller did not
 * expect is a bug of ours.
 */
export const written = (outcome: Outcome): readonly (readonly Row[])[] => {
  if (outcome.result === 'committed') return outcome.rows
  if (outcome.result === 'conflict') throw new Error(`a unit conflicted at statement ${outcome.statement}`)
  throw new Problem('store_unavailable', {
    detail: 'Storage cannot write at the moment; this was not acknowledged. Try again later.',
    retryAfterSeconds: 5,
    cause: outcome.reason,
  })
}
