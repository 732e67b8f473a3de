import type { IncomingMessage } from 'node:http'

import { Problem } from '../../core/errors.ts'

/** Longer than any target of this API; Node itself ends at 16 KiB for all fields together. */
const maxTargetLength = 4096

/** What routing sees of a target that cannot be one: no route can be called that, so only the refusal answers. */
const noTarget = '/\0'

const targetFaults = new WeakMap<IncomingMessage, Problem>()

const tooLong = new Problem('uri_too_long', { detail: `Send a target of at most ${maxTargetLength} characters.` })
/** Clients keep fragments to themselves (RFC 9112 section 3.2); the router would read one as a query. */
const fragment = new Problem('bad_request', { detail: 'Send the target without a fragment.' })
const brokenEscape = new Problem('bad_request', { detail: 'The target has a broken percent escape.' })

/**
 * Fastify's `rewriteUrl`: the one place where a target is judged, before routing. A broken one is routed to nowhere instead of being answered
 * by the framework, because its own answers run no hook: no security headers, no limit, no log line. Absolute form (RFC 9112 section
 * 3.2.2) becomes origin form; its authority is checked with Host.
 */
export const originTarget = (request: IncomingMessage): string => {
  const target = request.url ?? ''
  // A line without a version may begin with it. No list of methods has it, so that the framework would answer by itself, with a 500 that no hook sees.
  if (request.method === 'PRI') request.method = 'GET'
  // The asterisk form speaks of the server as a whole, to OPTIONS alone (RFC 9112 section 3.2.4); the router would take it for "/".
  if (target === '*') return request.method === 'OPTIONS' ? '/' : noTarget
  if (target.includes('#')) return fault(request, fragment)
  if (target.length > maxTargetLength) return fault(request, tooLong)
  const origin = target.charCodeAt(0) === slash ? target : withoutAuthority(target)
  return origin.includes('%') && !decodes(origin) ? fault(request, brokenEscape) : origin
}

const slash = 47

const fault = (request: IncomingMessage, problem: Problem): string => {
  targetFaults.set(request, problem)
  return noTarget
}

export const targetFault = (request: IncomingMessage): Problem | undefined =>
  request.url === noTarget ? targetFaults.get(request) : undefined

const absoluteForm = /^https?:\/\/([^/?#]*)(.*)$/is

const withoutAuthority = (target: string): string => {
  const rest = absoluteForm.exec(target)?.[2]
  if (rest === undefined) return target
  return rest.startsWith('/') ? rest : `/${rest}`
}

/** The authority of an absolute-form target; undefined for the usual origin form. */
export const targetAuthority = (target: string): string | undefined =>
  target.charCodeAt(0) === slash ? undefined : absoluteForm.exec(target)?.[1]

const decodes = (target: string): boolean => {
  const [path = ''] = target.split('?', 1)
  try {
    decodeURIComponent(path)
    return true
  } catch {
    return false
  }
}
