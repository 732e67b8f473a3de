import { rmSync } from 'node:fs'
import { join } from 'node:path'

import type { AccountRepository } from '../api/accounts/accounts.ts'
import type { ClaimCodes } from '../api/accounts/claim/claim-codes.ts'
import type { ClaimGuesses } from '../api/accounts/claim/claim.ts'
import type { Observe } from '../core/events.ts'
import { writeSecretFile } from '../credentials/secret-file.ts'
import { createFailureLimit, type LimiterStore } from '../layers/index.ts'

export interface ClaimOptions {
  readonly dataDir: string
  readonly accounts: Pick<AccountRepository, 'hasAdmin'>
  readonly codes: Pick<ClaimCodes, 'issue'>
  /** Whether a person sees what is printed: the code is then on no disk. */
  readonly hasTerminal: boolean
}

/** How the first admin is claimed: the code itself, for the terminal, or the file that holds it. */
export type ClaimInvitation = { readonly code: string } | { readonly path: string }

/** Makes the one-time code of a start without an admin; undefined where there is one. A file of an earlier start goes in either case. */
export const openClaim = async ({ dataDir, accounts, codes, hasTerminal }: ClaimOptions): Promise<ClaimInvitation | undefined> => {
  forgetClaim(dataDir)
  if (await accounts.hasAdmin()) return undefined
  const { code } = await codes.issue()
  if (hasTerminal) return { code }
  const path = claimFile(dataDir)
  writeSecretFile(path, code)
  return { path }
}

const claimFile = (dataDir: string): string => join(dataDir, 'claim.code')

export const forgetClaim = (dataDir: string): void => rmSync(claimFile(dataDir), { force: true })

/**
 * A thousand guesses an hour at 2^125 codes find none. The limits are there so that nobody tries, and one for everybody together because
 * addresses are cheap; whoever is kept out by a flood adds the admin on the command line.
 */
export const createClaimGuesses = (store: LimiterStore, observe: Observe): ClaimGuesses => ({
  client: createFailureLimit({ store, observe, policy: 'claim', limits: '10 per 15 minutes' }),
  total: createFailureLimit({ store, observe, policy: 'claim-total', limits: '1000 per hour' }),
})
