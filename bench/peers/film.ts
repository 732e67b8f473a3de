/** The film of the article, with the fields that Filmgate answers with: every peer sends a body of this size. */
export const film = {
  id: 1,
  name: 'Frozen',
  studio: 'Disney',
  year: 2013,
  genre: 'Adventure',
  director: 'Chris Buck, Jennifer Lee',
  runtime_min: 102,
  rating: 7.4,
  likes: 0,
  dislikes: 0,
}

const text = { type: 'string' }
const integer = { type: 'integer' }

export const filmSchema = {
  type: 'object',
  properties: {
    id: integer,
    name: text,
    studio: text,
    year: integer,
    genre: text,
    director: text,
    runtime_min: integer,
    rating: { type: 'number' },
    likes: integer,
    dislikes: integer,
  },
}
