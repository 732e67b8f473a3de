import { type FieldError, Problem } from '../../core/errors.ts'
import { maxTextLength, type NewFilm } from './schema.ts'

/** A film as it is stored: every member there, texts in NFC, so that two ways to type "Amélie" are one name. */
export type StoredFilm = Required<NewFilm>

/** Throws `validation_failed` for the few texts that NFC makes longer than the schema allows (U+FB2C becomes three characters). */
export const normaliseFilm = (film: NewFilm): StoredFilm => {
  const stored = {
    name: film.name.normalize('NFC'),
    studio: nfc(film.studio),
    year: film.year ?? null,
    genre: nfc(film.genre),
    director: nfc(film.director),
    runtime_min: film.runtime_min ?? null,
    rating: film.rating ?? null,
  }
  const tooLong = (['name', 'studio', 'genre', 'director'] as const).filter((member) => isTooLong(stored[member]))
  if (tooLong.length === 0) return stored
  const errors = tooLong.map((member): FieldError => ({
    pointer: `/${member}`,
    detail: `is longer than ${maxTextLength} characters in Unicode normal form C`,
  }))
  throw new Problem('validation_failed', { detail: 'Correct the fields named in errors and send the request again.', errors })
}

const nfc = (text: string | null | undefined): string | null => text?.normalize('NFC') ?? null

/** In code points, as JSON Schema counts; there are never more of them than units of UTF-16. */
const isTooLong = (text: string | null): boolean => text !== null && text.length > maxTextLength && Array.from(text).length > maxTextLength
