import { parseArgs } from 'node:util'

import { nearest } from '../config/errors.ts'
import { type Command, commonOptions, type Option, UsageError } from './command.ts'
import { optionsOf, usageOf } from './help.ts'

export interface Arguments {
  /** Undefined where only the program as a whole is asked about, or (with one operand, such as `user`) the commands of a group. */
  readonly command: Command | undefined
  readonly operands: readonly string[]
  readonly options: Readonly<Record<string, string | true | undefined>>
}

const programOptions: Readonly<Record<string, Option>> = { version: { text: '' } }

/** Finds the command and its options, in whatever order they stand. Throws a UsageError with the nearest name for what is not known. */
export const readArguments = (args: readonly string[], commands: readonly Command[]): Arguments => {
  const all: Readonly<Record<string, Option>> = Object.assign({}, programOptions, ...commands.map(optionsOf))
  const { tokens, positionals } = parseArgs({
    args: [...args],
    strict: false,
    allowPositionals: true,
    tokens: true,
    options: Object.fromEntries([
      ...Object.entries(all).map(([name, { value }]) => [name, { type: value === undefined ? 'boolean' : 'string' }] as const),
      ['help', { type: 'boolean', short: 'h' }] as const,
    ]),
  })
  const given = tokens.filter((token) => token.kind === 'option')
  const asksAbout = given.some(({ name }) => name === 'help' || name === 'version')
  const isGroup = positionals.length === 1 && commandsOf(positionals[0], commands).length > 0
  const command = asksAbout && (positionals.length === 0 || isGroup) ? undefined : findCommand(positionals, commands)
  const known: Readonly<Record<string, Option>> = command === undefined ? { ...programOptions, ...commonOptions } : optionsOf(command)
  const options: Record<string, string | true> = {}
  for (const { name, rawName, value } of given) {
    const option = Object.hasOwn(known, name) ? known[name] : undefined
    if (option === undefined) throw new UsageError(unknownOption(rawName, command, Object.keys(known)))
    if (Object.hasOwn(options, name)) throw new UsageError(`${rawName} is given twice.`)
    options[name] = optionValue(rawName, option, value)
  }
  const operands = command === undefined ? positionals : positionals.slice(command.name.split(' ').length)
  if (command !== undefined && options['help'] === undefined) checkOperands(command, operands)
  return { command, operands, options }
}

const optionValue = (rawName: string, { value: wanted }: Option, value: string | undefined): string | true => {
  if (wanted === undefined && value !== undefined) throw new UsageError(`${rawName} takes no value.`)
  // What begins with a dash is the next option: its value was forgotten.
  if (wanted !== undefined && (value === undefined || value === '' || /^-./.test(value)))
    throw new UsageError(`${rawName} needs a value: ${rawName} ${wanted}`)
  return value ?? true
}

const findCommand = (positionals: readonly string[], commands: readonly Command[]): Command => {
  const [first, second] = positionals
  if (first === undefined) throw new UsageError('Say what to do.')
  const found = commands.find(({ name }) => name === first || name === `${first} ${second ?? ''}`)
  if (found !== undefined) return found
  const kin = commandsOf(first, commands).map(({ name }) => name)
  const asked = JSON.stringify(kin.length > 0 && second !== undefined ? `${first} ${second}` : first)
  const names = kin.length > 0 ? kin : commands.map(({ name }) => name)
  throw new UsageError(
    `Unknown command: ${asked}. ${second === undefined && kin.length > 0 ? `There are ${new Intl.ListFormat('en').format(kin)}.` : `The nearest is ${nearest(positionals.slice(0, 2).join(' '), names)}.`}`,
  )
}

/** Those that begin with a word, such as `user`. */
export const commandsOf = (group: string | undefined, commands: readonly Command[]): readonly Command[] =>
  commands.filter(({ name }) => name.startsWith(`${group} `))

const unknownOption = (rawName: string, command: Command | undefined, known: readonly string[]): string => {
  const name = nearest(rawName.replace(/^-+/, ''), known)
  return `${command === undefined ? 'There is' : `${command.name} has`} no option ${JSON.stringify(rawName)}. The nearest is --${name}.`
}

const checkOperands = (command: Command, given: readonly string[]): void => {
  const { operands = [] } = command
  const least = operands.filter((operand) => !operand.startsWith('[')).length
  if (given.length >= least && given.length <= operands.length) return
  const extra = given[operands.length]
  throw new UsageError(
    extra === undefined
      ? `${command.name} needs ${operands.join(' ')}: filmgate ${usageOf(command)}`
      : `${command.name} does not take ${JSON.stringify(extra)}: filmgate ${usageOf(command)}`,
  )
}
