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

/** The only way out of this server: a GET of a JSON object. Rejects with an Error that says what was wrong, without the body. */
export interface Egress {
  getJson(url: string, options: FetchOptions): Promise<Readonly<Record<string, unknown>>>
}

/** A discovery document has 5 kB, fifty keys have 60. */
const maxBytes = 256 * 1024

const resolveBySystem: Resolve = (host, done) => systemLookup(host, { all: true }, done)

/**
 * What a URL names may be anything: a service of this machine, the metadata of its cloud, a host whose name says another address at each
 * question (DNS rebinding). So each address is checked, and it is the checked ones that are connected to. Redirects are not followed,
 * and no proxy of the environment is asked, for either would choose the address itself (OWASP Server-Side Request Forgery Prevention).
 */
export const createEgress = ({ resolve = resolveBySystem, ca }: EgressOptions = {}): Egress => ({
  getJson: async (text, { allowPrivate, signal }) => {
    const url = new URL(text)
    const mistake = urlMistake(url, allowPrivate)
    if (mistake !== undefined) throw new Error(mistake)
    const allows = (address: string): boolean =>
      isReachable(address, allowPrivate) && (url.protocol === 'https:' || isLoopbackAddress(address))
    const answer = await get(url, { signal, lookup: checkedLookup(resolve, allows), ...(ca === undefined ? {} : { ca }) }, allows)
    return parseObject(await readBody(answer))
  },
})

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

const get = (url: URL, { ca, ...options }: Connection, allows: (address: string) => boolean): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => {
    // Such a host is not looked up. The URL parser has made one of 2130706433, 0x7f.1 and the like.
    const literal = url.hostname.replace(/^\[(.*)\]$/, '$1')
    if (isIP(literal) !== 0 && !allows(literal)) throw new Error(notAllowed)
    const headers = { accept: 'application/json', 'accept-encoding': 'identity', 'user-agent': 'filmgate' }
    // An agent of its own: the global one may be told of proxies by the environment, which may switch off the check of certificates too.
    const common = { ...options, headers, agent: false as const, maxHeaderSize: 16_384 }
    const tls = { rejectUnauthorized: true, ...(ca === undefined ? {} : { ca: [ca].flat() }) }
    const request = url.protocol === 'https:' ? https.get(url, { ...common, ...tls }) : http.get(url, common)
    request.on('response', resolve)
    request.on('error', reject)
    request.on('close', () => reject(new Error('the connection was closed without an answer')))
  })

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
