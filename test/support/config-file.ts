import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'

import { type Config, ConfigError, formatConfigErrors, loadConfig, type LoadOptions } from '../../src/config.ts'

type Env = Readonly<Record<string, string>>

/** Reads TOML as the program does, from the filmgate.toml of a folder that goes when the tests of the file are done. */
export const openConfigFolder = (checkLimits: LoadOptions['checkLimits'] = () => undefined) => {
  const folder = mkdtempSync(join(tmpdir(), 'filmgate-config-'))
  after(() => rmSync(folder, { recursive: true }))
  const load = (toml: string, env: Env = {}): Config => {
    writeFileSync(join(folder, 'filmgate.toml'), toml)
    return loadConfig({ env, cwd: folder, checkLimits })
  }
  return { load, mistakes: (toml: string, env: Env = {}) => mistakesOf(() => load(toml, env), 'filmgate.toml') }
}

/** What is wrong, as `source: key message`, the name of the file as F; nothing where it is read. */
export const mistakesOf = (read: () => Config, file: string | RegExp): readonly string[] => {
  try {
    read()
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error))
    assert.equal(error.message, formatConfigErrors(error.errors))
    return error.errors.map(({ source, key, message }) => `${source.replace(file, 'F')}: ${key} ${message}`)
  }
  return []
}

export const assertMistakes = (found: readonly string[], expected: readonly RegExp[]): void => {
  assert.equal(found.length, expected.length, found.join('\n'))
  for (const [index, pattern] of expected.entries()) assert.match(found[index] ?? '', pattern)
}
