import type { FastifyReply, FastifyRequest } from 'fastify'
import Type from 'typebox'

import { Problem } from '../core/errors.ts'
import { type Cursors, maxCursorLength } from '../credentials/cursor.ts'

/** What the query of a list has beside its filters. */
export const pageQuery = {
  limit: Type.Optional(
    Type.String({
      pattern: '^([1-9][0-9]?|100)$',
      description: 'So many items at most, 1 to 100; 50 unless it is said.',
      examples: ['50'],
      'x-public': true,
    }),
  ),
  cursor: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: maxCursorLength,
      pattern: '^[A-Za-z0-9_-]+$',
      description: 'The `next` of the page before; the first page without it.',
    }),
  ),
}

/** The member beside `items` in the answer. */
export const Next = Type.Unsafe<string | null>({
  type: ['string', 'null'],
  description: 'What to send as `cursor` for the next page; null on the last one. It is also in the Link field (RFC 8288).',
})

const defaultLimit = 50

export interface Page {
  /** At most. */
  readonly limit: number
  /** Where the page before ended, as it was sealed; undefined on the first. */
  readonly after: string | undefined
}

/** Which page of `list` is asked for. Throws validation_failed for a cursor that is none of ours, or of another list. */
export const readPage = (query: { readonly limit?: string; readonly cursor?: string }, cursors: Cursors, list: string): Page => {
  const limit = query.limit === undefined ? defaultLimit : Number(query.limit)
  if (query.cursor === undefined) return { limit, after: undefined }
  const after = cursors.open(query.cursor, list)
  if (after === undefined) throw foreignCursor()
  return { limit, after }
}

/** For a cursor that opens, but is no place in the list. */
export const foreignCursor = (): Problem =>
  new Problem('validation_failed', {
    detail: 'Send the cursor that the page before named, unchanged, or none for the first page.',
    errors: [{ pointer: '/query/cursor', detail: 'is not a cursor of this list' }],
  })

/**
 * The items of a page and how to go on: `rows` are what was found, read one further than `limit`; `seal` makes the cursor behind a row.
 */
export const finishPage = <T>(
  request: FastifyRequest,
  reply: FastifyReply,
  { rows, limit, seal }: { rows: readonly T[]; limit: number; seal: (last: T) => string },
): { items: T[]; next: string | null } => {
  const items = rows.slice(0, limit)
  const last = items.at(-1)
  if (rows.length <= limit || last === undefined) return { items, next: null }
  return { items, next: linkNext(request, reply, seal(last)) }
}

/** Sets the Link field where there is a next page, relative to whatever the list was asked for as: so it is right behind any proxy. */
export const linkNext = (request: FastifyRequest, reply: FastifyReply, next: string | undefined): string | null => {
  if (next === undefined) return null
  const query = new URLSearchParams({ ...(request.query as Record<string, string>), cursor: next })
  void reply.header('link', `<?${query.toString()}>; rel="next"`)
  return next
}
