/**
 * Makes data/starter-films.ndjson from the films of the npm package vega-datasets and prints what it repaired.
 * `--check` writes nothing and exits 1 unless the file is byte for byte what would be written.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'

import { buildCatalogue, toNdjson } from './starter-catalogue/catalogue.ts'
import type { RawRecord } from './starter-catalogue/clean.ts'
import { formatReport } from './starter-catalogue/report.ts'

export const catalogueUrl = new URL('../data/starter-films.ndjson', import.meta.url)

/** The package exports only its entry module, in build/; its data lie beside that folder. */
const dataUrl = new URL('../data/movies.json', import.meta.resolve('vega-datasets'))

export async function readRecords(): Promise<RawRecord[]> {
  const records: unknown = JSON.parse(await readFile(dataUrl, 'utf8'))
  if (!Array.isArray(records) || !records.every((record) => typeof record === 'object' && record !== null)) {
    throw new TypeError(`${dataUrl.pathname} is not a list of records`)
  }
  return records as RawRecord[]
}

/** Returns the exit code. */
export async function run(options: { check: boolean; file: URL; print: (text: string) => void }): Promise<number> {
  const records = await readRecords()
  const catalogue = buildCatalogue(records)
  const fresh = Buffer.from(toNdjson(catalogue))
  options.print(formatReport(catalogue, records.length))
  if (!options.check) {
    await writeFile(options.file, fresh)
    return 0
  }
  const isSame = fresh.equals(await readFile(options.file))
  options.print(isSame ? '\nThe file is up to date.\n' : '\nThe file differs from what npm run starter-catalogue writes.\n')
  return isSame ? 0 : 1
}

if (import.meta.main) {
  try {
    const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } })
    process.exitCode = await run({ check: values.check, file: catalogueUrl, print: (text) => void process.stdout.write(text) })
  } catch (error) {
    process.stderr.write(`${String(error)}\n`)
    process.exitCode = 1
  }
}
