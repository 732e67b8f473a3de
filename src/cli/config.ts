import { describeConfig } from '../config.ts'
import type { Command } from './command.ts'
import { print, printJson, table } from './output.ts'

export const config: Command = {
  name: 'config',
  summary: 'Prints the effective configuration and where each value came from',
  details: 'Secrets and passwords are shown as ***.',
  example: 'filmgate config --config filmgate.toml',
  run: async ({ json, loadConfig }) => {
    const values = describeConfig(loadConfig())
    await (json ? printJson(values) : print(table(values.map(({ key, value, origin }) => [key, value, `(${origin})`]))))
    return 0
  },
}
