import { Problem } from '../core/errors.ts'
import type { Outcome, Row } from '../db/unit.ts'

/** The rows of a committed unit; a store that cannot write becomes the refusal that the client sees. */
export const written = (outcome: Outcome): readonly (readonly Row[])[] => {
  if (outcome.result === 'committed') return outcome.rows
  throw new Problem('store_unavailable', {
    detail: 'Storage cannot write at the moment; nothing was stored. Try again later.',
    retryAfterSeconds: 5,
    cause: outcome.result === 'unavailable' ? outcome.reason : `conflict at statement ${outcome.statement}`,
  })
}
