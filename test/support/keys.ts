import assert from 'node:assert/strict'

import { bearer, type LoggedIn, send } from './accounts.ts'
import type { TestServer } from './server.ts'

export interface MadeKey {
  readonly id: string
  readonly key: string
  /** The fields of a request with it. */
  readonly fields: Readonly<Record<string, string>>
}

/** A key of somebody who has just logged in. */
export const makeKey = async (
  server: Pick<TestServer, 'port'>,
  owner: Pick<LoggedIn, 'fields'>,
  scopes: readonly string[],
  more: { readonly name?: string; readonly expires_at?: string } = {},
): Promise<MadeKey> => {
  const answer = await send(server, 'POST', '/v1/keys', { name: 'of a test', scopes, ...more }, { fields: owner.fields })
  assert.equal(answer.status, 201, answer.body)
  const { id, key } = answer.json()
  assert.ok(typeof id === 'string' && typeof key === 'string')
  return { id, key, fields: bearer(key) }
}
