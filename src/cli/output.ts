import { once } from 'node:events'

/** Data, for whatever reads standard output; waits while the reader is slow. */
export const print = async (text: string): Promise<void> => {
  if (!process.stdout.write(text)) await once(process.stdout, 'drain')
}

export const printJson = (value: unknown): Promise<void> => print(`${JSON.stringify(value, null, 2)}\n`)

/** For people: standard output may be on its way into a file. */
export const tell = (text: string): void => void process.stderr.write(text)

/** A reader that has seen enough (`| head`) is no failure: the program ends with 0 and says nothing. */
export const endWithReader = (): void => {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))
  // Nobody is left to tell.
  process.stderr.on('error', () => undefined)
}

/** Resolves when everything that was printed has left the process; what went to its descriptor directly (the log) is not waited for. */
export const flushed = (): Promise<void> =>
  new Promise((resolve) => (process.stdout.writableLength === 0 ? resolve() : void process.stdout.write('', () => resolve())))

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
