#!/usr/bin/env node
import { parseArgs } from 'node:util'

import { runConfig } from './cli/config.ts'
import { runServe } from './cli/serve.ts'
import { ConfigError, loadConfig } from './config.ts'
import { checkLimits } from './serve.ts'

const usage = `filmgate COMMAND [--config FILE]

  serve            runs the server until SIGTERM or SIGINT
  config [--json]  prints the effective configuration and where each value came from

  --config FILE    the configuration; default FILMGATE_CONFIG, else ./filmgate.toml if there is one
  --help           this text

Example: FILMGATE_SERVER_PORT=8080 filmgate serve
`

class UsageError extends Error {}

const readArguments = () => {
  try {
    return parseArgs({
      allowPositionals: true,
      options: { config: { type: 'string' }, json: { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h', default: false } },
    })
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

const run = async (): Promise<void> => {
  const { values, positionals } = readArguments()
  const [command, ...rest] = positionals
  if (values.help) {
    process.stdout.write(usage)
    return
  }
  if (rest.length > 0 || (command !== 'serve' && command !== 'config')) throw new UsageError(command === undefined ? 'say what to do' : `unknown command ${positionals.join(' ')}`)
  const config = loadConfig({ env: process.env, cwd: process.cwd(), configPath: values.config, isTTY: process.stdout.isTTY, checkLimits })
  if (command === 'config') runConfig(config, values.json)
  else await runServe(config)
}

/** 0 ok, 2 bad configuration or usage, 1 anything else. */
try {
  await run()
  process.exit(0)
} catch (error) {
  if (error instanceof ConfigError) process.stderr.write(`${error.message}\n`)
  else if (error instanceof UsageError) process.stderr.write(`${error.message}\n\n${usage}`)
  else process.stderr.write(`filmgate: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exit(error instanceof ConfigError || error instanceof UsageError ? 2 : 1)
}
