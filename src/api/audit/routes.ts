import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'

import { Problem } from '../../core/errors.ts'
import type { Observe } from '../../core/events.ts'
import type { Cursors } from '../../credentials/cursor.ts'
import { foreignCursor, linkNext, readPage } from '../pages.ts'
import { parseTimestamp } from '../timestamp.ts'
import { listAuditDescription } from './descriptions.ts'
import { toEntry } from './entry.ts'
import type { AuditPlace, AuditRepository } from './repository.ts'
import { AuditList, AuditQuery } from './schema.ts'

export interface AuditRoutesOptions {
  readonly audit: AuditRepository
  readonly cursors: Cursors
  readonly observe: Observe
}

/** For moderators and admins: the trail. Who reads it leaves an event in the log and no row, or reading would be writing. */
export const auditRoutes = (server: FastifyInstance, { audit, cursors, observe }: AuditRoutesOptions): void => {
  const app = server.withTypeProvider<TypeBoxTypeProvider>()
  app.get(
    '/v1/audit',
    { schema: { ...listAuditDescription, querystring: AuditQuery, response: { 200: AuditList } }, config: { access: 'security:read' } },
    async (request, reply) => {
      const { actor, action, target, since, until } = request.query
      const filters = { actor, action, target, since: readTime(since, 'since'), until: readTime(until, 'until') }
      const { limit, after } = readPage(request.query, cursors, 'audit')
      const { rows, next } = await audit.list(filters, limit, after === undefined ? undefined : parsePlace(after))
      const { client, principal } = request
      observe({
        event: 'sensitive_read',
        requestId: request.id,
        client: client.prefix,
        subject: principal?.subject ?? null,
        resource: 'audit',
      })
      const items = rows.map(toEntry)
      return { items, next: linkNext(request, reply, next && cursors.seal(`${next.at}:${next.seq}`, 'audit')) }
    },
  )
}

/** The pattern of the schema lets a 31st of February through, which is no time. */
const readTime = (text: string | undefined, name: string): number | undefined => {
  if (text === undefined) return undefined
  const time = parseTimestamp(text)
  if (time !== undefined) return time
  throw new Problem('validation_failed', {
    detail: 'The request is not valid.',
    errors: [{ pointer: `/query/${name}`, detail: 'is no day of the calendar' }],
  })
}

const parsePlace = (text: string): AuditPlace => {
  const [at = NaN, seq = NaN] = text.split(':').map(Number)
  // Sealed here, so it can only be of a release that wrote another form.
  if (!Number.isSafeInteger(at) || !Number.isSafeInteger(seq)) throw foreignCursor()
  return { at, seq }
}
