import { randomBytes } from 'node:crypto'

import { createAuditTrail } from '../../src/api/audit/trail.ts'
import { createDecisionRepository } from '../../src/api/security/decision-repository.ts'
import { systemClock as clock } from '../../src/core/clock.ts'
import type { Database } from '../../src/db/open.ts'

/** About an account; in no monitor's memory, so that it refuses nobody. Resolves with its id. */
export const storeDecision = async (database: Database, target: string): Promise<string> => {
  const id = randomBytes(12).toString('base64url')
  const times = { createdAt: clock.epochMs(), expiresAt: clock.epochMs() + 3_600_000 }
  const facts = {
    scope: 'account',
    type: 'ban',
    rule: null,
    reason: 'a test',
    by: 'monitor',
    offence: 1,
    observed: true,
    evidence: null,
  } as const
  const trail = createAuditTrail(database, clock.epochMs, Buffer.alloc(32))
  await createDecisionRepository({ database, trail, epochMs: clock.epochMs }).save({ id, target, ...times, ...facts })
  return id
}
