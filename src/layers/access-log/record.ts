import { quote } from './escape.ts'
import { loggedPath } from './path.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'fatal'

/** One request, as the log shows it. Null is what was not known when the request was refused. */
export interface AccessRecord {
  readonly epochMs: number
  readonly requestId: string
  readonly traceId: string | null
  readonly method: string | null
  /** The route's template, never a path: null where nothing matched. */
  readonly route: string | null
  /** Path and query, query values already redacted. */
  readonly path: string | null
  /** Null when the client went away before an answer. */
  readonly status: number | null
  readonly durationMs: number
  readonly bytesIn: number
  readonly bytesOut: number
  readonly client: string | null
  readonly principal: string | null
  readonly userAgent: string | null
  /** `ok`, the code that refused, or `aborted`. */
  readonly verdict: string
  /** For `internal` and store failures: what happened, for operators only. */
  readonly error: string | null
}

export type FormatRecord = (record: AccessRecord) => string

export const levelOf = ({ verdict, status }: AccessRecord): LogLevel => {
  if (verdict === 'ok') return 'info'
  return status !== null && status >= 500 ? 'error' : 'warn'
}

/** Request ids, trace ids, methods and canonical addresses: their own syntax leaves nothing to escape. */
const plain = (token: string | null): string => (token === null ? 'null' : `"${token}"`)

const orNull = (text: string | null, maxLength: number): string => (text === null ? 'null' : quote(text, maxLength))

/** ISO 8601 for a millisecond is built once: under load many lines share it. */
const createTimestamps = () => {
  let lastMs = Number.NaN
  let last = ''
  return (epochMs: number): string => {
    if (epochMs !== lastMs) {
      lastMs = epochMs
      last = new Date(epochMs).toISOString()
    }
    return last
  }
}

/** A text that repeats from line to line, such as the agent of a keep-alive client, is quoted once. */
const createRepeated = (maxLength: number) => {
  let lastText: string | null = null
  let last = 'null'
  return (text: string | null): string => {
    if (text !== lastText) {
      lastText = text
      last = orNull(text, maxLength)
    }
    return last
  }
}

/** One JSON object a line, built by hand from the fields above: a general serialiser costs several times as much. */
export const createJsonFormat = (): FormatRecord => {
  const timestamp = createTimestamps()
  const agent = createRepeated(256)
  const route = createRepeated(200)
  const path = createRepeated(1024)
  const principal = createRepeated(64)
  return (r) =>
    `{"time":"${timestamp(r.epochMs)}","level":"${levelOf(r)}","msg":"request","request_id":"${r.requestId}","trace_id":${plain(r.traceId)}` +
    `,"method":${plain(r.method)},"route":${route(r.route)},"path":${path(r.path)},"status":${r.status},"duration_ms":${r.durationMs.toFixed(3)}` +
    `,"bytes_in":${r.bytesIn},"bytes_out":${r.bytesOut},"client":${plain(r.client)},"principal":${principal(r.principal)}` +
    `,"user_agent":${agent(r.userAgent)},"verdict":"${r.verdict}"${r.error === null ? '' : `,"error":${quote(r.error, 4096)}`}}\n`
}

/** For a person at a terminal. */
export const createPrettyFormat = (): FormatRecord => (r) => {
  const time = new Date(r.epochMs).toISOString().slice(11, 23)
  const path = r.path === null ? '-' : quote(r.path, 200).slice(1, -1)
  const why = r.verdict === 'ok' ? '' : ` ${r.verdict}`
  const error = r.error === null ? '' : ` ${quote(r.error, 500)}`
  return `${time} ${r.status ?? '---'} ${r.method ?? '-'} ${path} ${r.durationMs.toFixed(1)} ms ${r.client ?? '-'}${r.principal === null ? '' : ` ${quote(r.principal, 64).slice(1, -1)}`}${why}${error}\n`
}

/** The record of what was refused before it became a request. */
export const unparsedRecord = (
  known: Pick<AccessRecord, 'epochMs' | 'requestId' | 'method' | 'path' | 'status' | 'bytesOut' | 'client' | 'verdict'>,
): AccessRecord => ({
  ...known,
  path: known.path === null ? null : loggedPath(known.path),
  traceId: null,
  route: null,
  durationMs: 0,
  bytesIn: 0,
  principal: null,
  userAgent: null,
  error: null,
})
