import { createHmac, timingSafeEqual } from 'node:crypto'

import type { Decision, DecisionChange } from '../decision.ts'

const macBytes = 16
/** Characters of one change; what is longer goes without its evidence. */
const longestBody = 8192

/**
 * What Redis keeps of a change: an HMAC-SHA-256, cut to 16 bytes, and JSON. Whoever can write to that server, which may have other uses, can make
 * decisions forgotten, but can neither ban anybody nor free anybody.
 */
export interface Sealed {
  seal(change: DecisionChange): string
  /** Undefined for what is not ours, or is of a release that has other words. */
  open(body: Buffer): DecisionChange | undefined
}

export const createSealed = (secret: Buffer): Sealed => {
  const macOf = (json: Buffer): Buffer => createHmac('sha256', secret).update(json).digest().subarray(0, macBytes)
  return {
    seal: (change) => {
      const json = Buffer.from(written(change))
      return `${macOf(json).toString('base64url')}${json.toString()}`
    },
    open: (body) => {
      const start = body.indexOf('{')
      if (start === -1) return undefined
      const json = body.subarray(start)
      const mac = Buffer.from(body.subarray(0, start).toString('latin1'), 'base64url')
      if (mac.length !== macBytes || !timingSafeEqual(mac, macOf(json))) return undefined
      const change = JSON.parse(json.toString()) as DecisionChange
      return change.change === 'lifted' || isDecision(change.decision) ? change : undefined
    },
  }
}

const written = (change: DecisionChange): string => {
  const json = JSON.stringify(change)
  if (json.length <= longestBody || change.change === 'lifted') return json
  return JSON.stringify({ ...change, decision: { ...change.decision, evidence: null } })
}

const scopes: Readonly<Record<Decision['scope'], true>> = { client: true, range: true, principal: true, account: true }
const types: Readonly<Record<Decision['type'], true>> = { ban: true, tighten: true, require_login: true, tell: true }

/** It has our seal: only a newer release could say something else. */
const isDecision = ({ scope, type }: Decision): boolean => Object.hasOwn(scopes, scope) && Object.hasOwn(types, type)
