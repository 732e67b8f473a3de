import { type Command, commonOptions, type Option } from './command.ts'

/** The list of all commands. */
export const overview = (commands: readonly Command[]): string => {
  const width = Math.max(...commands.map((command) => usageOf(command).length))
  const list = commands.map((command) => `  ${usageOf(command).padEnd(width)}  ${command.summary}\n`).join('')
  return `filmgate COMMAND [OPTION...]

${list}
  --config FILE  ${commonOptions.config.text}
  --help         this text, or that of a command: filmgate COMMAND --help
  --version      prints the version

Exit codes: 0 ok, 2 bad configuration or usage, 1 anything else.
Example: FILMGATE_SERVER_PORT=8080 filmgate serve
`
}

/** Everything about one command. */
export const commandHelp = (command: Command): string => {
  const options = Object.entries(optionsOf(command))
  const width = Math.max(...options.map(([name, option]) => optionText(name, option).length))
  const list = options.map(([name, option]) => `  ${optionText(name, option).padEnd(width)}  ${option.text}\n`).join('')
  const details = command.details === undefined ? '' : `\n${command.details}\n`
  return `filmgate ${usageOf(command)} [OPTION...]\n\n${command.summary}.\n${details}\n${list}\nExample: ${command.example}\n`
}

export const optionsOf = ({ options, withoutJson }: Command): Readonly<Record<string, Option>> => {
  const { json, ...others } = commonOptions
  return { ...options, ...(withoutJson ? {} : { json }), ...others }
}

export const usageOf = ({ name, operands = [] }: Command): string => [name, ...operands].join(' ')

const optionText = (name: string, { value }: Option): string => `--${name}${value === undefined ? '' : ` ${value}`}`
