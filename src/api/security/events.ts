import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'

import type { Timers } from '../../core/clock.ts'
import { Problem } from '../../core/errors.ts'
import type { Cursors } from '../../credentials/cursor.ts'
import type { Monitor } from '../../layers/index.ts'
import { principalOf } from '../accounts/caller.ts'
import { finishPage, foreignCursor, readPage } from '../pages.ts'
import { listEventsDescription } from './descriptions.ts'
import { readFilters } from './event-filters.ts'
import { createEventStreams } from './event-streams.ts'
import { EventList, EventQuery } from './event-schema.ts'
import { shownEvent } from './shown.ts'

export interface EventRoutesOptions {
  readonly monitor: Monitor
  readonly cursors: Cursors
  readonly timers: Timers
  /** Why somebody who was let in may not go on; undefined: nothing changed. */
  readonly refusedNow: (request: FastifyRequest) => Promise<string | undefined>
}

const eventStream = 'text/event-stream'

/** What happened in this instance: as a list, or as it happens. */
export const eventRoutes = (server: FastifyInstance, { monitor: { journal }, cursors, timers, refusedNow }: EventRoutesOptions): void => {
  const app = server.withTypeProvider<TypeBoxTypeProvider>()
  const streams = createEventStreams({ journal, timers, refusedNow })
  // Readers stay for hours: a stop would wait for them.
  server.addHook('preClose', (done) => {
    streams.close()
    done()
  })

  const stream = (request: FastifyRequest, reply: FastifyReply, query: EventQuery): void => {
    if (query.limit !== undefined || query.cursor !== undefined) throw pagesOfStream
    const fits = readFilters(query)
    // HEAD tells what a stream would be, and opens none.
    if (request.method === 'HEAD') return void reply.type(eventStream).send('')
    const from = request.headers['last-event-id']
    const seen = typeof from === 'string' ? from : undefined
    void reply.type(eventStream).send(streams.open(request, principalOf(request).subject, fits, seen))
  }

  app.get(
    '/v1/security/events',
    {
      schema: { ...listEventsDescription, querystring: EventQuery, response: { 200: EventList } },
      config: { access: 'security:read', produces: ['application/json', eventStream] },
    },
    (request, reply) => {
      void reply.header('vary', 'Authorization, Accept')
      if (wantsStream(request.headers.accept)) {
        stream(request, reply, request.query)
        return
      }
      const { limit, after } = readPage(request.query, cursors, 'events')
      const rows = journal.recent(readFilters(request.query), limit + 1, after === undefined ? Infinity : readPlace(after, journal.run))
      const page = finishPage(request, reply, { rows, limit, seal: ({ seq }) => cursors.seal(`${journal.run}.${seq}`, 'events') })
      void reply.send({ ...page, items: page.items.map(shownEvent) })
    },
  )
}

/** Only who says so by name: `*` and `*` are a list's. */
const wantsStream = (accept = ''): boolean =>
  accept.split(',', 50).some((range) => /^\s*text\/event-stream\s*(;(?!\s*q=0(\.0{0,3})?\s*$).*)?$/i.test(range))

/** A place in what another process kept is none here. */
const readPlace = (text: string, run: string): number => {
  const [of, seq] = text.split('.')
  if (of !== run) throw foreignCursor()
  return Number(seq)
}

const pagesOfStream = new Problem('validation_failed', {
  detail: 'A stream has no pages.',
  errors: [{ pointer: '/query', detail: 'has limit or cursor, which are of lists' }],
})
