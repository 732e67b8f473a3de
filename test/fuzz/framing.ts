import { METHODS } from 'node:http'

/** One request as it stands in a stream of bytes. */
export interface FramedRequest {
  readonly method: string
  readonly target: string
  /** Its body is there to the last byte. */
  readonly complete: boolean
}

export interface Framing {
  readonly requests: readonly FramedRequest[]
  /** How the stream goes on behind the last of them. */
  readonly end: FramingEnd
  /** Empty lines stand behind the last of them: somebody may be waiting for a request that begins with these. */
  readonly isBlank: boolean
}

export type FramingEnd =
  /** With nothing: another request could follow. */
  | 'idle'
  /** The last request ends the connection; what stands behind it is nobody's. */
  | 'closes'
  /** With the beginning of a head. */
  | 'head cut'
  /** With the beginning of the last request's body. */
  | 'body cut'
  /** With what is no head. */
  | 'head broken'
  /** With what is no body of the last request. */
  | 'body broken'
  /** With what the standard lets a server read in more than one way. */
  | 'open'

/** What one step of reading found: where it goes on, or why it does not. */
type Step<T> = { readonly found: T; readonly next: number } | 'cut' | 'broken' | 'open'

interface Head {
  readonly method: string
  readonly target: string
  readonly version: string
  readonly fields: readonly (readonly [name: string, value: string])[]
}

/**
 * Where requests begin and end in what a client sent, read as strictly as RFC 9112 allows: a second opinion about framing that shares no line
 * with the parser of the server. Where the two differ, one of them can be made to see a request that the other does not (request smuggling).
 */
export const framingOf = (sent: Buffer): Framing => {
  const text = sent.toString('latin1')
  const requests: FramedRequest[] = []
  let isBlank = false
  let at = 0
  const ended = (end: FramingEnd): Framing => ({ requests, end, isBlank })
  for (;;) {
    // Section 2.2: empty lines before a request line may be ignored.
    isBlank = text[at] === '\r' || text[at] === '\n'
    while (text[at] === '\r' || text[at] === '\n') at++
    if (at === text.length) return ended('idle')
    const head = readHead(text, at)
    if (typeof head === 'string') return ended(headEnds[head])
    const { method, target } = head.found
    // A tunnel, which is refused: nothing behind it is HTTP.
    if (method === 'CONNECT') {
      requests.push({ method, target, complete: true })
      return ended('closes')
    }
    const body = bodyFraming(head.found)
    if (body === 'broken' || body === 'open') {
      requests.push({ method, target, complete: false })
      return ended(bodyEnds[body])
    }
    const read = body === 'chunked' ? readChunks(text, head.next) : readLength(text, head.next, body)
    requests.push({ method, target, complete: typeof read !== 'string' })
    if (typeof read === 'string') return ended(bodyEnds[read])
    at = read.next
    if (closes(head.found)) return ended('closes')
  }
}

const headEnds = { cut: 'head cut', broken: 'head broken', open: 'open' } as const
const bodyEnds = { cut: 'body cut', broken: 'body broken', open: 'open' } as const

const knownMethods = new Set(METHODS)
const tchar = "[!#$%&'*+.^_`|~0-9A-Za-z-]"
const requestLine = new RegExp(`^(${tchar}+) ([^\\x00-\\x20\\x7f]+) HTTP/(\\d\\.\\d)$`)
const fieldLine = new RegExp(`^(${tchar}+):[ \\t]*((?:[\\t\\x20-\\x7e\\x80-\\xff]*[\\x21-\\x7e\\x80-\\xff])?)[ \\t]*$`)

/** Node ends a head at 16 KiB, counted in a way of its own: near that size either is right. */
const sureHeadBytes = 12_000
const tooLongHeadBytes = 20_000
/** Node's own limit is 1000 lines, counted in pairs. */
const sureFields = 500

/** Sections 3 and 5. */
const readHead = (text: string, start: number): Step<Head> => {
  const lines: string[] = []
  for (let at = start; ;) {
    const lineEnd = text.indexOf('\r\n', at)
    const line = text.slice(at, lineEnd === -1 ? text.length : lineEnd)
    const isLong = at + line.length - start > sureHeadBytes || lines.length > sureFields
    if (isLong) return at + line.length - start > tooLongHeadBytes ? 'broken' : 'open'
    if (lineEnd === -1) return isStartOf(line, lines.length === 0)
    at = lineEnd + 2
    if (line === '') return headOf(lines, at)
    const isRight = lines.length === 0 ? lineKind(line) : fieldLine.test(line) ? 'good' : 'broken'
    if (isRight !== 'good') return isRight
    lines.push(line)
  }
}

/** Of a line that is not there to its end: what can't become a good one is broken already, but a parser may want to see more first. */
const isStartOf = (line: string, isFirst: boolean): 'cut' | 'open' => {
  // oxlint-disable-next-line no-control-regex
  const mayGoOn = isFirst ? /^[A-Z-]*( [^\x00-\x20\x7f]*( [HTP/0-9.]*)?)?\r?$/ : /^[^\x00-\x08\x0a-\x1f\x7f]*\r?$/
  return mayGoOn.test(line) ? 'cut' : 'open'
}

const lineKind = (line: string): 'good' | 'broken' | 'open' => {
  const [, method = '', target = ''] = requestLine.exec(line) ?? []
  // Section 3 lets a server that is lenient split at any white space: more than one blank is the usual case. A line without a version is one
  // of HTTP/0.9, which is refused, but may be understood; and Node's parser takes the names of HTTP's relatives for HTTP's own.
  if (method === '') return /^[A-Z-]+ +[^\s]+( +(HTTP|RTSP|ICE).*|\n.*)? *$/s.test(line) ? 'open' : 'broken'
  if (!knownMethods.has(method)) return 'broken'
  // The characters that RFC 3986 gives a target; what else a server takes in one is its own affair, as long as it is one request.
  const isTarget =
    method === 'CONNECT' ? /^[\w.[\]:-]+:\d+$/.test(target) : /^(\/|\*$|https?:\/\/)[\w.~:/?[\]@!$&'()*+,;=%-]*$/i.test(target)
  return isTarget ? 'good' : 'open'
}

/** Good white space that a parser may be too strict for. */
const oddFraming = /^(?:transfer-encoding|content-length):.*\t/i

const headOf = (lines: readonly string[], next: number): Step<Head> => {
  if (lines.some((line) => oddFraming.test(line))) return 'open'
  const [, method = '', target = '', version = ''] = requestLine.exec(lines[0] ?? '') ?? []
  if (version !== '1.1' && version !== '1.0') return ['0.9', '2.0'].includes(version) ? 'open' : 'broken'
  const fields = lines.slice(1).map((line) => {
    const [, name = '', value = ''] = fieldLine.exec(line) ?? []
    return [name.toLowerCase(), value] as const
  })
  return { found: { method, target, version, fields }, next }
}

const valuesOf = ({ fields }: Head, name: string): readonly string[] => fields.flatMap(([known, value]) => (known === name ? [value] : []))

/** Section 6.3: the number of bytes, or `chunked`. */
const bodyFraming = (head: Head): number | 'chunked' | 'broken' | 'open' => {
  const lengths = valuesOf(head, 'content-length')
  const codings = valuesOf(head, 'transfer-encoding')
  if (codings.length > 0) {
    if (lengths.length > 0) return 'broken'
    // Section 6.1: of HTTP/1.0 it means that somebody on the way did not understand it.
    if (head.version !== '1.1') return 'open'
    const all = codings.flatMap((value) => value.split(',')).map((coding) => coding.replaceAll(/^[ \t]+|[ \t]+$/g, '').toLowerCase())
    if (all.length === 1 && all[0] === 'chunked') return 'chunked'
    // Other codings before it are good HTTP that nobody here understands: refused, or read as chunks.
    return all.at(-1) === 'chunked' && all.filter((coding) => coding === 'chunked').length === 1
      ? 'open'
      : all.some((coding) => coding !== '' && coding !== 'chunked')
        ? 'broken'
        : 'open'
  }
  if (lengths.length === 0) return 0
  if (lengths.length > 1) return 'broken'
  const [length = ''] = lengths
  return /^\d{1,16}$/.test(length) ? Number(length) : /^\d{17,19}$/.test(length) ? 'open' : 'broken'
}

const readLength = (text: string, start: number, length: number): Step<undefined> =>
  start + length <= text.length ? { found: undefined, next: start + length } : 'cut'

const extension = new RegExp(`^(?:;${tchar}+(?:=(?:${tchar}+|"[^"\\\\\\x00-\\x1f\\x7f-\\xff]*"))?)*$`)

/** Section 7.1. */
const readChunks = (text: string, start: number): Step<undefined> => {
  for (let at = start; ;) {
    const lineEnd = text.indexOf('\r\n', at)
    const line = text.slice(at, lineEnd === -1 ? text.length : lineEnd)
    if (line.length > 2000) return 'open'
    const [, digits = '', rest = ''] = /^([0-9A-Fa-f]*)(.*)$/s.exec(line) ?? []
    if (lineEnd === -1) return /^\r?$/.test(rest) && digits.length < 16 ? 'cut' : 'open'
    if (digits === '') return 'broken'
    // Forms that the grammar allows and hardly anybody sends: blanks around the parts, quoted pairs.
    if (!extension.test(rest)) return rest.startsWith(';') && !/[\0\n\r]/.test(rest) ? 'open' : 'broken'
    // Leading zeros are no fault, but a parser may count digits.
    const size = Number.parseInt(digits, 16)
    if (digits.length > 15) return digits.replace(/^0+/, '').length > 16 ? 'broken' : 'open'
    at = lineEnd + 2
    if (size === 0) return readTrailers(text, at)
    if (text.length < at + size + 2) return isChunkEnd(text.slice(at + size))
    if (text.slice(at + size, at + size + 2) !== '\r\n') return 'broken'
    at += size + 2
  }
}

const isChunkEnd = (rest: string): 'cut' | 'broken' => (rest === '' || rest === '\r' ? 'cut' : 'broken')

const readTrailers = (text: string, start: number): Step<undefined> => {
  for (let at = start; ;) {
    const lineEnd = text.indexOf('\r\n', at)
    if ((lineEnd === -1 ? text.length : lineEnd) - start > 2000) return 'open'
    if (lineEnd === -1) return isStartOf(text.slice(at), false)
    const line = text.slice(at, lineEnd)
    at = lineEnd + 2
    if (line === '') return { found: undefined, next: at }
    if (!fieldLine.test(line)) return 'broken'
  }
}

/** Section 9.3. */
const closes = (head: Head): boolean => {
  const lists = valuesOf(head, 'connection').flatMap((value) => value.toLowerCase().split(','))
  const options = new Set(lists.map((option) => option.trim()))
  return options.has('close') || (head.version === '1.0' && !options.has('keep-alive'))
}
