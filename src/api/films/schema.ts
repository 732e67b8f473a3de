import Type, { type Static } from 'typebox'

/**
 * Text that people see: no control characters (log and terminal injection), no lone surrogates, none of the characters that turn the
 * reading direction (a title that displays as another one, CVE-2021-42574), no white space at the ends.
 */
const visibleText = String.raw`^(?!\s)[^\p{Cc}\p{Cs}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]+(?<!\s)$`

const Text = Type.String({ minLength: 1, maxLength: 200, pattern: visibleText })

const optional = {
  studio: Type.Union([Text, Type.Null()]),
  year: Type.Union([Type.Integer({ minimum: 1870, maximum: 2200 }), Type.Null()]),
  genre: Type.Union([Text, Type.Null()]),
  director: Type.Union([Text, Type.Null()]),
  runtime_min: Type.Union([Type.Integer({ minimum: 1, maximum: 100_000 }), Type.Null()]),
  rating: Type.Union([Type.Number({ minimum: 0, maximum: 10 }), Type.Null()]),
}

export const NewFilm = Type.Object(
  {
    name: Text,
    studio: Type.Optional(optional.studio),
    year: Type.Optional(optional.year),
    genre: Type.Optional(optional.genre),
    director: Type.Optional(optional.director),
    runtime_min: Type.Optional(optional.runtime_min),
    rating: Type.Optional(optional.rating),
  },
  { additionalProperties: false },
)
export type NewFilm = Static<typeof NewFilm>

const VoteReceipt = Type.Object({
  film_id: Type.Integer(),
  value: Type.Enum(['like', 'dislike']),
  recorded: Type.Boolean(),
})
export type VoteReceipt = Static<typeof VoteReceipt>

const filmMembers = {
  id: Type.Integer(),
  name: Type.String(),
  studio: Type.Union([Type.String(), Type.Null()]),
  year: Type.Union([Type.Integer(), Type.Null()]),
  genre: Type.Union([Type.String(), Type.Null()]),
  director: Type.Union([Type.String(), Type.Null()]),
  runtime_min: Type.Union([Type.Integer(), Type.Null()]),
  rating: Type.Union([Type.Number(), Type.Null()]),
  likes: Type.Integer(),
  dislikes: Type.Integer(),
}

export const Film = Type.Object(filmMembers)
export type Film = Static<typeof Film>

/** The answer of `GET /`: `vote` where one vote was asked for, `votes` where two were. */
export const RandomFilm = Type.Object({
  ...filmMembers,
  vote: Type.Optional(VoteReceipt),
  votes: Type.Optional(Type.Array(VoteReceipt)),
})
export type RandomFilm = Static<typeof RandomFilm>

/** A film id as it stands in a query or path: a string, because nothing is coerced. 15 digits stay exact in a double. */
export const FilmId = Type.String({ pattern: '^[0-9]{1,15}$' })

/** Ids are no secret, so the access log may show them (`x-public`). */
const LoggedFilmId = Type.String({ pattern: '^[0-9]{1,15}$', 'x-public': true })

export const VoteQuery = Type.Object(
  { like: Type.Optional(LoggedFilmId), dislike: Type.Optional(LoggedFilmId) },
  { additionalProperties: false },
)
export type VoteQuery = Static<typeof VoteQuery>

export const FilmPath = Type.Object({ id: FilmId }, { additionalProperties: false })

export const NoQuery = Type.Object({}, { additionalProperties: false })
