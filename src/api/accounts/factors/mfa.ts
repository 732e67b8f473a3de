import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

import { Problem } from '../../../core/errors.ts'
import { hashRecoveryCode } from '../../../credentials/recovery-code.ts'
import { NoQuery } from '../../films/schema.ts'
import { written } from '../../written.ts'
import { factsOf } from '../caller.ts'
import type { FactorContext } from './factor-changes.ts'
import { finishLoginDescription } from './factor-descriptions.ts'
import { type Assertion, Mfa } from './factor-schema.ts'
import { guarded, shutReason } from '../sessions/login-failures.ts'
import type { Also, TokenAnswer } from '../parts.ts'
import { provePasskey } from './passkey-proof.ts'
import type { PendingLogin } from './pending-logins.ts'
import { Tokens } from '../schema.ts'
import { relyingPartyOf } from './webauthn.ts'
import { stepOf } from './totp.ts'

/** The same for a token that is unknown, over, finished, or tried too often. */
export const endedLogin = new Problem('unauthenticated', {
  detail: 'This login cannot be finished any more. Log in again.',
})

const wrongCode = new Problem('unauthenticated', { detail: 'The code is not right, or was used before.' })

const misfit = (detail: string): Problem =>
  new Problem('validation_failed', { detail: 'The code is of another kind than the method.', errors: [{ pointer: '/code', detail }] })

/** What a second factor proved, and what is committed with the session so that it proves it once; or why it proved nothing, for the log. */
export type SecondProof = (Also & { readonly ok: true; readonly amr: readonly string[] }) | { readonly ok: false; readonly reason: string }

/** As a login: an office behind one address, and wrong codes have limits of their own. */
const limits = { only: '60 per minute; 1000 per hour' } as const

/** `POST /v1/auth/mfa`: what a login that is half done needs to become a session. */
export const mfaRoutes = (server: FastifyInstance, context: FactorContext): void => {
  const app = server.withTypeProvider<TypeBoxTypeProvider>()
  const { parts, pendingLogins } = context
  const finish = createFinish(context)
  app.post(
    '/v1/auth/mfa',
    {
      schema: { ...finishLoginDescription, querystring: NoQuery, body: Mfa, response: { 200: Tokens } },
      config: { access: 'public', limits },
    },
    async (request, reply) => {
      const pending = await pendingLogins.find(request.body.mfa_token)
      if (pending === undefined) {
        parts.observe({ event: 'authn_login_fail', ...factsOf(request), reason: 'no such login to finish' })
        throw endedLogin
      }
      const proveIt = proofOf(context, request, pending, request.body)
      const { account } = pending
      // The same limits as for passwords: with those alone, each login would bring five guesses more (OWASP ASVS 5.0 6.6.3).
      const done = await guarded(parts.failures, request, { username: account.username, account }, (isShut) =>
        finish(request, reply, pending, isShut ? { ...proveIt, prove: shut } : proveIt),
      )
      if (done.ok) return done.answer
      parts.observe({ event: 'authn_login_fail', ...factsOf(request), reason: done.reason, subject: account.id })
      throw wrongCode
    },
  )
}

type Finished = { readonly ok: true; readonly answer: TokenAnswer } | { readonly ok: false; readonly reason: string }

/** How to look at the code: nothing is looked at before the attempt is counted. */
interface Attempt {
  /** Only of a passkey: it is asked once. */
  readonly challenge?: string
  readonly prove: () => Promise<SecondProof>
}

const shut = (): Promise<SecondProof> => Promise.resolve({ ok: false, reason: shutReason })

const createFinish =
  ({ parts, pendingLogins }: FactorContext) =>
  async (request: FastifyRequest, reply: FastifyReply, pending: PendingLogin, { challenge, prove }: Attempt): Promise<Finished> => {
    const counted = await parts.database.commit([pendingLogins.countAttempt(pending, challenge)])
    if (counted.result === 'conflict') return { ok: false, reason: 'too many codes for one login, or a passkey twice' }
    written(counted)
    const proof = await prove()
    if (!proof.ok) return proof
    const { account, browser } = pending
    const amr = [...new Set([...pending.amr, ...proof.amr])]
    const unit = [pendingLogins.finish(pending), ...proof.unit]
    const answer = await parts.sessions.open(request, reply, account, { amr, mfa: true, browser }, { unit, entries: proof.entries })
    return answer === undefined ? { ok: false, reason: 'second factor used before' } : { ok: true, answer }
  }

const proofOf = (context: FactorContext, request: FastifyRequest, pending: PendingLogin, { method, code }: Mfa): Attempt => {
  if (method !== 'passkey') {
    if (typeof code !== 'string') throw misfit('must be a string')
    const text = code.trim()
    return {
      prove: () =>
        Promise.resolve(method === 'totp' ? proveTotp(context, pending, text) : proveRecoveryCode(context, request, pending, text)),
    }
  }
  if (typeof code === 'string') throw misfit('must be the credential, an object')
  return provePending(context, request, pending, code)
}

const proveTotp = (context: FactorContext, { account }: PendingLogin, code: string): SecondProof => {
  if (account.totpConfirmedAt === null || account.totpSecret === null) return { ok: false, reason: 'no authenticator app' }
  const step = stepOf(context, account, code)
  if (step === undefined) return { ok: false, reason: 'wrong code' }
  return { ok: true, amr: ['otp', 'mfa'], unit: [context.factors.useTotpStep(account.id, account.totpSecret, step)], entries: [] }
}

/** RFC 8176 has no word for it: it is a password that is good once. */
const proveRecoveryCode = ({ factors }: FactorContext, request: FastifyRequest, { account }: PendingLogin, code: string): SecondProof => {
  const hash = hashRecoveryCode(code)
  if (hash === undefined) return { ok: false, reason: 'wrong recovery code' }
  const entry = { actor: account.id, action: 'recovery_code.use', target: account.id, ...factsOf(request) }
  return { ok: true, amr: ['otp', 'mfa'], unit: [factors.useRecoveryCode(account.id, hash)], entries: [entry] }
}

const provePending = (context: FactorContext, request: FastifyRequest, pending: PendingLogin, credential: Assertion): Attempt => {
  const { challenge } = pending
  const party = relyingPartyOf(context.parts.publicOrigin, request)
  if (challenge === null) return { prove: () => Promise.resolve({ ok: false, reason: 'no passkey was asked for' }) }
  return {
    challenge,
    prove: async () => {
      const stored = await context.passkeys.byId(credential.id)
      // Of somebody else: its owner is not who logs in here.
      if (stored === undefined || stored.accountId !== pending.account.id) return { ok: false, reason: 'unknown passkey' }
      const proof = await provePasskey(context, { credential, party, stored, isChallenge: (given) => given === challenge })
      return proof.ok ? { ...proof, entries: [] } : proof
    },
  }
}
