import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { checks, crossChecks } from './config/checks.ts'
import { readEnvironment, type Environment } from './config/environment.ts'
import { ConfigError, type ConfigMistake, type Report } from './config/errors.ts'
import { fields, routesName, type Config, type Field, type KeyName, type Origin } from './config/keys.ts'
import { readToml, type Setting, type Settings } from './config/toml-file.ts'
import { pathName } from './config/toml-lines.ts'

export { describeConfig } from './config/describe.ts'
export { ConfigError, formatConfigErrors } from './config/errors.ts'
export type { Config } from './config/keys.ts'

export interface LoadOptions {
  /** `process.env`, or another in tests. */
  readonly env: Environment
  /** What relative paths are relative to. */
  readonly cwd: string
  /** `--config`; else FILMGATE_CONFIG; else filmgate.toml in `cwd`, if there is one. */
  readonly configPath?: string | undefined
  /** Whether a person watches the log: makes "pretty" the default of log.format. */
  readonly isTTY?: boolean | undefined
  /** What is wrong with limits in policy notation, as the end of a sentence, or undefined. The layers know; this file may not ask them. */
  readonly checkLimits: (text: string) => string | undefined
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
  checkAllLimits(settings, file?.routes ?? new Map(), options.checkLimits, report)
  const config = assemble(settings, file?.routes ?? new Map(), options)
  // Half of an unreadable file's values would be guesses here, and the mistakes found among them false ones.
  if (file !== undefined) checkCombinations(config, untyped, report)
  if (mistakes.length > 0) throw new ConfigError(mistakes)
  return deepFreeze(config)
}

type Routes = Settings['routes']

/** Empty settings when there is no file and none was named; undefined when there is one that cannot be used, which is reported. */
function readConfigFile({ env, cwd, configPath }: LoadOptions, report: Report): Settings | undefined {
  const named = configPath ?? env['FILMGATE_CONFIG']
  const label = named ?? 'filmgate.toml'
  let text: string
  try {
    text = readText(cwd, label)
  } catch (error) {
    const { code, message } = error as Unreadable
    if (named === undefined && code === 'ENOENT') return { values: new Map(), routes: new Map() }
    const byVariable = configPath === undefined && named !== undefined
    report({ key: '', message: `cannot read ${JSON.stringify(label)}: ${message}`, source: byVariable ? 'FILMGATE_CONFIG' : label })
    return undefined
  }
  return readToml(text, label, report)
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

const limitKeys: readonly KeyName[] = ['limits.default', 'limits.authenticated', 'limits.total']

function checkAllLimits(settings: ReadonlyMap<string, Setting>, routes: Routes, check: LoadOptions['checkLimits'], report: Report): void {
  const verify = (key: string, text: string, source: Origin): void => {
    const message = check(text)
    if (message !== undefined) report({ key, message, source })
  }
  for (const key of limitKeys) {
    const setting = settings.get(key)
    if (setting) verify(key, setting.value as string, setting.origin)
  }
  for (const [route, { limits, origin }] of routes) {
    if (limits !== 'exempt') verify(routeKey(route), 'only' in limits ? limits.only : limits.add, origin)
  }
}

const routeKey = (route: string): string => `${routesName}.${pathName([route])}`

/** `untyped` names the keys whose intended value is unknown. */
function checkCombinations(config: Config, untyped: ReadonlySet<string>, report: Report): void {
  for (const { keys, check } of crossChecks) {
    if (keys.some((key) => untyped.has(key))) continue
    const message = check(config)
    const key = keys.find((name) => config.origins.get(name) !== 'default') ?? keys[0]
    if (message !== undefined) report({ key, message, source: config.origins.get(key) ?? 'default' })
  }
}

function assemble(settings: ReadonlyMap<string, Setting>, routes: Routes, options: LoadOptions): Config {
  const sections: Record<string, Record<string, unknown>> = {}
  const origins = new Map<string, Origin>()
  for (const field of fields) {
    const setting = settings.get(field.name) ?? { value: defaultOf(field, options), origin: 'default' }
    sections[field.section] = { ...sections[field.section], [field.property]: normal(field.name, setting.value, options.cwd) }
    origins.set(field.name, setting.origin)
  }
  for (const [route, { origin }] of routes) origins.set(routeKey(route), origin)
  const byRoute = Object.fromEntries([...routes].map(([route, { limits }]) => [route, limits]))
  return { ...sections, limits: { ...sections['limits'], routes: byRoute }, origins } as unknown as Config
}

const defaultOf = ({ name, schema }: Field, { isTTY }: LoadOptions): unknown =>
  name === 'log.format' && isTTY === true ? 'pretty' : structuredClone((schema as { default?: unknown }).default)

/** One spelling for what can be spelled in several ways, so that nobody after this compares the wrong one. */
function normal(name: KeyName, value: unknown, cwd: string): unknown {
  if (name === 'data.dir') return resolve(cwd, value as string)
  if (name === 'server.hosts') return (value as readonly string[]).map((host) => host.toLowerCase())
  if (name === 'server.public_url' && URL.canParse(value as string)) return new URL(value as string).origin
  return value
}

function deepFreeze<T extends object>(value: T): T {
  for (const inner of Object.values(value)) if (typeof inner === 'object' && inner !== null) deepFreeze(inner as object)
  return Object.freeze(value)
}
