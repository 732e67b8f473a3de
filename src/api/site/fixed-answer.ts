import type { FastifyReply, FastifyRequest } from 'fastify'

import { entityTag, matchesTag } from '../entity-tag.ts'

export interface FixedAnswerOptions {
  readonly body: string
  /** With its charset. */
  readonly type: string
  /** How long anybody may keep it. */
  readonly maxAgeS: number
  readonly headers?: Readonly<Record<string, string>>
}

/** An answer that stays the same while the process lives: its bytes and its validator are made once, 304 for who has them already. */
export const createFixedAnswer = ({ body, type, maxAgeS, headers = {} }: FixedAnswerOptions) => {
  const bytes = Buffer.from(body)
  const etag = entityTag(bytes)
  const fields = { ...headers, etag, 'cache-control': `public, max-age=${maxAgeS}` }
  return (request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    void reply.headers(fields)
    // What was asked for with credentials stays out of shared caches, whatever it is: one rule for every answer.
    if (request.principal !== null) void reply.header('cache-control', 'no-store')
    if (matchesTag(request.headers['if-none-match'], etag)) return reply.code(304).send()
    return reply.type(type).send(bytes)
  }
}
