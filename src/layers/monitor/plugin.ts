import type { FastifyPluginCallback, FastifyRequest, onRequestHookHandler } from 'fastify'

import { Problem } from '../../core/errors.ts'
import type { Observe } from '../../core/events.ts'
import { wholeServer } from '../../core/plugin.ts'
import type { Client, Principal } from '../../core/request.ts'
import type { Decision } from './decision.ts'
import type { Decisions } from './decisions.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** What holds for the client of this request and refuses it only later, or not at all. */
    clientDecision?: Decision
  }
}

/** What is asked of the monitor; a request that nothing was decided about costs one look into a Map. */
export interface DecisionOptions {
  readonly decisions: Pick<Decisions, 'ofClient' | 'ofPrincipal' | 'ofAccount'>
  /** Whoever is on the allow list is free at once, whatever was decided before. Asked only where there is a decision. */
  readonly isExempt: (address: string) => boolean
  readonly epochMs: () => number
  readonly observe: Observe
}

export interface ClientDecisionOptions extends DecisionOptions {
  /** Takes one of the few requests that a `tighten` leaves a client; gives the milliseconds until one is left, 0 where it is taken. */
  readonly takeTightened: (client: Client) => number | Promise<number>
}

/** Step 5: a ban refuses before any work. */
export const clientDecisions: FastifyPluginCallback<ClientDecisionOptions> = wholeServer(
  'client-decisions',
  (app, options, done) => {
    const { decisions, isExempt, takeTightened } = options
    const tighten = (request: FastifyRequest, decision: Decision, next: (error?: Error) => void): void => {
      const settle = (waitMs: number): void => next(waitMs === 0 ? undefined : refusal(request, decision, options, waitMs))
      const taken = takeTightened(request.client)
      // A store that is gone refuses by itself what it must.
      if (taken instanceof Promise) taken.then(settle, () => next())
      else settle(taken)
    }
    app.addHook('onRequest', (request, _reply, next) => {
      const decision = decisions.ofClient(request.client)
      if (decision === undefined || isExempt(request.client.address)) {
        next()
        return
      }
      request.clientDecision = decision
      if (decision.type === 'ban') next(refusal(request, decision, options))
      else if (decision.type === 'tighten') tighten(request, decision, next)
      else next()
    })
    done()
  },
  ['client-address'],
)

export interface PrincipalDecisionOptions extends DecisionOptions {
  /** Routes on which somebody becomes known. */
  readonly isLogin: (request: FastifyRequest) => boolean
  /** Whether an account was used from there before: nothing that others do to it shuts its owner out at home. */
  readonly isKnownPlace: (subject: string, client: Client) => Promise<boolean>
}

/** Behind authentication: what was decided about who acts, and about clients that must say who they are. */
export const principalDecisions: FastifyPluginCallback<PrincipalDecisionOptions> = wholeServer(
  'principal-decisions',
  (app, options, done) => {
    const { decisions, isExempt, isLogin } = options
    const check: onRequestHookHandler = (request, _reply, next) => {
      const { principal, clientDecision } = request as FastifyRequest & { readonly principal: Principal | null }
      if (principal === null) {
        // Whoever is slowed down as well must log in all the same.
        const held = clientDecision?.type === 'tighten' ? decisions.ofClient(request.client, 'require_login') : clientDecision
        const refused = held?.type === 'require_login' && !isLogin(request)
        next(refused ? refusal(request, held, options) : undefined)
        return
      }
      const decision = decisions.ofPrincipal(principal)
      if (decision !== undefined && !isExempt(request.client.address)) {
        next(refusal(request, decision, options))
        return
      }
      refuseAccount(principal.subject, request, options).then((problem) => next(problem), next)
    }
    app.addHook('onRequest', (request, reply, next) => {
      const { principal } = request as { readonly principal?: Principal | null }
      // The usual case, without a promise.
      if (request.clientDecision === undefined && (principal == null || nothingAbout(decisions, principal))) next()
      else check.call(app, request, reply, next)
    })
    done()
  },
  ['authentication'],
)

const nothingAbout = (decisions: DecisionOptions['decisions'], principal: Principal): boolean =>
  decisions.ofPrincipal(principal) === undefined && decisions.ofAccount(principal.subject) === undefined

/** The refusal of what was decided about an account, for whoever acts as it or tries to; undefined at a place that is known to be its owner's. */
export const refuseAccount = async (
  subject: string,
  request: Pick<FastifyRequest, 'id' | 'client'>,
  options: DecisionOptions & Pick<PrincipalDecisionOptions, 'isKnownPlace'>,
): Promise<Problem | undefined> => {
  const decision = options.decisions.ofAccount(subject)
  // Whoever has a session or a key of it needs no login: guesses of others at its password must not stop its apps.
  if (decision === undefined || decision.type === 'require_login' || options.isExempt(request.client.address)) return undefined
  return (await options.isKnownPlace(subject, request.client)) ? undefined : refusal(request, decision, options)
}

/** Whether a login to an account is refused from anywhere but its known places; who asks answers it as a wrong password. */
export const isAccountShut = (subject: string, request: Pick<FastifyRequest, 'id' | 'client'>, options: DecisionOptions): boolean => {
  const decision = options.decisions.ofAccount(subject)
  if (decision === undefined || options.isExempt(request.client.address)) return false
  tell(request, decision, options)
  return true
}

const tell = (request: Pick<FastifyRequest, 'id' | 'client'>, { id, type }: Decision, { observe }: DecisionOptions): void =>
  observe({ event: 'decision_enforced', requestId: request.id, client: request.client.prefix, decision: id, type })

/** Tells the client until when, and the attacker nothing of why. `waitMs`: it is served again before the decision ends. */
const refusal = (
  request: Pick<FastifyRequest, 'id' | 'client'>,
  decision: Decision,
  options: DecisionOptions,
  waitMs = Infinity,
): Problem => {
  tell(request, decision, options)
  const endsInMs = decision.expiresAt - options.epochMs()
  const retryAfterSeconds = Math.max(1, Math.ceil(Math.min(waitMs, endsInMs) / 1000))
  return new Problem('abnormal_usage_detected', { detail: details[decision.type], retryAfterSeconds })
}

const details = {
  ban: 'Requests like yours were unusual, so none is answered for a while. The request id lets the operator say why.',
  tighten: 'Requests like yours were unusual, so only few are answered for a while. The request id lets the operator say why.',
  require_login: 'Requests like yours were unusual, so none without credentials is answered for a while. Log in, or send a key.',
  tell: '',
} as const
