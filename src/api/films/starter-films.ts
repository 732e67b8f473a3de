import { readFileSync } from 'node:fs'

import type { FilmRepository } from './repository.ts'
import type { NewFilm } from './schema.ts'

const catalogue = new URL('../../../data/starter-films.ndjson', import.meta.url)

/** Fills a new, empty catalogue with the films that come with the program; what was ever filled, even if emptied since, is left alone. */
export const importStarterFilms = async (films: FilmRepository, print: (text: string) => void): Promise<void> => {
  if (!(await films.isUntouched())) return
  const started = performance.now()
  const lines = readFileSync(catalogue, 'utf8').trimEnd().split('\n')
  print(`First start: importing ${lines.length} films ...`)
  await films.seed(lines.map((line) => JSON.parse(line) as NewFilm))
  print(` done in ${Math.round(performance.now() - started)} ms\n`)
}
