import assert from 'node:assert/strict'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { type CommandOptions, runCommand, temporaryFolder } from './command.ts'
import { assertConsistent, storedInFolder } from './stored.ts'

export interface ImportReport {
  readonly dryRun: boolean
  readonly checked: number
  readonly mistakes: readonly { readonly line: number; readonly pointer: string; readonly detail: string }[]
  readonly ignored: readonly string[]
  readonly imported: number
  readonly stopped: string | null
  readonly nextLine: number | null
}

export interface Imported {
  readonly code: number | null
  readonly stderr: string
  readonly report: ImportReport | undefined
  readonly names: readonly unknown[]
}

/** Imports what is given as a file, or as standard input, into an empty catalogue, and looks what is there then. */
export const importBytes = async (
  bytes: string | Uint8Array,
  { args = [], stdin = false }: { args?: readonly string[]; stdin?: boolean } = {},
): Promise<Imported> => {
  using folder = temporaryFolder()
  const dataDir = join(folder.path, 'data')
  const options: CommandOptions & { cwd: string } = { dataDir, cwd: folder.path, ...(stdin ? { input: bytes } : {}) }
  if (!stdin) writeFileSync(join(folder.path, 'films.ndjson'), bytes)
  const { code, stdout, stderr } = await runCommand(['films', 'import', stdin ? '-' : 'films.ndjson', '--json', ...args], options)
  assert.doesNotMatch(stderr, /\n\s+at |node:|\.ts:/, 'no stack')
  if (existsSync(dataDir))
    assert.deepEqual(
      readdirSync(dataDir).filter((name) => name.startsWith('.import')),
      [],
      'no spool file is left',
    )
  const stored = storedInFolder(dataDir)
  const isThere = existsSync(join(dataDir, 'filmgate.db'))
  if (isThere) await assertConsistent(stored)
  const names = isThere ? (await stored.query('select name from film order by id')).map(({ name }) => name) : []
  return { code, stderr, report: stdout === '' ? undefined : (JSON.parse(stdout) as ImportReport), names }
}

/** Each with its end. */
export const lines = (...texts: readonly string[]): string => texts.map((text) => `${text}\n`).join('')
