import type { JSX } from 'preact'

import type { Film } from './films.ts'
import { runtimeWords } from './words.ts'

/** For styles/film.css: no word of a title is broken that fits on a line of its own. */
const longestWord = (name: string): number => Math.max(...name.split(/[\s-]+/).map((word) => word.length))

/** Long titles are set smaller; the steps are in styles/film.css. */
const titleSize = (name: string): 'short' | 'medium' | 'long' => (name.length <= 18 ? 'short' : name.length <= 44 ? 'medium' : 'long')

const facts = ({ studio, year, runtime_min: runtime, rating, likes, dislikes }: Film): readonly (readonly [string, string | null])[] => [
  ['Year', year === null ? null : String(year)],
  ['Studio', studio],
  ['Runtime', runtime === null ? null : runtimeWords(runtime)],
  ['Rating', rating === null ? null : `${rating} of 10`],
  ['Likes', String(likes)],
  ['Dislikes', String(dislikes)],
]

/** A poster of words. What is not known is left out. Texts are set apart (`bdi`): some run from right to left, their full stops too. */
export const FilmCard = ({ film }: { readonly film: Film }): JSX.Element => (
  <article class="card" data-genre={film.genre ?? ''} data-film={film.id} key={film.id} aria-labelledby="film-name">
    <p class="year" aria-hidden="true">
      {film.year}
    </p>
    <p class="genre">
      <bdi>{film.genre ?? 'Film'}</bdi>
    </p>
    <div class="title">
      <h2 id="film-name" class={`name ${titleSize(film.name)}`} style={{ '--longest': longestWord(film.name) }}>
        <bdi>{film.name}</bdi>
      </h2>
      {film.director !== null && (
        <p class="director">
          Directed by <bdi>{film.director}</bdi>
        </p>
      )}
    </div>
    <dl class="facts">
      {facts(film).map(
        ([label, value]) =>
          value !== null && (
            <div key={label}>
              <dt>{label}</dt>
              <dd>
                <bdi>{value}</bdi>
              </dd>
            </div>
          ),
      )}
    </dl>
  </article>
)
