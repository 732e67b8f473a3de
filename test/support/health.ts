import assert from 'node:assert/strict'

import { eventually } from './deadline.ts'
import type { Written } from './ledger.ts'
import type { TestServer } from './server.ts'

export const readiness = async (server: TestServer): Promise<{ status: number; database: boolean | undefined }> => {
  const answer = await fetch(`${server.opsUrl}/readyz`)
  const { checks } = (await answer.json()) as { checks: { name: string; ok: boolean }[] }
  return { status: answer.status, database: checks.find(({ name }) => name === 'database')?.ok }
}

export const becomesReady = (server: TestServer): Promise<void> =>
  eventually(15_000, '/readyz is 200 again', async () => (await readiness(server)).status === 200)

/** What the log told of a store, in order. */
export const storeEvents = (server: TestServer, store?: string): unknown[] =>
  server
    .log()
    .filter((record) => store === undefined || record['store'] === store)
    .map((record) => record['event'])
    .filter((event) => event === 'sys_store_failure' || event === 'sys_store_recovered')

/** Words of databases, systems and paths, which no client may read. */
const inside =
  /sqlite|postgres|\bpg\b|disk|i\/o|\.db|\/?tmp|errno|econn|enoent|socket|sql|backend|terminat|relation|constraint|too many|slot|read-only|transaction|recovery|timeout/i

/** The whole 503 of CONTRACT section 5. */
export const assertUnavailable = ({ status, headers, body }: Pick<Written, 'status' | 'headers' | 'body'>): void => {
  assert.equal(status, 503)
  assert.match(headers.get('content-type') ?? '', /^application\/problem\+json/)
  assert.match(headers.get('retry-after') ?? '', /^[1-9]\d*$/)
  assert.equal(headers.get('cache-control'), 'no-store')
  assert.deepEqual([body['status'], body['code'], body['type']], [503, 'store_unavailable', '/problems/store_unavailable'])
  assert.doesNotMatch(JSON.stringify(body), inside, 'nothing of the inside is told')
}
