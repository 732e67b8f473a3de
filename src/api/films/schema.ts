import Type, { type Static } from 'typebox'

/**
 * Text that people see: no control characters (log and terminal injection), no lone surrogates, none of the characters that turn the
 * reading direction (a title that displays as another one, CVE-2021-42574), no white space at the ends, and something to see.
 */
export const visibleText = String.raw`^(?!\s)(?=.*[\p{L}\p{N}\p{P}\p{S}])[^\p{Cc}\p{Cs}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]+(?<!\s)$`

/** Code points. */
export const maxTextLength = 200

const Text = Type.String({ minLength: 1, maxLength: maxTextLength, pattern: visibleText })

/** The same, or null for "not known". One type list instead of a union, so that an error names the field once. */
const nullable = <T>(schema: { readonly type: string }): ReturnType<typeof Type.Unsafe<T | null>> =>
  Type.Unsafe<T | null>({ ...schema, type: [schema.type, 'null'] })

const NullableText = nullable<string>(Text)
const NullableInteger = (minimum: number, maximum: number) => nullable<number>(Type.Integer({ minimum, maximum }))

const frozen = {
  id: 1,
  name: 'Frozen',
  studio: 'Disney',
  year: 2013,
  genre: 'Adventure',
  director: 'Chris Buck, Jennifer Lee',
  runtime_min: 102,
  rating: 7.4,
  likes: 3,
  dislikes: 1,
}

const moana = {
  name: 'Moana',
  studio: 'Disney',
  year: 2016,
  genre: 'Adventure',
  director: 'Ron Clements, John Musker',
  runtime_min: 107,
  rating: 7.6,
}

export const NewFilm = Type.Object(
  {
    name: Text,
    studio: Type.Optional(NullableText),
    year: Type.Optional(NullableInteger(1870, 2200)),
    genre: Type.Optional(NullableText),
    director: Type.Optional(NullableText),
    runtime_min: Type.Optional(NullableInteger(1, 100_000)),
    rating: Type.Optional(nullable<number>(Type.Number({ minimum: 0, maximum: 10 }))),
  },
  { additionalProperties: false, description: 'A film to add. What is null or left out is not known.', examples: [moana] },
)
export type NewFilm = Static<typeof NewFilm>

/** What an export holds of a film beyond NewFilm. The program sets them itself, so an import takes and ignores them. */
const OwnNumber = Type.Optional(Type.Integer({ minimum: 0 }))
export const ImportedFilm = Type.Object(
  { ...NewFilm.properties, id: OwnNumber, likes: OwnNumber, dislikes: OwnNumber },
  { additionalProperties: false },
)
export type ImportedFilm = Static<typeof ImportedFilm>

export const VoteReceipt = Type.Object(
  {
    film_id: Type.Integer(),
    value: Type.Enum(['like', 'dislike']),
    recorded: Type.Boolean({ description: 'False where there is no such film, or the vote does not count.' }),
  },
  { description: 'What became of a vote. A voter has one vote for each film, and a later one replaces it.' },
)
export type VoteReceipt = Static<typeof VoteReceipt>

const filmMembers = {
  id: Type.Integer(),
  name: Type.String(),
  studio: nullable<string>(Type.String()),
  year: nullable<number>(Type.Integer()),
  genre: nullable<string>(Type.String()),
  director: nullable<string>(Type.String()),
  runtime_min: nullable<number>(Type.Integer()),
  rating: nullable<number>(Type.Number()),
  likes: Type.Integer(),
  dislikes: Type.Integer(),
}

export const Film = Type.Object(filmMembers, {
  description: 'A film. What is not known is null.',
  examples: [frozen],
})
export type Film = Static<typeof Film>

/** The answer of `GET /`: `vote` where one vote was asked for, `votes` where two were. */
export const RandomFilm = Type.Object(
  {
    ...filmMembers,
    vote: Type.Optional(VoteReceipt),
    votes: Type.Optional(Type.Array(VoteReceipt)),
  },
  {
    description: 'A film, with what became of the vote or the two votes of the call.',
    examples: [frozen, { ...frozen, vote: { film_id: 2, value: 'like', recorded: true } }],
  },
)
export type RandomFilm = Static<typeof RandomFilm>

/** A film id as it stands in a query or path: a string, because nothing is coerced. 15 digits stay exact in a double. */
const FilmId = Type.String({ pattern: '^[0-9]{1,15}$', description: 'The id of a film.', examples: ['1'] })

/** Ids are no secret, so the access log may show them (`x-public`). */
const loggedFilmId = (description: string) => Type.String({ pattern: '^[0-9]{1,15}$', description, examples: ['1'], 'x-public': true })

export const VoteQuery = Type.Object(
  {
    like: Type.Optional(loggedFilmId('The id of a film that you like.')),
    dislike: Type.Optional(loggedFilmId('The id of a film that you do not like.')),
  },
  { additionalProperties: false },
)
export type VoteQuery = Static<typeof VoteQuery>

export const FilmPath = Type.Object({ id: FilmId }, { additionalProperties: false })

export const NoQuery = Type.Object({}, { additionalProperties: false })
