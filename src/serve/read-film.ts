import { isUtf8 } from 'node:buffer'

import Fastify from 'fastify'

import type { ReadFilm } from '../api/films/import.ts'
import { ImportedFilm } from '../api/films/schema.ts'
import { Problem } from '../core/errors.ts'
import { ajvOptions, fieldErrors, maxDepth, parseStrictJson, StrictJsonError } from '../layers/index.ts'

/** Reads the line of a file as strictly as the body of `POST /add_film`: the same JSON, the same compiled schema, the same words. */
export const createReadFilm = async (): Promise<ReadFilm> => {
  const check = await compileCheck()
  return (line) => {
    const film = parse(line)
    if (check(film)) return film as ImportedFilm
    throw new Problem('validation_failed', { detail: 'Correct the fields named in errors.', errors: fieldErrors(check.errors ?? []) })
  }
}

interface Check {
  (value: unknown): boolean
  errors?: Parameters<typeof fieldErrors>[0] | null
}

/** By the compiler that the server's routes get theirs from, which exists once there is a route that needs one. */
const compileCheck = async (): Promise<Check> => {
  const app = Fastify({ ajv: ajvOptions })
  app.post('/', { schema: { body: ImportedFilm } }, () => undefined)
  await app.ready()
  const check = app.validatorCompiler?.({ schema: ImportedFilm, method: 'POST', url: '/', httpPart: 'body' })
  if (check === undefined) throw new Error('there is no schema compiler')
  return check as unknown as Check
}

const parse = (line: Uint8Array): unknown => {
  try {
    return parseStrictJson(line, maxDepth, 'line')
  } catch (error) {
    if (!(error instanceof StrictJsonError)) throw error
    throw new Problem('bad_request', { detail: error.message + place(line) })
  }
}

/** Where it stops making sense. */
const place = (line: Uint8Array): string => {
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(line)
  const foreign = text.indexOf('\u{fffd}')
  if (foreign !== -1 && !isUtf8(line)) return ` See character ${foreign + 1}; if it is Latin-1: iconv -f LATIN1 -t UTF-8.`
  if (text.startsWith('\u{feff}')) return ' It begins with a byte order mark; only the first line of a file may.'
  try {
    JSON.parse(text)
    return ''
  } catch (error) {
    const position = error instanceof Error ? /position (\d+)/.exec(error.message)?.[1] : undefined
    return position === undefined ? '' : ` See character ${Number(position) + 1}.`
  }
}
