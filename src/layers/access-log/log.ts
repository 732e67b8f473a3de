import type { SecurityEvent, SecurityEventName } from '../../core/events.ts'
import type { Clock } from '../../core/clock.ts'
import { quote } from './escape.ts'
import { createPaint, unpainted } from './paint.ts'
import { type AccessRecord, createJsonFormat, createPrettyFormat, levelOf, type LogLevel } from './record.ts'
import type { LogSink } from './sink.ts'

export interface Log {
  readonly access: (record: AccessRecord) => void
  readonly event: (event: SecurityEvent) => void
  /** What only an operator needs to know; members hold no secrets. */
  readonly note: (level: LogLevel, message: string, members?: Readonly<Record<string, string | number>>) => void
  /** From the next line on. */
  readonly configure: (look: LogLook) => void
}

export interface LogLook {
  readonly level: LogLevel | 'trace'
  readonly format: 'json' | 'pretty'
}

export interface LogOptions extends LogLook {
  readonly sink: LogSink
  readonly clock: Clock
  /** What the sink writes to, where that is a terminal: pretty lines then have colours. */
  readonly terminal?: NodeJS.WritableStream | undefined
}

const ranks = { trace: 0, debug: 1, info: 2, warn: 3, error: 4, fatal: 5 } as const

/** How loud each event is; docs/log.md has the same table. */
export const eventLevels: Readonly<Record<SecurityEventName, LogLevel>> = {
  sys_startup: 'info',
  sys_shutdown: 'info',
  sys_crash: 'fatal',
  sys_config_reload: 'info',
  sys_store_failure: 'error',
  sys_store_recovered: 'info',
  authn_login_fail: 'warn',
  authn_login_fail_max: 'warn',
  authn_login_lock: 'warn',
  authn_login_success: 'info',
  authn_token_created: 'info',
  authn_token_revoked: 'info',
  authn_token_reuse: 'warn',
  authn_password_change: 'info',
  session_created: 'info',
  session_expired: 'info',
  user_created: 'info',
  user_updated: 'info',
  privilege_permissions_changed: 'warn',
  authz_change: 'info',
  authz_fail: 'warn',
  authz_admin: 'info',
  excess_rate_limit_exceeded: 'warn',
  sensitive_read: 'info',
  input_validation_fail: 'warn',
  malicious_extraneous: 'warn',
  abnormal_performance: 'warn',
  malicious_cors: 'warn',
  malicious_excess_404: 'warn',
  malicious_attack_tool: 'warn',
  malicious_direct_reference: 'warn',
  decision_created: 'warn',
  decision_lifted: 'info',
  decision_enforced: 'warn',
}

export const createLog = ({ sink, clock, terminal, ...look }: LogOptions): Log => {
  const paint = terminal === undefined ? unpainted : createPaint(terminal)
  const levelColours = { debug: paint.gray, info: paint.green, warn: paint.yellow, error: paint.red, fatal: paint.red }
  const formats = { json: createJsonFormat(), pretty: createPrettyFormat(paint) }
  let least: number
  let format: LogLook['format']
  let formatRecord: (typeof formats)['json']
  const configure = (next: LogLook): void => {
    least = ranks[next.level]
    format = next.format
    formatRecord = formats[format]
  }
  configure(look)

  const line = (lineLevel: LogLevel, message: string, members: object): void => {
    if (ranks[lineLevel] < least) return
    const time = new Date(clock.epochMs()).toISOString()
    const isJson = format === 'json'
    let text = ''
    for (const member of Object.keys(members)) {
      const value = (members as Readonly<Record<string, unknown>>)[member]
      if (value === undefined) continue
      const name = member === 'requestId' ? 'request_id' : member
      text += isJson ? `,"${name}":${quoted(value)}` : ` ${name}=${quoted(value)}`
    }
    sink.write(
      isJson
        ? `{"time":"${time}","level":"${lineLevel}","msg":${quote(message, 500)}${text}}\n`
        : `${paint.gray(time.slice(11, 23))} ${levelColours[lineLevel](lineLevel)} ${quote(message, 500).slice(1, -1)}${text}\n`,
    )
  }

  return {
    access: (record) => {
      if (ranks[levelOf(record)] >= least) sink.write(formatRecord(record))
    },
    event: (event) => line(levelOfEvent(event), 'event', event),
    note: (noteLevel, message, members = {}) => line(noteLevel, message, members),
    configure,
  }
}

/** A reload that failed is as good as none: somebody should hear of it. */
const levelOfEvent = (event: SecurityEvent): LogLevel =>
  event.event === 'sys_config_reload' && !event.ok ? 'warn' : eventLevels[event.event]

/** A list is as long as a client makes it. */
const maxListed = 50

const quoted = (value: unknown): string => {
  if (typeof value === 'string') return quote(value, 1000)
  if (Array.isArray(value)) return `[${value.slice(0, maxListed).map(quoted).join(',')}]`
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : 'null'
}
