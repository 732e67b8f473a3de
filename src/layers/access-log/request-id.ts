import { randomFillSync } from 'node:crypto'

/** Random hexadecimal text; the system is asked for 4 KiB at a time, because a call for each request would cost more than the request id. */
export const createRandomHex = (bytes: number): (() => string) => {
  const pool = Buffer.allocUnsafe(4096 - (4096 % bytes))
  let at = pool.length
  return () => {
    if (at === pool.length) {
      randomFillSync(pool)
      at = 0
    }
    at += bytes
    return pool.toString('hex', at - bytes, at)
  }
}

/** What a trusted proxy may name a request: no spaces, no quotes, nothing that a log or header could trip over. */
export const incomingRequestId = (value: unknown): string | undefined =>
  typeof value === 'string' && /^[A-Za-z0-9._~+/=:-]{8,128}$/.test(value) ? value : undefined

/** The trace id of a `traceparent` (W3C Trace Context section 3.2); undefined when malformed. */
export const incomingTraceId = (value: unknown): string | undefined => {
  const match =
    typeof value === 'string' ? /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/.exec(value) : null
  return match?.[1]
}
