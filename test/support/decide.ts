import assert from 'node:assert/strict'

import { send } from './accounts.ts'
import { type Answer, type Ask, ask } from './attack.ts'
import type { TestServer } from './server.ts'

type Reached = Pick<TestServer, 'port'>
type Fields = Readonly<Record<string, string>>

/** Behind a proxy that is trusted, X-Forwarded-For says who asks. */
export const behindProxy = { FILMGATE_SERVER_TRUSTED_PROXIES: '127.0.0.1/32' } as const

/** As the proxy says that this client does. */
export const as = (server: Reached, client: string, request: Ask = {}): Promise<Answer> =>
  ask(server, { ...request, fields: { 'X-Forwarded-For': client, ...request.fields } })

export interface Asked {
  readonly scope?: string
  readonly target?: string
  readonly type?: string
  readonly reason?: string
  readonly expires_at?: string
}

export const inMs = (ms: number): string => new Date(Date.now() + ms).toISOString()

export const tryDecide = (server: Reached, fields: Fields, asked: Asked): Promise<Answer> => {
  const body = { scope: 'client', target: '203.0.113.7', type: 'ban', reason: 'a test', expires_at: inMs(3_600_000), ...asked }
  return send(server, 'POST', '/v1/security/decisions', body, { fields })
}

/** Resolves with the id. */
export const decide = async (server: Reached, fields: Fields, asked: Asked): Promise<string> => {
  const answer = await tryDecide(server, fields, asked)
  assert.equal(answer.status, 201, answer.body)
  const { id } = answer.json()
  assert.equal(answer.field('location'), `/v1/security/decisions/${String(id)}`)
  return String(id)
}

export const lift = (server: Reached, fields: Fields, id: string): Promise<Answer> =>
  ask(server, { method: 'DELETE', target: `/v1/security/decisions/${id}`, fields })

/** Nobody learns from it which rule, whose decision, or whether it was a person. */
export const assertBanned = (answer: Answer): void => {
  assert.equal(answer.status, 429, answer.body)
  assert.match(answer.body, /"code":"abnormal_usage_detected"/)
  assert.match(answer.body, /iana\.org\/assignments\/http-problem-types#abnormal-usage-detected/)
  assert.doesNotMatch(answer.body, /rule|decision|bucket|a test/i)
  assert.match(answer.field('retry-after') ?? '', /^[1-9]\d*$/)
  for (const name of ['content-security-policy', 'x-content-type-options', 'x-frame-options', 'x-request-id'])
    assert.ok(answer.field(name) !== undefined, name)
  assert.equal(answer.field('cache-control'), 'no-store')
}
