import { randomBytes } from 'node:crypto'
import { open, realpath, rename, rm, stat } from 'node:fs/promises'

import { exportFilms } from '../api/films/export.ts'
import { openDatabase } from '../db/open.ts'
import { openDataDir } from '../serve/data-folder.ts'
import type { Command } from './command.ts'
import { fileReason } from './input-file.ts'
import { grouped, isReaderGone, print, printJson, tell } from './output.ts'

export const filmsExport: Command = {
  name: 'films export',
  operands: ['[FILE|-]'],
  summary: 'Writes all films as NDJSON, to a file or (without one) to standard output',
  details: `One film a line, in the order of their ids, as GET /v1/films/{id} shows them. A file is complete or not
there: it takes the place of an older one when all films are in it. Films that are added meanwhile come too.
--json prints how many films there were, where they are written to a file.`,
  example: 'filmgate films export films.ndjson',
  run: async ({ operands, json, loadConfig }) => {
    const config = loadConfig()
    const [path = '-'] = operands
    const database = await openDatabase({ url: config.database.url, dataDir: openDataDir(config) })
    try {
      const pages = exportFilms(database.reader)
      const films = await (path === '-' ? writeAll(pages, print) : writeFile(pages, path))
      if (isReaderGone()) return 0
      if (json && path !== '-') await printJson({ exported: films, file: path })
      else tell(`${grouped(films)} films exported.\n`)
    } finally {
      await database.close()
    }
    return 0
  },
}

type Pages = ReturnType<typeof exportFilms>

const writeAll = async (pages: Pages, write: (text: string) => Promise<unknown>): Promise<number> => {
  let films = 0
  for await (const page of pages) {
    await write(page.text)
    films += page.films
    if (isReaderGone()) return films
  }
  return films
}

/** A crash leaves the old file or the new one, never half of it. What is there and no file (a pipe, a device) is written to as it is. */
const writeFile = async (pages: Pages, path: string): Promise<number> => {
  try {
    const there = await stat(path).catch(ignoreMissing)
    if (there?.isDirectory()) throw Object.assign(new Error('it is a folder'), { code: 'EISDIR', syscall: 'open' })
    if (there !== undefined && !there.isFile()) return await writeTo(pages, path, 'w')
    return await replaceFile(pages, there === undefined ? path : await realpath(path))
  } catch (error) {
    if (error instanceof Error && 'syscall' in error)
      throw new Error(`cannot write ${JSON.stringify(path)}: ${fileReason(error)}`, { cause: error })
    throw error
  }
}

const replaceFile = async (pages: Pages, path: string): Promise<number> => {
  const draft = `${path}.${randomBytes(6).toString('hex')}`
  try {
    const films = await writeTo(pages, draft, 'wx')
    await rename(draft, path)
    return films
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  }
}

const writeTo = async (pages: Pages, path: string, flags: 'w' | 'wx'): Promise<number> => {
  await using file = await open(path, flags)
  const films = await writeAll(pages, (text) => file.writeFile(text))
  if (flags === 'wx') await file.sync()
  return films
}

const ignoreMissing = (error: unknown): undefined => {
  if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
  return undefined
}
