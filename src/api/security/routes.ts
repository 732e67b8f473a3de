import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyRequest } from 'fastify'

import type { Timers } from '../../core/clock.ts'
import { Problem } from '../../core/errors.ts'
import type { Client } from '../../core/request.ts'
import type { Cursors } from '../../credentials/cursor.ts'
import type { Monitor } from '../../layers/index.ts'
import { factsOf, principalOf } from '../accounts/caller.ts'
import { NoQuery } from '../films/schema.ts'
import { finishPage, foreignCursor, readPage } from '../pages.ts'
import type { DecisionPlace, DecisionRepository } from './decision-repository.ts'
import {
  decideDescription,
  decisionDescription,
  explainDescription,
  liftDescription,
  listDecisionsDescription,
  listRulesDescription,
} from './descriptions.ts'
import { eventRoutes } from './events.ts'
import { explain } from './explain.ts'
import { findAccount, type Known, readOrder } from './orders.ts'
import { AboutPath, Explanation } from './explain-schema.ts'
import { RuleList } from './rule-schema.ts'
import { Decision, DecisionList, DecisionPath, DecisionQuery, NewDecision } from './schema.ts'
import { asHeld, listedDecision, shownDecision } from './shown.ts'
import { readClient, readRange } from './targets.ts'

export interface SecurityRoutesOptions extends Known {
  readonly monitor: Monitor
  readonly decisions: Pick<DecisionRepository, 'find' | 'list'>
  readonly cursors: Cursors
  readonly epochMs: () => number
  readonly timers: Timers
  /** Whether an account was used from there before. */
  readonly isKnownPlace: (subject: string, client: Client) => Promise<boolean>
}

const noSuchDecision = new Problem('not_found', { detail: 'There is no such decision, or it is over.' })

/** More by hand would be a program without an end: 1,000 an hour. */
const decideLimits = { add: '60 per minute; 1000 per hour' }

/** For moderators: what happened, who is refused and why. For admins: to refuse somebody, and to let somebody in again. */
export const securityRoutes = (server: FastifyInstance, options: SecurityRoutesOptions): void => {
  const { monitor, epochMs } = options
  const app = server.withTypeProvider<TypeBoxTypeProvider>()
  eventRoutes(server, { ...options, refusedNow: createSecondLook(server, options) })
  decisionLists(server, options)

  app.post(
    '/v1/security/decisions',
    {
      schema: { ...decideDescription, querystring: NoQuery, body: NewDecision, response: { 201: Decision } },
      config: { access: 'security:write', limits: decideLimits },
    },
    async (request, reply) => {
      const order = await readOrder(request, request.body, options)
      const decision = await monitor.decide(order, factsOf(request))
      void reply.code(201).header('location', `/v1/security/decisions/${decision.id}`)
      return shownDecision(decision, epochMs())
    },
  )

  app.delete(
    '/v1/security/decisions/:id',
    { schema: { ...liftDescription, params: DecisionPath, querystring: NoQuery }, config: { access: 'security:write' } },
    async (request, reply) => {
      if (!(await monitor.lift(request.params.id, principalOf(request).subject, factsOf(request)))) throw noSuchDecision
      return reply.code(204).send()
    },
  )

  app.get(
    '/v1/security/rules',
    { schema: { ...listRulesDescription, querystring: NoQuery, response: { 200: RuleList } }, config: { access: 'security:read' } },
    () => listRules(monitor),
  )

  app.get(
    '/v1/security/explain/:about',
    {
      schema: { ...explainDescription, params: AboutPath, querystring: NoQuery, response: { 200: Explanation } },
      config: { access: 'security:read' },
    },
    (request) => explain(request.params.about, options),
  )
}

const decisionLists = (server: FastifyInstance, options: SecurityRoutesOptions): void => {
  const { monitor, decisions, cursors, epochMs } = options
  const app = server.withTypeProvider<TypeBoxTypeProvider>()
  app.get(
    '/v1/security/decisions',
    {
      schema: { ...listDecisionsDescription, querystring: DecisionQuery, response: { 200: DecisionList } },
      config: { access: 'security:read' },
    },
    async (request, reply) => {
      const { scope, target, rule, active } = request.query
      const filters = { scope, rule, target: target && (await canonical(target, options)), active: active && active === 'true' }
      const { limit, after } = readPage(request.query, cursors, 'decisions')
      const rows = await decisions.list(filters, limit + 1, after === undefined ? undefined : parsePlace(after))
      const page = finishPage(request, reply, { rows, limit, seal: ({ createdAt, id }) => cursors.seal(`${createdAt}:${id}`, 'decisions') })
      return { ...page, items: page.items.map((row) => listedDecision(asHeld(row, monitor), epochMs())) }
    },
  )

  app.get(
    '/v1/security/decisions/:id',
    {
      schema: { ...decisionDescription, params: DecisionPath, querystring: NoQuery, response: { 200: Decision } },
      config: { access: 'security:read' },
    },
    async (request) => {
      const { id } = request.params
      const decision = (await decisions.find(id)) ?? monitor.decisions.get(id)
      if (decision === undefined) throw noSuchDecision
      return shownDecision(asHeld(decision, monitor), epochMs())
    },
  )
}

/** As decisions have it: `2001:db8::1` is its /64, and a name is the account that has it. */
const canonical = async (text: string, known: Known): Promise<string> => {
  for (const found of [readClient(text), readRange(text)]) if (typeof found !== 'string') return found.target
  return text.startsWith('@') ? ((await findAccount(text, known))?.target ?? text) : text
}

const parsePlace = (text: string): DecisionPlace => {
  const [createdAt, id] = text.split(':')
  if (id === undefined) throw foreignCursor()
  return { createdAt: Number(createdAt), id }
}

const listRules = (monitor: Monitor): RuleList => {
  const decided = new Map<string | null, number>()
  for (const { rule } of monitor.decisions.all()) decided.set(rule, (decided.get(rule) ?? 0) + 1)
  return {
    mode: monitor.policy().mode,
    items: monitor.rules.map((rule) => ({
      name: rule.name,
      summary: rule.summary,
      mode: monitor.modeOf(rule),
      group_by: [...rule.groupBy],
      distinct: rule.distinct ?? null,
      bucket: { capacity: rule.bucket.capacity, leak_per_second: rule.bucket.leakPerSecond },
      decision: {
        type: rule.decision.type,
        scope: rule.decision.scope,
        seconds: rule.decision.durationMs / 1000,
        max_seconds: rule.decision.maxDurationMs / 1000,
      },
      confidence: rule.confidence,
      spoofable: rule.spoofable,
      references: [...rule.references],
      decided: decided.get(rule.name) ?? 0,
    })),
  }
}

/** Whoever reads for hours was let in long ago: what was true then is asked again. */
const createSecondLook =
  (server: FastifyInstance, { monitor, isKnownPlace }: SecurityRoutesOptions) =>
  async (request: FastifyRequest): Promise<string | undefined> => {
    const principal = await server.principalNow(request)
    if (principal === undefined) return 'your credentials are not valid any more'
    if (!principal.permissions.has('security:read')) return 'you may not read this any more'
    const { decisions } = monitor
    const { client } = request
    if (monitor.policy().isExempt(client.address)) return undefined
    const isBanned =
      decisions.ofClient(client)?.type === 'ban' ||
      decisions.ofPrincipal(principal) !== undefined ||
      (decisions.ofAccount(principal.subject)?.type === 'ban' && !(await isKnownPlace(principal.subject, client)))
    return isBanned ? 'requests like yours are refused now' : undefined
  }
