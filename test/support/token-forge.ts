import { createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto'

import { withLowS } from '../../src/credentials/low-s.ts'
import { unseal } from '../../src/credentials/sealed.ts'
import type { Database } from '../../src/db/open.ts'

/** Segments are written as they stand here: an object as JSON, a text as it is. */
export type Segment = object | string

/** What only somebody with the server's own signing key can make: tokens that are wrong in everything but their signature. */
export interface Forge {
  readonly kid: string
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
  /** A JWS of these segments with a good signature. */
  sign(header: Segment, claims: Segment): string
}

export const encode = (segment: Segment | Buffer): string =>
  Buffer.from(typeof segment === 'string' || Buffer.isBuffer(segment) ? segment : JSON.stringify(segment)).toString('base64url')

/** The members of a segment of a token. */
export const decode = (token: string, segment: 0 | 1): Record<string, unknown> =>
  JSON.parse(Buffer.from(token.split('.')[segment] ?? '', 'base64url').toString()) as Record<string, unknown>

/** With the newest key of a server, opened with its master key. */
export const openForge = async ({ reader }: Pick<Database, 'reader'>, sealingKey: Buffer): Promise<Forge> => {
  const row = await reader.selectFrom('signing_key').selectAll().orderBy('generation', 'desc').limit(1).executeTakeFirstOrThrow()
  const jwk = unseal(sealingKey, row.kid, row.sealed_private)
  if (jwk === undefined) throw new Error('that is not the key of this server')
  const privateKey = createPrivateKey({ key: JSON.parse(jwk) as object, format: 'jwk' } as never)
  return {
    kid: row.kid,
    privateKey,
    publicKey: createPublicKey(privateKey),
    sign: (header, claims) => {
      const input = `${encode(header)}.${encode(claims)}`
      return withLowS(
        `${input}.${sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`,
      )
    },
  }
}
