import { closeSync, openSync, writeSync } from 'node:fs'

/** Titles as they come in the world: long, accented in both forms, right to left, with quotes and emoji. */
const words = [
  'Night',
  'of the',
  'Amélie',
  'Amélie',
  '“Quoted”',
  "L'Été",
  '東京物語',
  'Солярис',
  'الطريق',
  'Æon',
  'the 3rd',
  '🎬 Reel',
  'House',
  'Return',
  '\\o/',
]

/** Film number `n` as a line of NDJSON, about 180 bytes; the same for the same number. */
export const filmLine = (n: number): string => {
  const word = (salt: number): string => words[(n * 7 + salt * 13 + (n >>> 4)) % words.length] ?? ''
  return JSON.stringify({
    name: `${word(1)} ${word(2)} ${n}`,
    studio: n % 5 === 0 ? null : `Studio ${n % 300}`,
    year: 1900 + (n % 125),
    genre: n % 3 === 0 ? 'Drama' : 'Science fiction',
    director: `${word(3)} Director ${n % 9000}`,
    runtime_min: 60 + (n % 120),
    rating: (n % 101) / 10,
  })
}

/** Writes films 1 to `films`, 10,000 at a time. */
export const writeFilmFile = (path: string, films: number): void => {
  const file = openSync(path, 'w')
  for (let start = 1; start <= films; start += 10_000) {
    const count = Math.min(10_000, films - start + 1)
    writeSync(file, Array.from({ length: count }, (_, i) => `${filmLine(start + i)}\n`).join(''))
  }
  closeSync(file)
}

/** `node test/support/film-file.ts FILE COUNT`: a file to measure the import with. */
if (import.meta.main) writeFilmFile(process.argv[2] ?? 'films.ndjson', Number(process.argv[3] ?? 1_000_000))
