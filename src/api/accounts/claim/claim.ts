import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import Type, { type Static } from 'typebox'

import { Problem } from '../../../core/errors.ts'
import type { Client } from '../../../core/request.ts'
import { hashClaimCode } from '../../../credentials/claim-code.ts'
import { createAccountId } from '../../../credentials/ids.ts'
import type { FailureLimit, Identity } from '../../../layers/index.ts'
import { NoQuery } from '../../films/schema.ts'
import type { Account } from '../accounts.ts'
import { type ApiKeyStatements, starterSubject } from '../keys/api-keys.ts'
import { factsOf } from '../caller.ts'
import { claimDescription } from './claim-descriptions.ts'
import type { ClaimCodes } from './claim-codes.ts'
import type { AccountParts, Also, TokenAnswer } from '../parts.ts'
import { Browser, NewPassword, Tokens, Username } from '../schema.ts'
import { usernameMistake } from '../users/usernames.ts'

export interface ClaimOptions extends Pick<
  AccountParts,
  'accounts' | 'statements' | 'passwords' | 'sessions' | 'observe' | 'epochMs' | 'publicOrigin'
> {
  readonly keyStatements: Pick<ApiKeyStatements, 'revokeAll'>
  readonly codes: ClaimCodes
  readonly guesses: ClaimGuesses
  /** There is an admin now: what the start left for the first one has no more use. */
  readonly onClaimed: () => void
}

/** How often somebody may be wrong. */
export interface ClaimGuesses {
  /** Of one client. */
  readonly client: FailureLimit
  /** Of everybody together. */
  readonly total: FailureLimit
}

const Claim = Type.Object(
  {
    code: Type.String({ minLength: 1, maxLength: 64, writeOnly: true, description: 'From the terminal or claim.code, in any case.' }),
    username: Username,
    password: NewPassword,
    browser: Type.Optional(Browser),
  },
  {
    additionalProperties: false,
    description: 'The one-time code of a start without an admin, and who the first admin is to be.',
    examples: [{ code: 'q7m2x-0c4vd-n8k5t-h3rwe-9bzpa', username: 'ada', password: 'seven kestrels over the marsh' }],
  },
)
type Claim = Static<typeof Claim>

/** The same for a wrong, an expired and a used code, and where there is an admin: nothing about the server is to be learned by guessing. */
const refused = new Problem('unauthenticated', {
  detail: 'The code is not good. Start the server anew for another one, or run: filmgate user add NAME --role admin',
})

export const claimRoute = (server: FastifyInstance, options: ClaimOptions): void => {
  const { accounts, codes, guesses, observe } = options
  const app = server.withTypeProvider<TypeBoxTypeProvider>()

  /** The hash of a good code. Looked at before the password is hashed: who has no code costs no more than two look-ups. */
  const check = async (request: FastifyRequest, { code }: Claim): Promise<string> => {
    const giveBack = await reserve(guesses, request)
    let good: string | undefined
    try {
      const hash = hashClaimCode(code)
      const [isGood, hasAdmin] = await Promise.all([codes.isGood(hash ?? ''), accounts.hasAdmin()])
      if (isGood && !hasAdmin) good = hash
    } catch (error) {
      // Nothing was looked at, so nobody was wrong.
      await giveBack()
      throw error
    }
    if (good === undefined) {
      observe({ event: 'authn_login_fail', ...factsOf(request), reason: 'claim code is not good' })
      throw refused
    }
    await giveBack()
    return good
  }

  app.post(
    '/v1/auth/claim',
    { schema: { ...claimDescription, querystring: NoQuery, body: Claim, response: { 200: Tokens } }, config: { access: 'public' } },
    async (request, reply) => {
      const hash = await check(request, request.body)
      return claim(options, request, reply, request.body, hash)
    },
  )
}

const reserve = async ({ client, total }: ClaimGuesses, request: FastifyRequest): Promise<() => Promise<void>> => {
  const giveBackClient = await client.reserve(request, [identityOf(request.client)])
  try {
    const giveBackTotal = await total.reserve(request, [{ id: 'claim' }])
    return async () => void (await Promise.all([giveBackClient(), giveBackTotal()]))
  } catch (error) {
    await giveBackClient()
    throw error
  }
}

const identityOf = ({ prefix, network }: Client): Identity => ({ id: prefix, wider: network })

/** Code, account and session in one unit: of two claims at the same moment, whatever the instances, one gets all of it and the other nothing. */
const claim = async (
  options: ClaimOptions,
  request: FastifyRequest,
  reply: FastifyReply,
  { username, password, browser = false }: Claim,
  codeHash: string,
): Promise<TokenAnswer> => {
  const { accounts, passwords, sessions, observe } = options
  await refuseMistakes(passwords, username, password)
  const account = firstAdmin(username, await passwords.hash(password, request), options.epochMs())
  const also = alsoOf(options, account, codeHash, request)
  const tokens = await sessions.open(request, reply, account, { amr: ['pwd'], mfa: false, browser }, also)
  if (tokens === undefined) {
    if ((await accounts.hasAdmin()) || (await accounts.byUsername(username)) === undefined) throw refused
    // The code is still good.
    throw new Problem('conflict', { detail: 'There is an account of that name, which is no admin. Choose another name.' })
  }
  observe({ event: 'user_created', ...factsOf(request), subject: account.id, by: account.id })
  options.onClaimed()
  return tokens
}

const refuseMistakes = async (passwords: AccountParts['passwords'], username: string, password: string): Promise<void> => {
  const name = usernameMistake(username)
  const mistake = name === undefined ? await passwords.mistake(password, '/password', { username }) : { pointer: '/username', detail: name }
  if (mistake !== undefined) throw new Problem('validation_failed', { detail: 'Choose something else.', errors: [mistake] })
}

const alsoOf = (
  { statements, keyStatements, codes }: ClaimOptions,
  { id, username, passwordHash }: Account,
  codeHash: string,
  request: FastifyRequest,
): Also => {
  const by = { actor: id, ...factsOf(request) }
  return {
    unit: [codes.use(codeHash), statements.addFirstAdmin({ id, username, passwordHash }), keyStatements.revokeAll(starterSubject)],
    entries: [
      { ...by, action: 'user.claim', target: id, details: { username, role: 'admin' } },
      { ...by, action: 'key.revoke_all', target: starterSubject },
    ],
  }
}

const firstAdmin = (username: string, passwordHash: string, now: number): Account => ({
  id: createAccountId(),
  username,
  role: 'admin',
  passwordHash,
  epoch: 0,
  createdAt: now,
  lastLoginAt: null,
  disabledAt: null,
  totpSecret: null,
  totpConfirmedAt: null,
  totpStep: null,
})
