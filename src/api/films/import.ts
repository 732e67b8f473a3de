import type { FileHandle } from 'node:fs/promises'

import { type FieldError, Problem } from '../../core/errors.ts'
import { refuseForeign, watchFile } from './import-file.ts'
import { type Line, maxLineBytes, readLines } from './import-lines.ts'
import { normaliseFilm, type StoredFilm } from './normalise.ts'
import type { FilmRepository } from './repository.ts'
import type { ImportedFilm } from './schema.ts'

/** Films of one durable unit: enough to share its cost, and few enough that a server's own writes soon get their turn. */
export const filmsPerBatch = 2500

/** More mistakes than these are rarely looked at, and usually repeat themselves. */
const maxMistakes = 20

/** The film that the bytes of a line are; throws a `Problem` for what `POST /add_film` would refuse. */
export type ReadFilm = (line: Uint8Array) => ImportedFilm

export interface LineMistake extends FieldError {
  readonly line: number
}

export interface ImportSource {
  /** A regular file, which is read twice. */
  readonly file: FileHandle
  /** From 1; what stands before it is not looked at. */
  readonly fromLine: number
  readonly readFilm: ReadFilm
  /** Ends the work before the next block or batch. */
  readonly signal: AbortSignal
}

export interface CheckedFile {
  readonly films: number
  /** Members that were accepted and left out, because the program sets them itself. */
  readonly ignored: readonly string[]
  /** Empty where everything can be imported; 20 at most, and then the rest of the file was not looked at. */
  readonly mistakes: readonly LineMistake[]
  /** Whether the file is still what was looked at. */
  readonly unchanged: () => Promise<boolean>
}

/** The first pass: looks at every line and stores nothing. Throws a ForeignFileError for what cannot be films, an AbortError by `signal`. */
export const checkFilms = async ({ file, fromLine, readFilm, signal }: ImportSource): Promise<CheckedFile> => {
  const unchanged = await watchFile(file)
  await refuseForeign(file)
  let films = 0
  const ignored = new Set<string>()
  const mistakes: LineMistake[] = []
  for await (const lines of readLines(file)) {
    signal.throwIfAborted()
    for (const line of lines) {
      if (line.number < fromLine) continue
      try {
        const film = filmOf(line, readFilm)
        normaliseFilm(film)
        for (const member of ownMembers) if (film[member] !== undefined) ignored.add(member)
        films++
      } catch (error) {
        mistakes.push(...mistakesOf(line, error))
        if (mistakes.length >= maxMistakes) return { films, ignored: [...ignored], mistakes: mistakes.slice(0, maxMistakes), unchanged }
      }
    }
  }
  return { films, ignored: [...ignored], mistakes, unchanged }
}

const ownMembers = ['id', 'likes', 'dislikes'] as const

const filmOf = ({ bytes }: Line, readFilm: ReadFilm): ImportedFilm => {
  if (bytes === undefined) throw new Problem('payload_too_large', { detail: `The line is longer than ${maxLineBytes} bytes.` })
  return readFilm(bytes)
}

const mistakesOf = (line: Line, error: unknown): LineMistake[] => {
  if (!(error instanceof Problem)) throw error
  const { errors, detail } = error.options
  if (errors !== undefined) return errors.map((one) => ({ line: line.number, ...one }))
  const cut = line.ended ? '' : ' It is the last line and has no end: the file may be cut off.'
  return [{ line: line.number, pointer: '', detail: detail + cut }]
}

export interface Progress {
  /** Durably stored by now. */
  readonly films: number
  /** The line behind the last of them: where to go on. */
  readonly nextLine: number
}

export interface ImportResult extends Progress {
  /** Why it ended early; undefined where all of the file is in. */
  readonly stopped?: string
  /** The last line of a batch that was not acknowledged, so that nobody knows whether it is in; undefined where there is none. */
  readonly unsureUpTo?: number
}

/** The second pass, over a file that was found good. Every line is looked at again, so whatever becomes of the file, no bad film gets in. */
export const writeFilms = async (
  { file, fromLine, readFilm, signal }: ImportSource,
  unchanged: CheckedFile['unchanged'],
  films: Pick<FilmRepository, 'addMany'>,
  onProgress: (progress: Progress) => void,
): Promise<ImportResult> => {
  let done: Progress = { films: 0, nextLine: fromLine }
  let batch: StoredFilm[] = []
  let lastLine = fromLine - 1
  const changed = (): ImportResult => ({ ...done, stopped: 'the file changed while it was read' })
  const write = async (): Promise<ImportResult | undefined> => {
    if (!(await unchanged())) return changed()
    if (batch.length === 0) return undefined
    if (signal.aborted) return { ...done, stopped: 'it was interrupted' }
    try {
      await films.addMany(batch)
    } catch (error) {
      return { ...done, stopped: reasonOf(error), unsureUpTo: lastLine }
    }
    done = { films: done.films + batch.length, nextLine: lastLine + 1 }
    batch = []
    onProgress(done)
    return undefined
  }
  try {
    for await (const lines of readLines(file)) {
      for (const line of lines) {
        if (line.number < fromLine) continue
        batch.push(normaliseFilm(filmOf(line, readFilm)))
        lastLine = line.number
        const stopped = batch.length === filmsPerBatch ? await write() : undefined
        if (stopped !== undefined) return stopped
      }
    }
  } catch (error) {
    // Every line was good before.
    return error instanceof Problem ? changed() : { ...done, stopped: reasonOf(error) }
  }
  return (await write()) ?? done
}

/** The cause says more to an operator than what a client would be told. */
const reasonOf = (error: unknown): string => {
  if (!(error instanceof Error)) return 'it failed'
  const { cause, message } = error
  return cause instanceof Error ? cause.message : typeof cause === 'string' ? cause : message
}
