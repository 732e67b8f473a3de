import type { FastifyRequest } from 'fastify'

import { Problem } from '../../core/errors.ts'
import type { DecisionOrder, Monitor } from '../../layers/index.ts'
import type { AccountRepository } from '../accounts/accounts.ts'
import type { ApiKeyRepository } from '../accounts/keys/api-keys.ts'
import { principalOf } from '../accounts/caller.ts'
import type { SessionRepository } from '../accounts/sessions/session-repository.ts'
import { parseTimestamp } from '../timestamp.ts'
import type { NewDecision } from './schema.ts'
import { endsOf, isInRange, readClient, readPrincipal, readRange, type Target } from './targets.ts'

/** Where it is looked up whether somebody is there at all. */
export interface Known {
  readonly accounts: Pick<AccountRepository, 'byId' | 'byUsername'>
  readonly keys: Pick<ApiKeyRepository, 'byId'>
  readonly sessionRows: Pick<SessionRepository, 'byId'>
}

export interface OrderOptions extends Known {
  readonly monitor: Pick<Monitor, 'policy'>
  readonly epochMs: () => number
}

/** Whoever is to be refused for longer is nobody to whom a decision of today still fits. */
const maxMs = 366 * 86_400_000
const usualMs = 4 * 3_600_000

/** What a person asks for, after everything that it must not be. Rejects with validation_failed or conflict. */
export const readOrder = async (request: FastifyRequest, asked: NewDecision, options: OrderOptions): Promise<DecisionOrder> => {
  if (!possible[asked.scope].has(asked.type))
    throw invalid('/type', `is not for ${asked.scope}: ${[...possible[asked.scope]].join(' or ')}`)
  const found = await findTarget(asked.scope, asked.target, options)
  if (typeof found === 'string') throw invalid('/target', found)
  const expiresAt = readExpiry(asked.expires_at, options.epochMs())
  refuseExempt(found, asked.target, options.monitor)
  refuseOwn(request, found)
  return { ...found, type: asked.type, reason: asked.reason, by: principalOf(request).subject, expiresAt }
}

/** Limits of its own has nobody but a client, and a credential is a login. */
const possible: Readonly<Record<Target['scope'], ReadonlySet<string>>> = {
  client: new Set(['ban', 'tighten', 'require_login']),
  range: new Set(['ban', 'tighten', 'require_login']),
  principal: new Set(['ban']),
  account: new Set(['ban', 'require_login']),
}

const findTarget = async (scope: Target['scope'], text: string, known: Known): Promise<Target | string> => {
  if (scope === 'client') return readClient(text)
  if (scope === 'range') return readRange(text)
  if (scope === 'account') return (await findAccount(text, known)) ?? 'is no account: name a subject, or @ and a username'
  const target = readPrincipal(text)
  if (typeof target === 'string') return target
  return (await isThere(target.target, known)) ? target : 'is not there, or has ended already'
}

const isThere = async (credential: string, { keys, sessionRows }: Known): Promise<boolean> => {
  const id = credential.slice(credential.indexOf(':') + 1)
  return (credential.startsWith('key:') ? await keys.byId(id) : await sessionRows.byId(id)) !== undefined
}

/** Those whom another issuer knows have no row here: their subject alone says who they are. */
const external = /^x[a-z2-7]{24}$/

/** By its subject, or by @ and its username. */
export const findAccount = async (text: string, { accounts }: Pick<Known, 'accounts'>): Promise<Target | undefined> => {
  if (external.test(text)) return { scope: 'account', target: text }
  const account = text.startsWith('@') ? await accounts.byUsername(text.slice(1)) : await accounts.byId(text)
  return account && { scope: 'account', target: account.id }
}

const readExpiry = (text: string | undefined, now: number): number => {
  if (text === undefined) return now + usualMs
  const epochMs = parseTimestamp(text)
  if (epochMs === undefined) throw invalid('/expires_at', 'must be a date and time of RFC 3339')
  if (epochMs <= now) throw invalid('/expires_at', 'must be in the future')
  if (epochMs > now + maxMs) throw invalid('/expires_at', 'must be within a year')
  return epochMs
}

/** It would be no decision: nobody asks about it where it could refuse. Of IPv6 one address of a client may be exempt: `written` is what was meant. */
const refuseExempt = ({ scope, target }: Target, written: string, { policy }: OrderOptions['monitor']): void => {
  const { isExempt } = policy()
  const ends = scope === 'range' ? (endsOf(target) ?? []) : []
  if (scope === 'client' ? isExempt(target) || isExempt(written) : ends.length > 0 && ends.every((end) => isExempt(end)))
    throw new Problem('conflict', {
      detail: `${target} is this machine, a trusted proxy or on the allow list (monitor.allow): nothing is decided about it.`,
    })
}

/** Who locks the door from the inside with the key outside cannot even lift it. */
const refuseOwn = (request: FastifyRequest, { scope, target }: Target): void => {
  const { subject, credential } = principalOf(request)
  const { client } = request
  const own = {
    client: target === client.prefix,
    range: scope === 'range' && isInRange(client.address, target),
    principal: target === credential,
    account: target === subject,
  }
  if (own[scope]) throw new Problem('conflict', { detail: `You are ${target} yourself: nothing is decided about who asks for it.` })
}

const invalid = (pointer: string, detail: string): Problem =>
  new Problem('validation_failed', {
    detail: 'Correct the fields named in errors and send the request again.',
    errors: [{ pointer, detail }],
  })
