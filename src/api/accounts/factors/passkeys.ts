import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyRequest } from 'fastify'

import { Problem } from '../../../core/errors.ts'
import { challengeLifetimeMs, createChallenge, type OpenChallenge, readChallenge } from '../../../credentials/challenge.ts'
import { NoQuery } from '../../films/schema.ts'
import { formatNullable, formatTimestamp } from '../../timestamp.ts'
import { principalOf } from '../caller.ts'
import { createFactorChanges, type FactorContext, lastFactor, type Owner } from './factor-changes.ts'
import {
  addPasskeyDescription,
  listPasskeysDescription,
  passkeyCreationDescription,
  removePasskeyDescription,
} from './factor-descriptions.ts'
import { AddedPasskey, type Attestation, CreationOptions, NewPasskey, PasskeyList, PasskeyPath } from './factor-schema.ts'
import { hasFactor } from './factors.ts'
import { userHandleOf } from './passkey-proof.ts'
import { maxPasskeys, type Passkey, passkeyName } from './passkey-table.ts'
import { freshCodes } from './totp.ts'
import { algorithms, type NewCredential, relyingPartyOf, verifyAttestation } from './webauthn.ts'

const noPasskey = new Problem('not_found', { detail: 'You have no such passkey.' })
const tooMany = new Problem('conflict', { detail: `You have ${maxPasskeys} passkeys, which is all an account may have. Remove one first.` })
const notAdded = new Problem('conflict', { detail: 'This passkey, or the answer to this challenge, is known already.' })
const notVerified = new Problem('validation_failed', {
  detail: 'The credential does not answer a challenge of the last five minutes for this site, or its authenticator did not verify you.',
  errors: [{ pointer: '/credential', detail: 'must be made with the options of POST /v1/me/passkeys/options' }],
})

const own = { access: 'authenticated', sessionOnly: true } as const
const ownFresh = { ...own, freshLogin: true } as const

/** The passkeys of an account: how they come and go. */
export const passkeyRoutes = (server: FastifyInstance, context: FactorContext): void => {
  const app = server.withTypeProvider<TypeBoxTypeProvider>()
  const { ownerOf } = createFactorChanges(context)
  const { add, remove } = createPasskeyChanges(context)
  const options = createOptions(context)
  const querystring = NoQuery

  app.get(
    '/v1/me/passkeys',
    { schema: { ...listPasskeysDescription, querystring, response: { 200: PasskeyList } }, config: own },
    async (request) => ({ items: (await context.passkeys.ofAccount(principalOf(request).subject)).map(shown) }),
  )
  app.post(
    '/v1/me/passkeys/options',
    { schema: { ...passkeyCreationDescription, querystring, response: { 200: CreationOptions } }, config: ownFresh },
    async (request) => options(request, await ownerOf(request)),
  )
  app.post(
    '/v1/me/passkeys',
    { schema: { ...addPasskeyDescription, querystring, body: NewPasskey, response: { 201: AddedPasskey } }, config: ownFresh },
    async (request, reply) => {
      const { name, credential } = request.body
      const added = await add(request, await ownerOf(request), name.normalize('NFC'), credential)
      return reply.code(201).header('location', `/v1/me/passkeys/${added.id}`).send(added)
    },
  )
  app.delete(
    '/v1/me/passkeys/:id',
    { schema: { ...removePasskeyDescription, querystring, params: PasskeyPath }, config: ownFresh },
    async (request, reply) => {
      await remove(request, await ownerOf(request), request.params.id)
      return reply.code(204).send()
    },
  )
}

const shown = ({ id, name, createdAt, lastUsedAt }: Passkey) => ({
  id: passkeyName(id),
  name,
  created_at: formatTimestamp(createdAt),
  last_used_at: formatNullable(lastUsedAt),
})

/** A credential that was made in one session is not added in another. */
const purposeOf = ({ account, sessionId }: Owner): string => `add passkey ${account.id} ${sessionId}`

export const descriptorsOf = (passkeys: readonly Passkey[]) =>
  passkeys.map(({ id, transports }) => ({ type: 'public-key' as const, id, transports: [...transports] }))

const createOptions =
  ({ parts, passkeys, challengeKey }: FactorContext) =>
  async (request: FastifyRequest, owner: Owner): Promise<CreationOptions> => {
    const { id, username } = owner.account
    const party = relyingPartyOf(parts.publicOrigin, request)
    if (owner.state.passkeys >= maxPasskeys) throw tooMany
    return {
      challenge: createChallenge(challengeKey, purposeOf(owner), parts.epochMs()),
      rp: { id: party.id, name: 'Filmgate' },
      user: { id: userHandleOf(id), name: username, displayName: username },
      pubKeyCredParams: algorithms.map((alg) => ({ type: 'public-key' as const, alg })),
      timeout: challengeLifetimeMs,
      excludeCredentials: descriptorsOf(await passkeys.ofAccount(id)),
      // Discoverable, so that it can log in without a name; and by a PIN or a finger, so that whoever finds the device cannot.
      authenticatorSelection: { residentKey: 'required', requireResidentKey: true, userVerification: 'required' },
      attestation: 'none',
    }
  }

const createPasskeyChanges = (context: FactorContext) => {
  const { parts, passkeys, factors } = context
  const { commit } = createFactorChanges(context)
  const verify = createVerify(context)
  return {
    add: async (request: FastifyRequest, owner: Owner, name: string, credential: Attestation): Promise<AddedPasskey> => {
      const { account, sessionId, state } = owner
      if (state.passkeys >= maxPasskeys) throw tooMany
      const { made, challenge } = await verify(request, owner, credential)
      const { amr, ...key } = made
      const passkey = { ...key, accountId: account.id, name, transports: transportsOf(credential) }
      const { codes, unit } = hasFactor(state) ? { codes: undefined, unit: [] } : freshCodes(context, account.id)
      await commit(request, owner, {
        action: 'passkey.add',
        details: { passkey: passkeyName(made.id) },
        unit: [
          passkeys.spend(challenge),
          passkeys.add(passkey),
          factors.endTokens(account.id),
          factors.raiseSession(sessionId, account.id, amr.join(' ')),
          ...unit,
        ],
        conflict: notAdded,
      })
      const answer = shown({ ...passkey, createdAt: parts.epochMs(), lastUsedAt: null })
      return codes === undefined ? answer : { ...answer, recovery_codes: codes }
    },
    remove: async (request: FastifyRequest, owner: Owner, id: string): Promise<void> => {
      const { account, state, mustKeepOne } = owner
      const passkey = (await passkeys.ofAccount(account.id)).find((one) => passkeyName(one.id) === id)
      if (passkey === undefined) throw noPasskey
      if (mustKeepOne && !state.hasTotp && state.passkeys === 1) throw lastFactor
      const unit = [passkeys.remove(passkey, mustKeepOne), factors.dropSpareCodes(account.id)]
      await commit(request, owner, { action: 'passkey.remove', details: { passkey: id }, unit })
    },
  }
}

interface Verified {
  readonly made: NewCredential
  readonly challenge: OpenChallenge
}

const createVerify =
  ({ parts, challengeKey }: FactorContext) =>
  async (request: FastifyRequest, owner: Owner, credential: Attestation): Promise<Verified> => {
    const party = relyingPartyOf(parts.publicOrigin, request)
    let challenge: OpenChallenge | undefined
    const made = await verifyAttestation(credential, party, (given) => {
      challenge = readChallenge(challengeKey, purposeOf(owner), given, parts.epochMs())
      return challenge !== undefined
    })
    if (made === undefined || challenge === undefined) throw notVerified
    return { made, challenge }
  }

/** WebAuthn section 5.8.4; others are hints that nobody could use. */
const knownTransports: ReadonlySet<string> = new Set(['usb', 'nfc', 'ble', 'smart-card', 'hybrid', 'internal'])

const transportsOf = ({ response: { transports = [] } }: Attestation): readonly string[] =>
  [...new Set(transports)].filter((one) => knownTransports.has(one))
