import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { assemble, deepFreeze } from './config/assemble.ts'
import { checks, combinationMistakes } from './config/checks.ts'
import { readEnvironment, type Environment } from './config/environment.ts'
import { ConfigError, type ConfigMistake, type Report } from './config/errors.ts'
import { fields, type Config, type Field, type KeyName } from './config/keys.ts'
import type { CheckLimits } from './config/tables.ts'
import { createSettings, readToml, type Setting, type Settings } from './config/toml-file.ts'

export { describeConfig } from './config/describe.ts'
export { durationOf, parseDuration } from './config/duration.ts'
export { ConfigError, formatConfigErrors, nearest } from './config/errors.ts'
export type { Config } from './config/keys.ts'
export { isLoopback } from './config/networks.ts'
export { isRedisExposed } from './config/redis-url.ts'
export { reloadable } from './config/reload.ts'
export { entryName } from './config/tables.ts'

export interface LoadOptions {
  /** `process.env`, or another in tests. */
  readonly env: Environment
  /** What relative paths are relative to. */
  readonly cwd: string
  /** `--config`; else FILMGATE_CONFIG; else filmgate.toml in `cwd`, if there is one. */
  readonly configPath?: string | undefined
  /** Whether a person watches the log: makes "pretty" the default of log.format. */
  readonly isTTY?: boolean | undefined
  /** The layers know; this file may not ask them. */
  readonly checkLimits: CheckLimits
}

/**
 * The effective configuration: defaults, then filmgate.toml, then the environment, the later winning.
 * Throws a `ConfigError` with everything that is wrong, never anything else. Reads the file and the files of secrets, and nothing more.
 */
export function loadConfig(options: LoadOptions): Config {
  const mistakes: ConfigMistake[] = []
  const report: Report = (mistake) => void mistakes.push(mistake)
  const file = readConfigFile(options, report)
  const environment = readEnvironment(options.env, (path) => readText(options.cwd, path), report)
  const settings = new Map([...(file?.values ?? []), ...environment])
  const untyped = new Set(mistakes.map(({ key }) => key))
  checkValues(settings, report)
  checkLimitKeys(settings, options.checkLimits, report)
  const config = assemble({ ...(file ?? createSettings()), values: settings }, options)
  // Half of an unreadable file's values would be guesses here, and the mistakes found among them false ones.
  if (file !== undefined) mistakes.push(...combinationMistakes(config, untyped))
  if (mistakes.length > 0) throw new ConfigError(mistakes)
  return deepFreeze(config)
}

/** Empty settings when there is no file and none was named; undefined when there is one that cannot be used, which is reported. */
function readConfigFile({ env, cwd, configPath, checkLimits }: LoadOptions, report: Report): Settings | undefined {
  const named = configPath ?? env['FILMGATE_CONFIG']
  const label = named ?? 'filmgate.toml'
  let text: string
  try {
    text = readText(cwd, label)
  } catch (error) {
    const { code, message } = error as Unreadable
    if (named === undefined && code === 'ENOENT') return createSettings()
    const byVariable = configPath === undefined && named !== undefined
    report({ key: '', message: `cannot read ${JSON.stringify(label)}: ${message}`, source: byVariable ? 'FILMGATE_CONFIG' : label })
    return undefined
  }
  return readToml(text, label, checkLimits, report)
}

const reasons: ReadonlyMap<string, string> = new Map([
  ['ENOENT', 'no such file'],
  ['EACCES', 'permission denied'],
  ['EISDIR', 'it is a folder'],
  ['ERR_ENCODING_INVALID_ENCODED_DATA', 'it is not UTF-8'],
])

class Unreadable extends Error {
  readonly code: string

  // Without the path: who puts the secret itself into FILMGATE_SECRETS_KEY_FILE would see it in the log.
  constructor(cause: unknown) {
    const { code = 'unknown error' } = cause as { code?: string }
    super(reasons.get(code) ?? code)
    this.code = code
  }
}

/** The text of a file in strict UTF-8, without its last line end. */
function readText(cwd: string, path: string): string {
  try {
    const bytes = readFileSync(resolve(cwd, path))
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes).replace(/\r?\n$/, '')
  } catch (error) {
    throw new Unreadable(error)
  }
}

function checkValues(settings: ReadonlyMap<string, Setting>, report: Report): void {
  for (const field of fields) {
    const setting = settings.get(field.name)
    const message = setting && checkOf(field)?.(setting.value)
    if (message !== undefined) report({ key: field.name, message, source: setting?.origin ?? 'default' })
  }
}

function checkOf({ section, member }: Field): ((value: unknown) => string | undefined) | undefined {
  const bySection: Readonly<Record<string, object | undefined>> = checks
  return (bySection[section] as Readonly<Record<string, (value: unknown) => string | undefined>> | undefined)?.[member]
}

const limitKeys: readonly KeyName[] = [
  'limits.default',
  'limits.authenticated',
  'limits.total',
  'auth.login_failures',
  'auth.account_failures',
]

function checkLimitKeys(settings: ReadonlyMap<string, Setting>, check: CheckLimits, report: Report): void {
  for (const key of limitKeys) {
    const setting = settings.get(key)
    const message = setting && check(setting.value as string)
    if (message !== undefined) report({ key, message, source: setting?.origin ?? 'default' })
  }
}
