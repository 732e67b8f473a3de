import { fetchOptions, retryAfterOf, unreachable } from './answer.ts'
import type { Call } from './curl.ts'
import { learn } from './pace.ts'
import { readQuota } from './rate-limit.ts'
import { bearer } from './key.ts'

export interface RawAnswer {
  readonly status: string
  readonly fields: readonly (readonly [string, string])[]
  readonly body: string
  /** Whether there is more of the body than is shown. */
  readonly isCut: boolean
  readonly bytes: number
  readonly durationMs: number
}

/** Characters of a body that are shown; a browser would choke on all of an export. */
const mostShown = 200_000

/** Sends a call as it stands. Throws an Error that says for people why no answer can be shown. */
export const sendRaw = async ({ method, url, body }: Call, key: string | undefined): Promise<RawAnswer> => {
  const headers = { ...(body === undefined ? {} : { 'Content-Type': 'application/json' }), ...(key === undefined ? {} : bearer(key)) }
  const startedMs = performance.now()
  const response = await fetch(url, { ...fetchOptions(), method, headers, ...(body === undefined ? {} : { body }) }).catch(() => {
    throw new Error(unreachable.detail)
  })
  if (response.type === 'opaqueredirect')
    throw new Error('The answer is a redirect. It is not followed, and a browser shows nothing else of it.')
  const content = await response.arrayBuffer().catch(() => {
    throw new Error('The connection ended before the answer did.')
  })
  const text = new TextDecoder().decode(content)
  // With a key the quota is that of the key's owner, and the ring is about the films that this page asks for without one.
  if (key === undefined && method !== 'POST' && new URL(url).pathname === new URL('.', location.href).pathname)
    learn({ status: response.status, quota: readQuota(response.headers), retryAfter: retryAfterOf(response.headers) })
  return {
    status: `${response.status} ${response.statusText}`.trim(),
    fields: [...response.headers],
    body: text.slice(0, mostShown),
    isCut: text.length > mostShown,
    bytes: content.byteLength,
    durationMs: performance.now() - startedMs,
  }
}
