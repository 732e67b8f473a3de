import { createHmac } from 'node:crypto'

/** Standard Webhooks 1.0: `whsec_` and base64 is a key of bytes; any other text is its own bytes. */
const webhookKey = (secret: string): Buffer =>
  secret.startsWith('whsec_') ? Buffer.from(secret.slice('whsec_'.length), 'base64') : Buffer.from(secret)

export interface SignedFields {
  /** The same at each try of a message, so that a receiver knows what it has already. */
  readonly id: string
  /** Of this try, in seconds: a receiver refuses what is old, so that nothing that was overheard can be sent again. */
  readonly epochSeconds: number
  readonly body: Buffer
}

/** The fields of Standard Webhooks 1.0 (standardwebhooks.com): HMAC-SHA-256 over id, time and body. */
export const signedFields = ({ id, epochSeconds, body }: SignedFields, secret: string): Readonly<Record<string, string>> => ({
  'content-type': 'application/json',
  'webhook-id': id,
  'webhook-timestamp': String(epochSeconds),
  'webhook-signature': `v1,${createHmac('sha256', webhookKey(secret)).update(`${id}.${epochSeconds}.`).update(body).digest('base64')}`,
})
