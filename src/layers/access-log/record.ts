import { quote } from './escape.ts'
import { type Paint, unpainted } from './paint.ts'
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

/** Request and trace ids: made or checked by request-id.ts, whose syntax leaves nothing to escape. */
const plain = (token: string | null): string => (token === null ? 'null' : `"${token}"`)

/** Canonical addresses: most lines differ in it, so what has nothing to escape is not looked at twice. */
const quoteAddress = (address: string | null): string =>
  address === null || isAddress.test(address) ? plain(address) : quote(address, 100)

const isAddress = /^[\da-f.:]{1,45}$/

/** For what has few values: the last one is kept. */
const createQuoted = (maxLength: number): ((text: string | null) => string) => {
  let last: string | null = null
  let quoted = 'null'
  return (text) => {
    if (text !== last) {
      last = text
      quoted = orNull(text, maxLength)
    }
    return quoted
  }
}

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

type Part = (record: AccessRecord) => string

/** A part of the line that repeats from request to request, such as the agent of a keep-alive client, is built once. */
const createRepeated = (isSame: (a: AccessRecord, b: AccessRecord) => boolean, build: Part): Part => {
  let lastRecord: AccessRecord | undefined
  let last = ''
  return (record) => {
    if (lastRecord !== undefined && isSame(lastRecord, record)) return last
    lastRecord = record
    last = build(record)
    return last
  }
}

/** Thousandths, always three digits: toFixed costs ten times as much. */
const thousandths = Array.from({ length: 1000 }, (_, i) => String(i).padStart(3, '0'))

const formatMs = (ms: number): string => {
  const microseconds = Math.round(ms * 1000)
  return `${Math.trunc(microseconds / 1000)}.${thousandths[microseconds % 1000]}`
}

/** One JSON object a line, built by hand from the fields above: a general serialiser costs several times as much. */
export const createJsonFormat = (): FormatRecord => {
  const timestamp = createTimestamps()
  const [method, verdict] = [createQuoted(40), createQuoted(100)]
  const target = createRepeated(
    (a, b) => a.path === b.path && a.status === b.status && a.method === b.method && a.route === b.route,
    (r) =>
      `,"method":${method(r.method)},"route":${orNull(r.route, 200)},"path":${orNull(r.path, 1024)},"status":${r.status},"duration_ms":`,
  )
  const caller = createRepeated(
    (a, b) =>
      a.client === b.client && a.userAgent === b.userAgent && a.verdict === b.verdict && a.principal === b.principal && a.error === b.error,
    (r) =>
      `,"client":${quoteAddress(r.client)},"principal":${orNull(r.principal, 64)},"user_agent":${orNull(r.userAgent, 256)}` +
      `,"verdict":${verdict(r.verdict)}${r.error === null ? '' : `,"error":${quote(r.error, 4096)}`}}\n`,
  )
  return (r) =>
    `{"time":"${timestamp(r.epochMs)}","level":"${levelOf(r)}","msg":"request","request_id":"${r.requestId}","trace_id":${plain(r.traceId)}` +
    `${target(r)}${formatMs(r.durationMs)},"bytes_in":${r.bytesIn},"bytes_out":${r.bytesOut}${caller(r)}`
}

/** For a person at a terminal: who has one sees at once what went wrong. */
export const createPrettyFormat = (paint: Paint = unpainted): FormatRecord => {
  const statusColours = [paint.gray, paint.gray, paint.green, paint.cyan, paint.yellow, paint.red]
  return (r) => {
    const time = paint.gray(new Date(r.epochMs).toISOString().slice(11, 23))
    const colour = statusColours[Math.trunc((r.status ?? 0) / 100)] ?? paint.red
    const [method, path, client] = [shown(r.method, 40), shown(r.path, 200), shown(r.client, 100)]
    const who = r.principal === null ? '' : ` ${shown(r.principal, 64)}`
    const why = r.verdict === 'ok' ? '' : ` ${paint.yellow(shown(r.verdict, 100))}`
    const error = r.error === null ? '' : ` ${paint.red(quote(r.error, 500))}`
    return `${time} ${colour(String(r.status ?? '---'))} ${method} ${path} ${r.durationMs.toFixed(1)} ms ${client}${who}${why}${error}\n`
  }
}

/** Escaped like everything, without its quotes. */
const shown = (text: string | null, maxLength: number): string => (text === null ? '-' : quote(text, maxLength).slice(1, -1))

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
