import { once } from 'node:events'

import { fileReason } from './input-file.ts'

/** What befell standard output; only EPIPE means that its reader went away. */
let failure: NodeJS.ErrnoException | undefined

/** Whether what read standard output has seen enough (`| head`): no failure, but nothing more needs to be made for it. */
export const isReaderGone = (): boolean => failure?.code === 'EPIPE'

/** Data, for whatever reads standard output; waits while the reader is slow. */
export const print = async (text: string): Promise<void> => {
  if (failure === undefined && !process.stdout.write(text)) {
    // It rejects with the error that the listener below gets too.
    await once(process.stdout, 'drain').catch(() => undefined)
  }
  throwFailure()
}

const throwFailure = (): void => {
  if (failure !== undefined && !isReaderGone()) throw new Error(`cannot write standard output: ${fileReason(failure)}`, { cause: failure })
}

export const printJson = (value: unknown): Promise<void> => print(`${JSON.stringify(value, null, 2)}\n`)

/** For people: standard output may be on its way into a file. */
export const tell = (text: string): void => void process.stderr.write(text)

/** A reader that goes away ends neither the work nor its exit code. */
export const outliveReader = (): void => {
  process.stdout.on('error', (error) => (failure = error))
  // Nobody is left to tell.
  process.stderr.on('error', () => undefined)
}

/**
 * Resolves when everything that was printed has left the process, rejects where it could not; what went to the descriptor directly (the log)
 * is not waited for.
 */
export const flushed = async (): Promise<void> => {
  if (failure === undefined && process.stdout.writableLength > 0)
    await new Promise<void>((resolve) => process.stdout.write('', () => resolve()))
  // A write that failed tells of it a turn later.
  await new Promise(setImmediate)
  throwFailure()
}

/** Rows in columns, each as wide as its widest cell. */
export const table = (rows: readonly (readonly string[])[]): string => {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows
    .map(
      (row) =>
        `${row
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('')
}

/** 1,000,000 */
export const grouped = (count: number): string => count.toLocaleString('en-US')

/** One word for a POSIX shell, whatever the path holds. */
export const shellQuoted = (text: string): string => (/^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`)
