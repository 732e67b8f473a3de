import { lookup as systemLookup, type LookupAddress } from 'node:dns'
import http, { type IncomingMessage } from 'node:http'
import https from 'node:https'
import { isIP, type LookupFunction } from 'node:net'

import { isLoopbackAddress, isReachable } from './public-address.ts'

/** All addresses of a host, as `dns.lookup` with `all` gives them. */
export type Resolve = (host: string, done: (error: Error | null, addresses: readonly LookupAddress[]) => void) => void

export interface EgressOptions {
  /** Default: what the machine's resolver says. */
  readonly resolve?: Resolve
  /** PEM certificates of authorities to trust in place of Node's. */
  readonly ca?: string | readonly string[]
}

export interface FetchOptions {
  /** Allows hosts of private networks, and plain http to this machine. */
  readonly allowPrivate: boolean
  /** The deadline of everything: name, connection, certificate, body. */
  readonly signal: AbortSignal
}

export interface PostOptions extends FetchOptions {
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

/** What became of a POST, as far as its status line and its fields tell. */
export interface Posted {
  readonly status: number
  /** The field Retry-After in seconds (RFC 9110 section 10.2.3); undefined where there is none, or a date. */
  readonly retryAfterSeconds: number | undefined
}

/** The only ways out of this server. Both reject with an Error that says what was wrong, without anything of a body. */
export interface Egress {
  /** A GET of a JSON object. */
  getJson(url: string, options: FetchOptions): Promise<Readonly<Record<string, unknown>>>
  /** Sends something, and resolves with the status as soon as it is known: what comes behind it is thrown away, and cut when it is much. */
  post(url: string, options: PostOptions): Promise<Posted>
}

/** A discovery document has 5 kB, fifty keys have 60. */
const maxBytes = 256 * 1024

const resolveBySystem: Resolve = (host, done) => systemLookup(host, { all: true }, done)

/**
 * What a URL names may be anything: a service of this machine, the metadata of its cloud, a host whose name says another address at each
 * question (DNS rebinding). So each address is checked, and it is the checked ones that are connected to. Redirects are not followed,
 * and no proxy of the environment is asked, for either would choose the address itself (OWASP Server-Side Request Forgery Prevention).
 */
export const createEgress = ({ resolve = resolveBySystem, ca }: EgressOptions = {}): Egress => {
  const send = (text: string, { allowPrivate, signal, ...message }: FetchOptions & Message): Promise<IncomingMessage> => {
    const url = new URL(text)
    const mistake = urlMistake(url, allowPrivate)
    if (mistake !== undefined) return Promise.reject(new Error(mistake))
    const allows = (address: string): boolean =>
      isReachable(address, allowPrivate) && (url.protocol === 'https:' || isLoopbackAddress(address))
    const connection = { signal, lookup: checkedLookup(resolve, allows), ...(ca === undefined ? {} : { ca }) }
    return exchange(url, message, connection, allows)
  }
  return {
    getJson: async (url, { allowPrivate, signal }) => {
      const headers = { accept: 'application/json', 'accept-encoding': 'identity', 'user-agent': 'filmgate' }
      return parseObject(await readBody(await send(url, { allowPrivate, signal, method: 'GET', headers })))
    },
    post: async (url, { headers, ...options }) => {
      const answer = await send(url, { ...options, method: 'POST', headers: { 'user-agent': 'filmgate', ...headers } })
      throwAway(answer)
      const { statusCode: status = 0, headers: fields } = answer
      const seconds = /^[0-9]{1,9}$/.exec(fields['retry-after'] ?? '')?.[0]
      return { status, retryAfterSeconds: seconds === undefined ? undefined : Number(seconds) }
    },
  }
}

/** Exported for what is checked before anything is asked for. */
export const urlMistake = ({ protocol, username, password }: URL, allowPrivate: boolean): string | undefined => {
  if (protocol !== 'https:' && !(protocol === 'http:' && allowPrivate)) return 'the address is not https'
  return username === '' && password === '' ? undefined : 'the address names a user'
}

/** Gives the connection only addresses that are allowed; one that is not makes the whole host suspect. */
const checkedLookup =
  (resolve: Resolve, allows: (address: string) => boolean): LookupFunction =>
  (host, options, done) =>
    resolve(host, (error, addresses) => {
      const [first] = addresses ?? []
      if (error !== null || first === undefined) done(error ?? new Error('the host has no address'), [])
      else if (!addresses.every(({ address }) => allows(address))) done(new Error(notAllowed), [])
      else if (options.all === true) done(null, [...addresses])
      else done(null, first.address, first.family)
    })

const notAllowed = 'the host has an address that is not allowed'

interface Connection {
  readonly signal: AbortSignal
  readonly lookup: LookupFunction
  readonly ca?: string | readonly string[]
}

interface Message {
  readonly method: 'GET' | 'POST'
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Buffer
}

const exchange = (
  url: URL,
  { body, ...message }: Message,
  { ca, ...options }: Connection,
  allows: (address: string) => boolean,
): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => {
    // Such a host is not looked up. The URL parser has made one of 2130706433, 0x7f.1 and the like.
    const literal = url.hostname.replace(/^\[(.*)\]$/, '$1')
    if (isIP(literal) !== 0 && !allows(literal)) throw new Error(notAllowed)
    // An agent of its own: the global one may be told of proxies by the environment, which may switch off the check of certificates too.
    const common = { ...options, ...message, agent: false as const, maxHeaderSize: 16_384 }
    const tls = { rejectUnauthorized: true, ...(ca === undefined ? {} : { ca: [ca].flat() }) }
    const request = url.protocol === 'https:' ? https.request(url, { ...common, ...tls }) : http.request(url, common)
    request.on('response', resolve)
    request.on('error', reject)
    request.on('close', () => reject(new Error('the connection was closed without an answer')))
    request.end(body)
  })

/** More than any receiver says. */
const maxThrownAway = 16_384

/** A few bytes are read, so that a polite receiver is not cut off in the middle of its answer; the deadline of the request ends a slow one. */
const throwAway = (answer: IncomingMessage): void => {
  let bytes = 0
  answer.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > maxThrownAway) answer.destroy()
  })
  answer.on('error', () => undefined)
}

const readBody = async (answer: IncomingMessage): Promise<Buffer> => {
  try {
    const { 'content-type': type = '', 'content-encoding': encoding, 'content-length': length } = answer.headers
    if (answer.statusCode !== 200) throw new Error(`the answer has status ${answer.statusCode}`)
    if (!/^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i.test(type)) throw new Error('the answer is not JSON')
    // A few bytes of gzip can be gigabytes.
    if (encoding !== undefined && encoding !== 'identity') throw new Error('the answer is compressed')
    if (Number(length ?? 0) > maxBytes) throw new Error(tooLarge)
    const chunks: Buffer[] = []
    let bytes = 0
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes > maxBytes) throw new Error(tooLarge)
      chunks.push(chunk)
    }
    return Buffer.concat(chunks)
  } finally {
    answer.destroy()
  }
}

const tooLarge = `the answer is larger than ${maxBytes} bytes`

const parseObject = (body: Buffer): Readonly<Record<string, unknown>> => {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch {
    // Without the parser's words, which quote the document.
    throw new Error('the answer is not JSON')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('the answer is not a JSON object')
  return value as Record<string, unknown>
}
