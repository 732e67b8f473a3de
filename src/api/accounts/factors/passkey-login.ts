import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { randomBytes } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

import { Problem } from '../../../core/errors.ts'
import { challengeLifetimeMs, createChallenge, type OpenChallenge, readChallenge } from '../../../credentials/challenge.ts'
import { NoQuery } from '../../films/schema.ts'
import { written } from '../../written.ts'
import type { Account } from '../accounts.ts'
import { factsOf } from '../caller.ts'
import type { FactorContext } from './factor-changes.ts'
import { passkeyLoginDescription, passkeyQuestionDescription } from './factor-descriptions.ts'
import { type Assertion, AssertionOptions, PasskeyLogin, PasskeyQuestion } from './factor-schema.ts'
import { guarded, shutReason } from '../sessions/login-failures.ts'
import { endedLogin } from './mfa.ts'
import type { TokenAnswer } from '../parts.ts'
import { provePasskey } from './passkey-proof.ts'
import { type Passkey, passkeyName } from './passkey-table.ts'
import { descriptorsOf } from './passkeys.ts'
import { Tokens } from '../schema.ts'
import { relyingPartyOf } from './webauthn.ts'

/** The same for a passkey that nobody has, one that proves nothing, and an account that may not log in. */
const refused = new Problem('unauthenticated', {
  detail: 'The passkey does not log anybody in here, or answers no challenge of the last five minutes. Begin again.',
})

const purpose = 'log in'

/** As a login: an office behind one address, and wrong passkeys have limits of their own. */
const limits = { only: '60 per minute; 1000 per hour' } as const

/** Logins with a passkey and nothing else, and what a passkey is asked as a second factor. */
export const passkeyLoginRoutes = (server: FastifyInstance, context: FactorContext): void => {
  const app = server.withTypeProvider<TypeBoxTypeProvider>()
  const { parts, challengeKey } = context
  const logIn = createLogIn(context)
  const askPending = createAskPending(context)
  const querystring = NoQuery

  app.post(
    '/v1/auth/passkey/options',
    {
      schema: { ...passkeyQuestionDescription, querystring, body: PasskeyQuestion, response: { 200: AssertionOptions } },
      config: { access: 'public', limits },
    },
    async (request) => {
      const { id: rpId } = relyingPartyOf(parts.publicOrigin, request)
      const { mfa_token: token } = request.body
      const asked = token === undefined ? fromAnybody(challengeKey, parts.epochMs()) : await askPending(token)
      return { ...asked, rpId, timeout: challengeLifetimeMs, userVerification: 'required' as const }
    },
  )

  app.post(
    '/v1/auth/passkey/verify',
    {
      schema: { ...passkeyLoginDescription, querystring, body: PasskeyLogin, response: { 200: Tokens } },
      config: { access: 'public', limits },
    },
    async (request, reply) => {
      const { credential, browser = false } = request.body
      const stored = await context.passkeys.byId(credential.id)
      const account = stored && (await parts.accounts.byId(stored.accountId))
      // A passkey that nobody has is counted as if it were somebody.
      const username = account?.username ?? `passkey ${passkeyName(credential.id)}`
      const done = await guarded(parts.failures, request, { username, account }, (isShut): Promise<Done> =>
        isShut ? Promise.resolve({ ok: false, reason: shutReason }) : logIn({ request, reply, credential, browser, stored, account }),
      )
      if (done.ok) return done.answer
      parts.observe({ event: 'authn_login_fail', ...factsOf(request), reason: done.reason, subject: account?.id ?? null })
      throw refused
    },
  )
}

const fromAnybody = (challengeKey: Buffer, epochMs: number) => ({
  challenge: createChallenge(challengeKey, purpose, epochMs),
  allowCredentials: [],
})

/** Its challenge is kept with the login that it finishes, and is good for no other. */
const createAskPending =
  ({ parts, pendingLogins, passkeys }: FactorContext) =>
  async (token: string) => {
    const pending = await pendingLogins.find(token)
    if (pending === undefined) throw endedLogin
    const challenge = randomBytes(32).toString('base64url')
    const outcome = await parts.database.commit([pendingLogins.setChallenge(pending, challenge)])
    if (outcome.result === 'conflict') throw endedLogin
    written(outcome)
    return { challenge, allowCredentials: descriptorsOf(await passkeys.ofAccount(pending.account.id)) }
  }

interface PasskeyTry {
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  readonly credential: Assertion
  readonly browser: boolean
  readonly stored: Passkey | undefined
  readonly account: Account | undefined
}

type Done = { readonly ok: true; readonly answer: TokenAnswer } | { readonly ok: false; readonly reason: string }

const createLogIn = (context: FactorContext) => {
  const { parts, passkeys, challengeKey } = context
  return async ({ request, reply, credential, browser, stored, account }: PasskeyTry): Promise<Done> => {
    const party = relyingPartyOf(parts.publicOrigin, request)
    if (stored === undefined || account === undefined) return { ok: false, reason: 'unknown passkey' }
    if (account.disabledAt !== null) return { ok: false, reason: 'disabled account' }
    // Section 7.2, step 6: nobody said who it is, so the authenticator must.
    if (typeof credential.response.userHandle !== 'string') return { ok: false, reason: 'passkey names nobody' }
    let challenge: OpenChallenge | undefined
    const isChallenge = (given: string): boolean => {
      challenge = readChallenge(challengeKey, purpose, given, parts.epochMs())
      return challenge !== undefined
    }
    const proof = await provePasskey(context, { credential, party, stored, isChallenge })
    if (!proof.ok) return proof
    if (challenge === undefined) return { ok: false, reason: 'passkey answers no challenge' }
    const unit = [passkeys.spend(challenge), ...proof.unit]
    const answer = await parts.sessions.open(request, reply, account, { amr: proof.amr, mfa: true, browser }, { unit, entries: [] })
    return answer === undefined ? { ok: false, reason: 'challenge answered before' } : { ok: true, answer }
  }
}
