import type { Config } from '../config.ts'

export interface Option {
  /** What the value is called in the help (`FILE`); an option without is a switch. */
  readonly value?: string
  readonly text: string
}

/** One command of the program: what the help says of it, and what it does. */
export interface Command {
  /** `films import` is a name of two words. */
  readonly name: string
  /** What stands behind the name, such as `FILE|-`; all of them must be given, but for one in brackets. */
  readonly operands?: readonly string[]
  /** One line, for the list of all commands. */
  readonly summary: string
  /** What else one should know; lines of at most 100 characters. */
  readonly details?: string
  /** Besides those that every command has. */
  readonly options?: Readonly<Record<string, Option>>
  readonly example: string
  /** Nothing it prints is for a program to read, so it has no `--json`. */
  readonly withoutJson?: true
  /** Resolves with the exit code. Throws a UsageError, a ConfigError or a DatabaseError for exit code 2, anything else for 1. */
  run(call: Call): Promise<number>
}

/** One call of a command. */
export interface Call {
  readonly operands: readonly string[]
  readonly options: Readonly<Record<string, string | true | undefined>>
  /** Whether the answer is for a program. */
  readonly json: boolean
  /** The effective configuration; throws a ConfigError. */
  readonly loadConfig: () => Config
}

/** The program was called in a way that it does not know; the message says what to write instead. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** What every command has. */
export const commonOptions = {
  config: { value: 'FILE', text: 'the configuration; default FILMGATE_CONFIG, else ./filmgate.toml if there is one' },
  json: { text: 'prints JSON for programs' },
  help: { text: 'prints this text' },
} as const satisfies Readonly<Record<string, Option>>
