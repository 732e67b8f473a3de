import {
  checkFilms,
  type CheckedFile,
  type ImportResult,
  type ImportSource,
  type LineMistake,
  type Progress,
  writeFilms,
} from '../api/films/import.ts'
import { ForeignFileError } from '../api/films/import-file.ts'
import { createFilmRepository } from '../api/films/repository.ts'
import type { Config } from '../config.ts'
import { printable } from '../config/errors.ts'
import { systemClock } from '../core/clock.ts'
import { openDatabase } from '../db/open.ts'
import { openDataDir } from '../serve/data-folder.ts'
import { createReadFilm } from '../serve/read-film.ts'
import { type Call, type Command, UsageError } from './command.ts'
import { openInput } from './input-file.ts'
import { grouped, print, printJson, shellQuoted, tell } from './output.ts'

export const filmsImport: Command = {
  name: 'films import',
  operands: ['FILE|-'],
  summary: 'Adds the films of a file (NDJSON, - is standard input); the server may be running',
  details: `One JSON object a line, in UTF-8, with the members of POST /add_film: name, and if known studio, year,
genre, director, runtime_min, rating. Blank lines, CRLF and a byte order mark at the beginning are
skipped. The members id, likes and dislikes of an export are accepted and ignored.
Every line is checked before the first one is stored: one mistake, and nothing is imported (the first 20
are listed). Then the films are stored in batches of 2,500, each safely on the disk when it is counted.
Should that be interrupted (SIGINT and SIGTERM finish the batch under way, exit code 1; a second one does
not wait for it), it says how many films are in and with which --from-line to go on.
Nothing is compared: a film that stands twice in the file, or is there already, is there twice then.
A new data folder that is filled like this does not get the starter catalogue.`,
  options: {
    'dry-run': { text: 'checks the file and stores nothing' },
    'from-line': { value: 'N', text: 'leaves out what stands before line N' },
  },
  example: 'filmgate films import films.ndjson --dry-run',
  run: async (call) => {
    const config = call.loadConfig()
    const fromLine = lineNumber(call.options['from-line'])
    const [path = ''] = call.operands
    const interrupted = new AbortController()
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort())
    try {
      const file = await openInput(path, () => openDataDir(config), interrupted.signal)
      try {
        return await importFile(call, config, { file, fromLine, readFilm: await createReadFilm(), signal: interrupted.signal })
      } finally {
        await file.close()
      }
    } catch (error) {
      const reason = interrupted.signal.aborted ? 'interrupted' : error instanceof ForeignFileError ? error.message : undefined
      if (reason === undefined) throw error
      throw new Error(`nothing was imported from ${JSON.stringify(path)}: ${reason}`, { cause: error })
    }
  },
}

const lineNumber = (text: string | true | undefined): number => {
  if (text === undefined) return 1
  if (typeof text === 'string' && /^[1-9]\d{0,14}$/.test(text)) return Number(text)
  throw new UsageError('--from-line needs the number of a line, from 1.')
}

const importFile = async (call: Call, config: Config, source: ImportSource): Promise<number> => {
  const startedMs = performance.now()
  const dryRun = call.options['dry-run'] === true
  tell(`Checking ${call.operands[0] === '-' ? 'standard input' : JSON.stringify(call.operands[0])} ...\n`)
  const checked = await checkFilms(source)
  const bad = checked.mistakes.length > 0
  const result = bad || dryRun ? undefined : await store(config, source, checked)
  const report: Report = { checked, result, dryRun, seconds: (performance.now() - startedMs) / 1000 }
  await (call.json ? printJson(jsonOf(report, config)) : printReport(report, call.operands[0] ?? '', config))
  return bad || result?.stopped !== undefined ? 1 : 0
}

const store = async (config: Config, source: ImportSource, { films: total, unchanged }: CheckedFile): Promise<ImportResult> => {
  const database = await openDatabase({ url: config.database.url, dataDir: openDataDir(config) })
  try {
    return await writeFilms(source, unchanged, createFilmRepository(database, systemClock), createProgress(total))
  } finally {
    await database.close()
  }
}

/** The first batch and then one line a second. */
const createProgress = (total: number): ((progress: Progress) => void) => {
  const startedMs = performance.now()
  let lastMs = -Infinity
  return ({ films }) => {
    const nowMs = performance.now()
    if (nowMs - lastMs < 1000) return
    lastMs = nowMs
    tell(`  ${grouped(films)} of ${grouped(total)} films are in (${grouped(Math.round((films / (nowMs - startedMs)) * 1000))}/s)\n`)
  }
}

interface Report {
  readonly checked: CheckedFile
  /** Undefined where nothing was to be stored. */
  readonly result: ImportResult | undefined
  readonly dryRun: boolean
  readonly seconds: number
}

const jsonOf = ({ checked, result, dryRun, seconds }: Report, config: Config) => ({
  dryRun,
  checked: checked.films,
  mistakes: checked.mistakes,
  ignored: checked.ignored,
  imported: result?.films ?? 0,
  stopped: result?.stopped ?? null,
  nextLine: result?.stopped === undefined ? null : result.nextLine,
  unsureUpTo: (isRemote(config) ? result?.unsureUpTo : undefined) ?? null,
  seconds: Number(seconds.toFixed(3)),
})

const printReport = async ({ checked, result, dryRun, seconds }: Report, path: string, config: Config): Promise<void> => {
  const { films, ignored, mistakes } = checked
  if (mistakes.length > 0) {
    tell(`Nothing was imported. ${JSON.stringify(path)} has these mistakes:\n${mistakes.map(mistakeLine).join('')}`)
    if (mistakes.length >= 20) tell('After so many the rest was not looked at.\n')
    return
  }
  if (ignored.length > 0) tell(`The members ${ignored.join(', ')} were ignored: the program sets them itself.\n`)
  if (result === undefined) return print(`${grouped(films)} films can be imported${dryRun ? '; nothing was stored (--dry-run)' : ''}.\n`)
  await print(`${grouped(result.films)} films imported in ${seconds.toFixed(1)} s (${grouped(Math.round(result.films / seconds))}/s).\n`)
  if (result.stopped !== undefined) tell(stoppedText(result, path, isRemote(config)))
}

const mistakeLine = ({ line, pointer, detail }: LineMistake): string =>
  printable(`  line ${line}${pointer === '' ? '' : `, ${pointer}`}: ${detail}`) + '\n'

/** PostgreSQL may have committed what it could not acknowledge any more; SQLite commits here or not at all. */
const isRemote = ({ database }: Config): boolean => database.url !== 'sqlite'

const stoppedText = ({ films, nextLine, stopped, unsureUpTo }: ImportResult, path: string, remote: boolean): string => {
  const unsure =
    remote && unsureUpTo !== undefined
      ? ` Lines ${nextLine} to ${unsureUpTo} were not acknowledged, yet may be in if the connection broke at that moment: look for the first of them before you go on.`
      : ''
  return `Not all of it is in: ${printable(stopped ?? '')}. ${grouped(films)} films are in, those before line ${nextLine}.${unsure}\nTo go on: filmgate films import ${shellQuoted(path)} --from-line ${nextLine}\n`
}
