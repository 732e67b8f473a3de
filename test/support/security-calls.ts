import { send } from './accounts.ts'
import type { Ask } from './attack.ts'
import type { Calls } from './call-scene.ts'
import type { TestServer } from './server.ts'

export interface SecurityCallsOptions {
  readonly server: Pick<TestServer, 'port'>
  /** Fields of somebody who may decide. */
  readonly operator: Readonly<Record<string, string>>
  /** A key that may nothing of it. */
  readonly key: string
}

export const inAnHour = (): string => new Date(Date.now() + 3_600_000).toISOString()

const order = (target: string, expires_at = inAnHour()) => ({ scope: 'client', target, type: 'ban', reason: 'scraper', expires_at })

const asking = (...given: Parameters<typeof order>): Ask => ({
  fields: { 'Content-Type': 'application/json' },
  body: JSON.stringify(order(...given)),
})

/** What happened, and what is decided about somebody. */
export const securityCalls = ({ server, operator, key }: SecurityCallsOptions): Calls => {
  /** Of a decision that was just made. */
  const ofNew = async (): Promise<Ask> => {
    const made = await send(server, 'POST', '/v1/security/decisions', order('192.0.2.78'), { fields: operator })
    return { target: `/v1/security/decisions/${String(made.json()['id'])}` }
  }
  const forbidden = [403, { fields: { Authorization: key } }] as const
  return {
    'GET /v1/security/events': [
      [200, {}],
      [200, { target: '/v1/security/events?limit=1&event=sys_startup' }],
      [400, { target: '/v1/security/events?client=nobody' }],
      [400, { target: '/v1/security/events?client=%3A%3A%3A' }],
      [400, { target: '/v1/security/events?since=2027-02-31T00:00:00Z' }],
      [400, { target: '/v1/security/events?limit=1', fields: { Accept: 'text/event-stream' } }],
      forbidden,
    ],
    'GET /v1/security/decisions': [
      [200, {}],
      [200, { target: '/v1/security/decisions?limit=1&active=true&scope=client' }],
      [400, { target: '/v1/security/decisions?active=yes' }],
      forbidden,
    ],
    'POST /v1/security/decisions': [
      [201, asking('192.0.2.77')],
      [400, asking('192.0.2')],
      [400, asking('192.0.2.77', '2001-01-01T00:00:00Z')],
      [409, asking('127.0.0.1')],
      forbidden,
    ],
    'GET /v1/security/decisions/:id': [[200, ofNew], [404, {}], [400, { target: '/v1/security/decisions/x' }], forbidden],
    'DELETE /v1/security/decisions/:id': [[204, ofNew], [404, {}], forbidden],
    'GET /v1/security/rules': [[200, {}], forbidden],
    'GET /v1/decisions': [
      [200, {}],
      [200, { target: '/v1/decisions?ip=203.0.113.7' }],
      [400, { target: '/v1/decisions?ip=nobody' }],
      [400, { target: '/v1/decisions?unknown=1' }],
      forbidden,
    ],
    'GET /v1/decisions/stream': [
      [200, {}],
      [200, { target: '/v1/decisions/stream?startup=true&scopes=ip,range&origins=filmgate' }],
      [400, { target: '/v1/decisions/stream?startup=perhaps' }],
      forbidden,
    ],
    'GET /v1/security/explain/:about': [
      [200, {}],
      [200, { target: '/v1/security/explain/2001:db8::%2F64' }],
      [400, { target: '/v1/security/explain/a%20b' }],
      [404, { target: '/v1/security/explain/nothing-like-that' }],
      forbidden,
    ],
  }
}
