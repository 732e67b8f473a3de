import type { FastifyReply, FastifyRequest } from 'fastify'

import { createOpaqueToken } from '../../../credentials/opaque-token.ts'
import { written } from '../../written.ts'
import type { Account } from '../accounts.ts'
import { demandOwnPage } from './browser-mode.ts'
import type { Also, MfaAnswer, Proof } from '../parts.ts'
import { accountChanged, uncached } from './session-answers.ts'
import type { SessionsOptions } from './sessions.ts'

/** A login that is half done. */
const pendingMs = 5 * 60_000

interface Suspended {
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  readonly account: Account
  readonly proof: Proof
  readonly also: Also | undefined
}

/** The first factor was right: what it proved is kept until the second one comes. It opens nothing by itself. */
export const createSuspend =
  ({ database, changes, sessionStatements, epochMs, publicOrigin }: SessionsOptions) =>
  async (
    { request, reply, account, proof, also = { unit: [], entries: [] } }: Suspended,
    methods: MfaAnswer['methods'],
  ): Promise<MfaAnswer | undefined> => {
    if (proof.browser) demandOwnPage(request, publicOrigin)
    const { token, hash } = createOpaqueToken('fgm')
    const pending = sessionStatements.addPending({
      hash,
      accountId: account.id,
      epoch: account.epoch,
      expiresAt: epochMs() + pendingMs,
      amr: proof.amr.join(' '),
      browser: proof.browser,
    })
    const unit = [...also.unit, ...pending]
    const outcome = await (also.unit.length > 0 ? changes.commit(unit, also.entries) : database.commit(unit))
    if (outcome.result === 'conflict') {
      if (outcome.statement < also.unit.length) return undefined
      throw accountChanged
    }
    written(outcome)
    void reply.headers(uncached)
    return { mfa_required: true, mfa_token: token, methods }
  }
