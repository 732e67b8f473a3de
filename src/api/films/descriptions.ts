import type { RouteDescription } from '../../layers/index.ts'

/** What the description of the API says of the film routes. Apart from them, so that they read as what they do. */
const tags = ['Films'] as const

export const randomFilmDescription = {
  operationId: 'randomFilm',
  summary: 'A random film',
  description:
    'Answers with a film, each one as likely as any other. With like or dislike it records a vote first and tells in vote (in votes, where there are two) what became of it. A vote counts when a person cast it: not by HEAD, not when a browser fetches ahead, not from a page of another site.',
  tags,
  answers: { 200: { description: 'A random film.' } },
  problems: ['not_found', 'temporary_reduced_capacity'],
} as const satisfies RouteDescription

export const addFilmDescription = {
  operationId: 'addFilm',
  summary: 'Add a film',
  description: 'Stores a film. The answer comes when it is on the disk. Texts are stored in Unicode normalisation form C.',
  tags,
  answers: { 201: { description: 'The film as it is stored.', headers: ['Location'] } },
} as const satisfies RouteDescription

export const describeAddFilm = {
  operationId: 'describeAddFilm',
  summary: 'How to add a film',
  description: 'Says which methods and which media type the address takes. Changes nothing.',
  tags,
  answers: { 200: { description: 'No body, only fields.', headers: ['Allow', 'Accept-Post'] } },
} as const satisfies RouteDescription

export const filmByIdDescription = {
  operationId: 'filmById',
  summary: 'A film by its id',
  description: 'With If-None-Match and the ETag of an earlier answer it says 304 when nothing has changed.',
  tags,
  answers: {
    200: { description: 'The film.', headers: ['ETag'] },
    304: { description: 'It is still what you have.', headers: ['ETag'] },
  },
  problems: ['not_found'],
} as const satisfies RouteDescription
