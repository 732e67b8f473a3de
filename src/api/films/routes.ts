import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'

import { Problem } from '../../core/errors.ts'
import type { createVoterIds } from '../../credentials/voter-id.ts'
import { entityTag, matchesTag } from '../entity-tag.ts'
import type { Vote, VoteRepository } from '../votes/repository.ts'
import { addFilmDescription, describeAddFilm, filmByIdDescription, randomFilmDescription } from './descriptions.ts'
import type { FilmRepository } from './repository.ts'
import { Film, FilmPath, NewFilm, NoQuery, RandomFilm, VoteQuery, type VoteReceipt } from './schema.ts'
import { askedVotes, isDeliberate } from './vote-intent.ts'

export interface FilmRoutesOptions {
  readonly films: FilmRepository
  readonly votes: VoteRepository
  readonly voterId: ReturnType<typeof createVoterIds>
  readonly anonymousVotes: boolean
  /** `server.public_url`, or empty: the origin of our own pages where a proxy stands in front. */
  readonly publicOrigin: string
  /** Whether the operator named the origin as one whose pages may call. */
  readonly isAllowedOrigin: (origin: string) => boolean
}

const noFilms = new Problem('not_found', { detail: 'There are no films yet.' })

/** The article's calls, and the films under /v1. */
export const filmRoutes = (server: FastifyInstance, options: FilmRoutesOptions): void => {
  const app = server.withTypeProvider<TypeBoxTypeProvider>()
  const { films } = options
  const { picks } = films
  const castVotes = createCastVotes(options)
  const voteAndPick = async (request: FastifyRequest, asked: readonly Vote[]): Promise<RandomFilm> => {
    const receipts = await castVotes(request, asked)
    const film = await picks.next()
    if (film === undefined) throw noFilms
    return withReceipts(film, receipts)
  }

  app.get(
    '/',
    {
      schema: { ...randomFilmDescription, querystring: VoteQuery, response: { 200: RandomFilm } },
      config: { access: 'public', limits: { add: '1 per second' } },
    },
    (request, reply) => {
      const asked = askedVotes(request.query)
      const ready = asked.length === 0 ? picks.takeJson() : undefined
      if (ready === undefined) return voteAndPick(request, asked)
      void reply.type('application/json; charset=utf-8').send(ready as never)
      return undefined
    },
  )

  const addFilmConfig = { access: 'films:write', limits: { add: '1 per second', sharedAs: 'POST /add_film' } } as const
  app.post(
    '/add_film',
    { schema: { ...addFilmDescription, querystring: NoQuery, body: NewFilm, response: { 201: Film } }, config: addFilmConfig },
    async (request, reply) => {
      const film = await films.add(request.body)
      return reply.code(201).header('location', `/v1/films/${film.id}`).send(film)
    },
  )
  app.head(
    '/add_film',
    { schema: { ...describeAddFilm, querystring: NoQuery }, config: { ...addFilmConfig, access: 'public' } },
    (_request, reply) => reply.headers({ allow: 'HEAD, OPTIONS, POST', 'accept-post': 'application/json' }).send(),
  )

  app.get(
    '/v1/films/:id',
    {
      schema: { ...filmByIdDescription, params: FilmPath, querystring: NoQuery, response: { 200: Film } },
      config: { access: 'films:read' },
    },
    async (request, reply) => {
      const film = await films.byId(Number(request.params.id))
      if (film === undefined) throw new Problem('not_found', { detail: 'There is no such film.' })
      return answerCacheable(request, reply, film)
    },
  )
}

const withReceipts = (film: Film, receipts: readonly VoteReceipt[]): RandomFilm => {
  const [vote] = receipts
  if (vote === undefined) return film
  return receipts.length === 1 ? { ...film, vote } : { ...film, votes: [...receipts] }
}

/** Records what was asked for and tells of each vote whether it counts. HEAD is safe (RFC 9110 section 9.2.1): it never votes. */
const createCastVotes =
  ({ films, votes, voterId, anonymousVotes, publicOrigin, isAllowedOrigin }: FilmRoutesOptions) =>
  async (request: FastifyRequest, asked: readonly Vote[]): Promise<VoteReceipt[]> => {
    if (asked.length === 0) return []
    if (asked.length === 2 && asked[0]?.filmId === asked[1]?.filmId) throw bothWays
    if (request.principal === null && !anonymousVotes) throw needsPrincipal
    const counts = request.method !== 'HEAD' && isDeliberate(request, { publicOrigin, isAllowedOrigin })
    const voter = voterId({ subject: request.principal?.subject ?? null, clientPrefix: request.client.prefix })
    const recorded = counts ? await votes.record(voter, asked) : []
    return asked.map(({ filmId, value }, i) => {
      if (recorded[i]) films.picks.refresh(filmId)
      return { film_id: filmId, value, recorded: recorded[i] === true }
    })
  }

const bothWays = new Problem('validation_failed', {
  detail: 'A film cannot be liked and disliked at once.',
  errors: [{ pointer: '/query/dislike', detail: 'must not be the same film as like' }],
})

const needsPrincipal = new Problem('unauthenticated', {
  detail: 'Anonymous votes are switched off here. Send "Authorization: Bearer" with an access token or an API key.',
  headers: { vary: 'Authorization' },
})

/** With a validator, so that a client which has it already gets 304. */
const answerCacheable = (request: FastifyRequest, reply: FastifyReply, film: Film): FastifyReply => {
  const etag = entityTag(JSON.stringify(film))
  void reply.headers({ etag, vary: 'Authorization', 'cache-control': request.principal === null ? 'no-cache' : 'no-store' })
  return matchesTag(request.headers['if-none-match'], etag) ? reply.code(304).send() : reply.send(film)
}
