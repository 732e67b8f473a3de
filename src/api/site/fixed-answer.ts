import type { FastifyReply, FastifyRequest } from 'fastify'

import { entityTag, matchesTag } from '../entity-tag.ts'

export interface FixedAnswerOptions {
  readonly body: string | Buffer
  /** With its charset. */
  readonly type: string
  /** How long anybody may keep it: it is the same for everyone. */
  readonly cacheControl: string
  readonly headers?: Readonly<Record<string, string>>
}

export type FixedAnswer = (request: FastifyRequest, reply: FastifyReply) => FastifyReply

/** An answer that stays the same while the process lives: its bytes and its validator are made once, 304 for who has them already. */
export const createFixedAnswer = ({ body, type, cacheControl, headers = {} }: FixedAnswerOptions): FixedAnswer => {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body
  const etag = entityTag(bytes)
  const fields = { ...headers, etag, 'cache-control': cacheControl }
  return (request, reply) => {
    // A 304 renews the stored fields (RFC 9111 section 4.3.4): without the policy of a page the API's would take its place.
    void reply.headers(fields)
    // What was asked for with credentials stays out of shared caches, whatever it is: one rule for every answer.
    if (request.principal !== null) void reply.header('cache-control', 'no-store')
    if (matchesTag(request.headers['if-none-match'], etag)) return reply.code(304).send()
    return reply.type(type).send(bytes)
  }
}
