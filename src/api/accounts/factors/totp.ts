import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'

import { Problem } from '../../../core/errors.ts'
import { createRecoveryCodes } from '../../../credentials/recovery-code.ts'
import { seal, unseal } from '../../../credentials/sealed.ts'
import { createTotpSecret, totpStep, totpUri } from '../../../credentials/totp.ts'
import { NoQuery } from '../../films/schema.ts'
import { written } from '../../written.ts'
import type { Account } from '../accounts.ts'
import { sessionOf } from '../caller.ts'
import { createFactorChanges, type FactorContext, lastFactor, type Owner } from './factor-changes.ts'
import {
  confirmTotpDescription,
  offerTotpDescription,
  removeTotpDescription,
  replaceRecoveryCodesDescription,
  totpStateDescription,
} from './factor-descriptions.ts'
import { RecoveryCodes, TotpCode, TotpOffer, TotpState } from './factor-schema.ts'
import { hasFactor } from './factors.ts'

const confirmed = new Problem('conflict', { detail: 'An authenticator app is set up already. Remove it first.' })
const nothingOffered = new Problem('conflict', { detail: 'Nothing waits for a code. Begin with POST /v1/me/totp.' })
const noFactor = new Problem('conflict', { detail: 'Recovery codes stand for a second factor, and there is none.' })
const notSetUp = new Problem('not_found', { detail: 'No authenticator app is set up.' })
const wrongCode = new Problem('validation_failed', {
  detail: 'That is not the code of now. Is the clock of the device right?',
  errors: [{ pointer: '/code', detail: 'must be the code that the app shows now' }],
})

const own = { access: 'authenticated', sessionOnly: true } as const
const ownFresh = { ...own, freshLogin: true } as const

/** Time-based codes of an authenticator app, and the recovery codes for when it is lost. */
export const totpRoutes = (server: FastifyInstance, context: FactorContext): void => {
  const app = server.withTypeProvider<TypeBoxTypeProvider>()
  const { ownerOf } = createFactorChanges(context)
  const { offer, confirm, remove } = createTotpChanges(context)
  const replaceCodes = createReplaceCodes(context)
  const querystring = NoQuery

  app.get(
    '/v1/me/totp',
    { schema: { ...totpStateDescription, querystring, response: { 200: TotpState } }, config: own },
    async (request) => {
      const { hasTotp, recoveryCodesLeft } = await context.repository.stateOf(sessionOf(request).accountId)
      return { enabled: hasTotp, recovery_codes_left: recoveryCodesLeft }
    },
  )
  app.post(
    '/v1/me/totp',
    { schema: { ...offerTotpDescription, querystring, response: { 200: TotpOffer } }, config: ownFresh },
    async (request) => offer((await ownerOf(request)).account),
  )
  app.put(
    '/v1/me/totp',
    { schema: { ...confirmTotpDescription, querystring, body: TotpCode, response: { 200: RecoveryCodes } }, config: ownFresh },
    async (request) => ({ recovery_codes: await confirm(request, await ownerOf(request), request.body.code) }),
  )
  app.delete('/v1/me/totp', { schema: { ...removeTotpDescription, querystring }, config: ownFresh }, async (request, reply) => {
    await remove(request, await ownerOf(request))
    return reply.code(204).send()
  })
  app.post(
    '/v1/me/totp/recovery-codes',
    { schema: { ...replaceRecoveryCodesDescription, querystring, response: { 200: RecoveryCodes } }, config: ownFresh },
    async (request) => ({ recovery_codes: await replaceCodes(request, await ownerOf(request)) }),
  )
}

type Request = Parameters<ReturnType<typeof createFactorChanges>['ownerOf']>[0]

const createTotpChanges = (context: FactorContext) => {
  const { parts, factors, sealingKey } = context
  const { commit } = createFactorChanges(context)
  const issuer = parts.publicOrigin === '' ? 'Filmgate' : new URL(parts.publicOrigin).hostname
  return {
    offer: async ({ id, username }: Account) => {
      const secret = createTotpSecret()
      const outcome = await parts.database.commit([factors.offerTotp(id, seal(sealingKey, id, secret))])
      if (outcome.result === 'conflict') throw confirmed
      written(outcome)
      return { secret, uri: totpUri(secret, issuer, username) }
    },
    confirm: async (request: Request, owner: Owner, code: string): Promise<string[]> => {
      const { account, sessionId } = owner
      if (account.totpConfirmedAt !== null) throw confirmed
      if (account.totpSecret === null) throw nothingOffered
      const step = stepOf(context, account, code)
      if (step === undefined) throw wrongCode
      const { codes, unit } = freshCodes(context, account.id)
      await commit(request, owner, {
        action: 'totp.add',
        unit: [
          factors.confirmTotp(account.id, account.totpSecret, step),
          factors.endTokens(account.id),
          factors.raiseSession(sessionId, account.id, 'otp mfa'),
          ...unit,
        ],
      })
      return codes
    },
    remove: async (request: Request, owner: Owner): Promise<void> => {
      const { account, state, mustKeepOne } = owner
      if (account.totpSecret === null) throw notSetUp
      if (mustKeepOne && state.hasTotp && state.passkeys === 0) throw lastFactor
      const unit = [factors.removeTotp(account.id, mustKeepOne), factors.dropSpareCodes(account.id)]
      await commit(request, owner, { action: 'totp.remove', unit })
    },
  }
}

const createReplaceCodes = (context: FactorContext) => {
  const { commit } = createFactorChanges(context)
  return async (request: Request, owner: Owner): Promise<string[]> => {
    if (!hasFactor(owner.state)) throw noFactor
    const { codes, unit } = freshCodes(context, owner.account.id)
    await commit(request, owner, { action: 'recovery_codes.replace', unit })
    return codes
  }
}

/** New recovery codes instead of all others. */
export const freshCodes = ({ factors }: FactorContext, accountId: string) => {
  const made = createRecoveryCodes()
  return {
    codes: made.map(({ code }) => code),
    unit: factors.replaceRecoveryCodes(
      accountId,
      made.map(({ hash }) => hash),
    ),
  }
}

/** The step that a code of the account's app belongs to; undefined for any other code. */
export const stepOf = ({ parts, sealingKey }: FactorContext, { id, totpSecret }: Account, code: string): number | undefined => {
  const secret = unseal(sealingKey, id, totpSecret ?? '')
  // Sealed with another master key, or of another row: no code of anybody's fits, and an operator must learn of it.
  if (secret === undefined) throw new Error(`the TOTP secret of account ${id} cannot be opened with this master key`)
  return totpStep(secret, code, parts.epochMs())
}
