import { parseArgs } from 'node:util'

import { type Config, ConfigError, loadConfig } from '../config.ts'
import { checkLimits } from '../serve.ts'
import { runConfig } from './config.ts'
import { runServe } from './serve.ts'

const usage = `filmgate COMMAND [--config FILE]

  serve            runs the server until SIGTERM or SIGINT
  config [--json]  prints the effective configuration and where each value came from

  --config FILE    the configuration; default FILMGATE_CONFIG, else ./filmgate.toml if there is one
  --help           this text

Example: FILMGATE_SERVER_PORT=8080 filmgate serve
`

export interface Invocation {
  /** What stands behind the program's name. */
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
}

class UsageError extends Error {
  override readonly name = 'UsageError'
}

const commands: Readonly<Record<string, (config: Config, json: boolean) => Promise<void> | void>> = { serve: runServe, config: runConfig }

/** One command; resolves with the exit code: 0 ok, 2 bad configuration or usage, 1 anything else. */
export const run = async (invocation: Invocation): Promise<number> => {
  try {
    await runCommand(invocation)
    return 0
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    const wrongUse = error instanceof UsageError
    process.stderr.write(wrongUse ? `${message}\n\n${usage}` : error instanceof ConfigError ? `${message}\n` : `filmgate: ${message}\n`)
    return wrongUse || error instanceof ConfigError ? 2 : 1
  }
}

const runCommand = async ({ args, env, cwd }: Invocation): Promise<void> => {
  const { values, positionals } = readArguments(args)
  if (values.help) {
    process.stdout.write(usage)
    return
  }
  const command = Object.hasOwn(commands, positionals[0] ?? '') ? commands[positionals[0] ?? ''] : undefined
  if (command === undefined || positionals.length > 1)
    throw new UsageError(positionals.length === 0 ? 'Say what to do.' : `Unknown command: ${positionals.join(' ')}`)
  const config = loadConfig({ env, cwd, configPath: values.config, isTTY: process.stdout.isTTY, checkLimits })
  await command(config, values.json)
}

const readArguments = (args: readonly string[]) => {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        config: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}
