import { type Config, isLoopback } from '../config.ts'
import { systemClock } from '../core/clock.ts'
import { operatorKey } from '../serve/operator.ts'
import { type Option, UsageError } from './command.ts'
import { openExistingKey } from './existing-key.ts'
import { callServer, ownOrigin } from './own-server.ts'

/** Longer than any answer of a server that works. */
const answerWithinMs = 10_000

export const urlOption: Readonly<Record<'url', Option>> = {
  url: { value: 'URL', text: 'where the server is; default that of the configuration, over HTTPS where tls.mode says so' },
}

export interface Question {
  readonly method?: string
  readonly path: string
  readonly body?: unknown
  /** `--url`. */
  readonly url?: string | true | undefined
}

/** What the server said; `detail` is its own word on what was wrong. */
export class Refused extends Error {
  override readonly name = 'Refused'
  readonly status: number

  constructor(status: number, detail: string | undefined) {
    super(`the server says ${status}${detail === undefined ? '' : `: ${detail}`}`)
    this.status = status
  }
}

/** Asks the running server with the key that follows from the master key. Rejects with a `Refused` where it does not do it. */
export const askServer = async (config: Config, { method = 'GET', path, body: sent, url }: Question): Promise<string> => {
  const base = readUrl(typeof url === 'string' ? url : serverUrl(config))
  const authorization = `Bearer ${operatorKey(openExistingKey(config), systemClock.epochMs())}`
  const content = sent === undefined ? undefined : JSON.stringify(sent)
  const headers = { authorization, ...(content === undefined ? {} : { 'content-type': 'application/json' }) }
  const call = { method, headers, withinMs: answerWithinMs, ...(content === undefined ? {} : { body: content }) }
  const { status, body } = await callServer(config, `${base}${path}`, call).catch((cause: unknown) => {
    throw new Error(`no server answers at ${base}: start it, or name it with --url`, { cause })
  })
  if (status >= 200 && status < 300) return body
  const { detail, errors = [] } = parsed(body) as {
    readonly detail?: string
    readonly errors?: readonly { pointer: string; detail: string }[]
  }
  const fields = errors.map((one) => `${one.pointer.slice(1)} ${one.detail}`).join('; ')
  throw new Refused(status, fields === '' ? detail : fields)
}

const parsed = (text: string): object => {
  try {
    return Object(JSON.parse(text)) as object
  } catch {
    return {}
  }
}

/** The key goes there, and it cannot be revoked: in the clear it may only stay on this machine. */
const readUrl = (text: string): string => {
  const url = URL.parse(text)
  if (url === null || !/^https?:$/.test(url.protocol) || url.href !== `${url.origin}/`)
    throw new UsageError('--url must be a host alone, such as https://films.example.com or http://127.0.0.1:3000')
  if (url.protocol === 'http:' && !isLoopback(url.hostname.replace(/^\[(.*)\]$/, '$1')))
    throw new UsageError('--url must begin with https:// for another machine, or everybody on the way could read the key')
  return url.origin
}

const serverUrl = ({ server: { host, port }, tls }: Config): string => {
  if (port === 0) throw new UsageError('server.port is 0, any free one: name the server with --url')
  return ownOrigin(tls.mode === 'off' ? 'http' : 'https', host, port)
}
