import { createHmac } from 'node:crypto'

import type { Identity } from '../store.ts'

/** How many digests are remembered: an HMAC takes 3 µs, a look into a map a tenth of one. About 10 MB when full. */
const mostRemembered = 50_000
const digestBytes = 16

export interface KeyNames {
  /** Of what counts for the identity, and of what counts for its wider prefix. Both lie in one slot of a cluster. */
  of(identity: Identity): IdentityKeys
  /** Keys that belong to no identity. */
  readonly installation: string
  readonly instances: string
  /** Proves that two instances have the same secret: else they would count under different names. Not the secret, nor a name of anything. */
  readonly check: string
}

export interface IdentityKeys {
  readonly own: string
  readonly wider: string | undefined
}

/**
 * Names of keys that tell nothing of whom they are about: HMAC-SHA-256 with a secret, cut to 16 bytes. What is hashed begins with its
 * length, so that no two identities are ever hashed alike.
 */
export const createKeyNames = (prefix: string, secret: Buffer): KeyNames => {
  const digest = (...parts: readonly string[]): string => {
    const hmac = createHmac('sha256', secret)
    for (const part of parts) hmac.update(`${Buffer.byteLength(part)}:${part}`)
    return hmac.digest().subarray(0, digestBytes).toString('base64url')
  }
  const known = new Map<string, IdentityKeys>()
  const build = ({ id, wider }: Identity): IdentityKeys => {
    if (wider === undefined) return { own: `${prefix}{${digest('id', id)}}`, wider: undefined }
    const tag = `${prefix}{${digest('wider', wider)}}`
    return { own: `${tag}${digest('id', id)}`, wider: tag }
  }
  return {
    of(identity) {
      const name = identity.wider === undefined ? identity.id : `${identity.wider.length}:${identity.wider}${identity.id}`
      // An id could look like one with a wider prefix before it.
      const index = identity.wider === undefined ? `-${name}` : `+${name}`
      let keys = known.get(index)
      if (keys === undefined) {
        keys = build(identity)
        const oldest = known.size < mostRemembered ? undefined : known.keys().next().value
        if (oldest !== undefined) known.delete(oldest)
        // A client chooses some ids: long ones are hashed each time instead of being held.
        if (index.length <= 256) known.set(index, keys)
      }
      return keys
    },
    installation: `${prefix}installation`,
    instances: `${prefix}instances`,
    check: digest('check', 'installation'),
  }
}
