import { readFileSync } from 'node:fs'

import { type Config, ConfigError, loadConfig } from '../config.ts'
import { DatabaseError } from '../db/open.ts'
import { checkLimits } from '../serve.ts'
import { keyAdd, keyList, keyRevoke } from './api-keys.ts'
import { commandsOf, readArguments } from './arguments.ts'
import { auditList } from './audit-list.ts'
import { auditVerify } from './audit-verify.ts'
import { ban } from './ban.ts'
import { type Command, UsageError } from './command.ts'
import { config } from './config.ts'
import { decisions } from './decisions.ts'
import { doctor } from './doctor.ts'
import { explain } from './explain.ts'
import { filmsExport } from './films-export.ts'
import { filmsImport } from './films-import.ts'
import { commandHelp, overview } from './help.ts'
import { keyHoney } from './honey-key.ts'
import { keyRotate } from './key-rotate.ts'
import { limits } from './limits.ts'
import { migrate } from './migrate.ts'
import { openapi } from './openapi.ts'
import { flushed, outliveReader, print, tell } from './output.ts'
import { routes } from './routes.ts'
import { serve } from './serve.ts'
import { unban } from './unban.ts'
import { userAdd, userDisable, userEnable, userList, userPassword, userRemove, userRole } from './users.ts'

/** Everything that the program can do, in the order of the help. */
export const commands: readonly Command[] = [
  serve,
  doctor,
  config,
  routes,
  limits,
  decisions,
  ban,
  unban,
  explain,
  openapi,
  userAdd,
  userList,
  userRole,
  userDisable,
  userEnable,
  userPassword,
  userRemove,
  keyAdd,
  keyHoney,
  keyList,
  keyRevoke,
  auditList,
  auditVerify,
  migrate,
  keyRotate,
  filmsImport,
  filmsExport,
]

export interface Invocation {
  /** What stands behind the program's name. */
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  /** Throws where the folder is gone. */
  readonly cwd: () => string
}

/** One command; resolves with the exit code: 0 ok, 2 bad configuration or usage, 1 anything else. */
export const run = async (invocation: Invocation): Promise<number> => {
  outliveReader()
  let loaded: Config | undefined
  try {
    const code = await runCommand(invocation, (effective) => (loaded = effective))
    await flushed()
    return code
  } catch (error) {
    const { code, text } = failure(error, loaded)
    tell(text)
    return code
  }
}

const runCommand = async ({ args, env, cwd }: Invocation, onLoaded: (effective: Config) => void): Promise<number> => {
  if (args.length === 0) {
    tell(overview(commands))
    return 2
  }
  const { command, operands, options } = readArguments(args, commands)
  if (command === undefined || options['help'] === true) {
    const [group] = operands
    const asked = group === undefined ? commands : commandsOf(group, commands)
    await print(command !== undefined ? commandHelp(command) : options['version'] === true ? `${version()}\n` : overview(asked))
    return 0
  }
  const configPath = options['config'] === true ? undefined : options['config']
  return command.run({
    operands,
    options,
    json: options['json'] === true,
    loadConfig: () => {
      const effective = loadConfig({ env, cwd: cwd(), configPath, isTTY: process.stdout.isTTY, checkLimits })
      onLoaded(effective)
      return effective
    },
  })
}

/** The same from src/ and from dist/. */
const version = (): string =>
  (JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }).version

/** What people are told of an error: never a stack, which would help only those who wrote the program. */
const failure = (error: unknown, loaded: Config | undefined): { readonly code: number; readonly text: string } => {
  if (error instanceof UsageError) return { code: 2, text: `filmgate: ${error.message}\nfilmgate --help lists all commands.\n` }
  if (error instanceof ConfigError) return { code: 2, text: `${error.message}\n` }
  if (error instanceof DatabaseError) {
    const source = loaded?.origins.get(error.key) ?? 'default'
    return { code: 2, text: `${new ConfigError([{ key: error.key, message: error.message, source }]).message}\n` }
  }
  return { code: 1, text: `filmgate: ${error instanceof Error ? error.message : String(error)}\n` }
}
