import fc from 'fast-check'

import type { SecurityEvent } from '../../src/core/events.ts'
import type { Aspect, Rule } from '../../src/layers/monitor/rule.ts'
import type { EndedRequest, Signal } from '../../src/layers/monitor/signal.ts'

/** A signal with what it is to each aspect, told here in its own words. */
export interface Told {
  readonly signal: Signal
  readonly values: Readonly<Partial<Record<Aspect, readonly string[]>>>
  /** Whom a decision of each scope would be about. */
  readonly targets: Readonly<Partial<Record<Rule['decision']['scope'], string>>>
}

export const clients = ['203.0.113.7', '203.0.113.8', '198.51.100.1', '2001:db8:1:2::/64'] as const
const networks: Readonly<Record<string, string>> = {
  '203.0.113.7': '203.0.113.0/24',
  '203.0.113.8': '203.0.113.0/24',
  '198.51.100.1': '198.51.100.0/24',
  '2001:db8:1:2::/64': '2001:db8:1::/48',
}
const client = fc.constantFrom(...clients)
const subject = fc.constantFrom('u1', 'u2')

const loginFail = fc
  .record({ client, subject: fc.option(subject), tried: fc.constantFrom('t1', 't2'), reason: fc.constantFrom('a', 'b') })
  .map((one): Told => {
    const event: SecurityEvent = { event: 'authn_login_fail', requestId: null, ...one }
    return {
      signal: { kind: 'event', epochMs: 0, event },
      values: { client: [one.client], network: [networks[one.client]!], account: [one.subject ?? one.tried] },
      targets: { client: one.client, range: networks[one.client]!, ...(one.subject === null ? {} : { account: one.subject }) },
    }
  })

const sessionCreated = fc.record({ client, subject, session: fc.constantFrom('s1', 's2') }).map((one): Told => {
  const principal = `session:${one.session}`
  return {
    signal: { kind: 'event', epochMs: 0, event: { event: 'session_created', requestId: null, ...one } },
    values: { client: [one.client], network: [networks[one.client]!], account: [one.subject], principal: [principal] },
    targets: { client: one.client, range: networks[one.client]!, account: one.subject, principal },
  }
})

const wrongInput = fc
  .record({ client, pointers: fc.uniqueArray(fc.constantFrom('/a', '/b', '/c', '/d'), { maxLength: 3 }) })
  .map((one): Told => ({
    signal: { kind: 'event', epochMs: 0, event: { event: 'input_validation_fail', requestId: null, code: 'validation_failed', ...one } },
    values: { client: [one.client], network: [networks[one.client]!], pointer: one.pointers },
    targets: { client: one.client, range: networks[one.client]! },
  }))

const films = fc.constantFrom('1', '2', '3')
const votes = fc.record({ like: fc.option(films), dislike: fc.option(films) })

const request = fc
  .record({
    client,
    subject: fc.option(subject),
    id: fc.option(films),
    votes,
    status: fc.constantFrom(200, 400, 404),
    isForeign: fc.boolean(),
  })
  .map((one): Told => {
    const vote = [
      one.votes.like === null ? [] : [`like=${one.votes.like}`],
      one.votes.dislike === null ? [] : [`dislike=${one.votes.dislike}`],
    ]
    const query = vote.flat().join('&')
    const path = one.id === null ? '/' : `/films/${one.id}`
    const route = one.id === null ? '/' : '/films/:id'
    const ended: EndedRequest = {
      epochMs: 0,
      requestId: 'r',
      method: 'GET',
      route,
      status: one.status,
      durationMs: 1,
      verdict: { 200: 'ok', 400: 'validation_failed', 404: 'not_found' }[one.status] ?? '',
      userAgent: null,
      client: { address: one.client.replace('/64', '1'), prefix: one.client },
      principal: one.subject === null ? null : { subject: one.subject, credential: `key:${one.subject}`, permissions: new Set() },
      isForeign: one.isForeign,
      target: query === '' ? path : `${path}?${query}`,
      params: one.id === null ? {} : { id: one.id },
      body: undefined,
    }
    const [network, principal] = [networks[one.client]!, one.subject === null ? undefined : `key:${one.subject}`]
    return {
      signal: { kind: 'request', epochMs: 0, request: ended },
      values: {
        client: [one.client],
        network: [network],
        route: [route],
        // Digits are all the same.
        path: [one.id === null ? '/' : '/films/0'],
        vote: vote.flat(),
        ...(one.id === null ? {} : { id: [one.id] }),
        ...(one.subject === null ? {} : { account: [one.subject], principal: [principal!] }),
      },
      targets: {
        client: one.client,
        range: network,
        ...(one.subject === null ? {} : { account: one.subject, principal: principal! }),
      },
    }
  })

export const toldSignal = fc.oneof(loginFail, sessionCreated, wrongInput, request)
