import { isatty } from 'node:tty'

import type { Config } from '../config.ts'
import type { Clock } from '../core/clock.ts'
import { createLog, type Log, openLogSink, type OpenLogSink } from '../layers/index.ts'

/** What an operator should know at the start: in the log, on the terminal, and in /readyz. */
export const createWarnings = (log: Log, print: (text: string) => void) => {
  const warnings: string[] = []
  const warn = (warning: string): void => {
    warnings.push(warning)
    log.note('warn', warning)
    print(`WARNING: ${warning}\n`)
  }
  return { warnings, warn }
}

export const openLog = ({ log: { level, format } }: Config, clock: Clock): { readonly sink: OpenLogSink; readonly log: Log } => {
  const sink = openLogSink(1)
  // Asked of the descriptor: `process.stdout` would switch a pipe, which other processes share, to writes that do not wait.
  return { sink, log: createLog({ sink, clock, level, format, terminal: isatty(1) ? process.stdout : undefined }) }
}

export const logWarnings = (sink: OpenLogSink): readonly string[] =>
  sink.isFailing ? ['The log cannot be written: its reader is gone or too slow, or its disk is full, and lines wait or are lost'] : []
