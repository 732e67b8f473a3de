import type { Channel } from '../../db/channel.ts'
import type { Outcome, Unit } from '../../db/unit.ts'
import type { AuditEntry, AuditTrail } from '../audit/trail.ts'

export interface AccountChanges {
  /** Commits what changes whom a credential speaks for, or what it may: from then on nothing that was known of credentials before holds. */
  commit(unit: Unit, entries: readonly AuditEntry[]): Promise<Outcome>
  /**
   * What was learned of credentials holds as long as this stays the same. Undefined: announcements may be missed, so nothing holds beyond
   * the request that asked.
   */
  generation(): number | undefined
}

/** The one way to change accounts, sessions and keys: audited, announced, and in force at once. */
export const createAccountChanges = (channel: Channel, trail: AuditTrail): AccountChanges => {
  let generation = 0
  const bump = (): void => void generation++
  channel.subscribe('account_changed', bump)
  return {
    commit: async (unit, entries) => {
      let outcome: Outcome | undefined
      try {
        outcome = await trail.commit([...unit, ...channel.announce('account_changed')], entries)
        return outcome
      } finally {
        // Also where it failed: what was cut off in the middle of a commit may be stored. Of what conflicted nothing is.
        if (outcome?.result !== 'conflict') bump()
      }
    },
    generation: () => (channel.isUp() ? generation : undefined),
  }
}
