import { Agent, request as send } from 'node:http'
import { text } from 'node:stream/consumers'

export interface VisitorOptions {
  /** Where it comes from, as the proxy says. */
  readonly address: string
  readonly userAgent: string
  /** A key or an access token. */
  readonly token: string
}

export interface Asked {
  readonly method?: string
  readonly body?: unknown
  readonly fields?: Readonly<Record<string, string>>
}

export interface Answer {
  readonly status: number
  /** Of a problem. */
  readonly code: string | undefined
  readonly retryAfterSeconds: number | undefined
  readonly body: string
}

/** Somebody who sends requests. */
export interface Visitor {
  readonly address: string
  ask(target: string, asked?: Asked): Promise<Answer>
  /** The same one with another credential. */
  as(token: string): Visitor
  /** The same one from elsewhere. */
  at(address: string): Visitor
}

const connections = new Agent({ keepAlive: true, maxSockets: 32 })

export const browserAgent = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'

export const createVisitor = (port: number, options: Partial<VisitorOptions> & Pick<VisitorOptions, 'address'>): Visitor => {
  const { address, userAgent = browserAgent, token } = options
  const ask = (target: string, { method = 'GET', body, fields = {} }: Asked = {}) =>
    new Promise<Answer>((resolve, reject) => {
      const content = body === undefined ? undefined : JSON.stringify(body)
      const headers = {
        'X-Forwarded-For': address,
        'User-Agent': userAgent,
        ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
        ...(content === undefined ? {} : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(content) }),
        ...fields,
      }
      const outgoing = send({ host: '127.0.0.1', port, method, path: target, headers, agent: connections, timeout: 20_000 })
      outgoing.on('response', (answer) => {
        const retryAfter = Number(answer.headers['retry-after'] ?? Number.NaN)
        void text(answer).then((read) => {
          const isProblem = (answer.headers['content-type'] ?? '').startsWith('application/problem+json')
          const { code } = (isProblem && read !== '' ? JSON.parse(read) : {}) as { code?: string }
          const retryAfterSeconds = Number.isNaN(retryAfter) ? undefined : retryAfter
          resolve({ status: answer.statusCode ?? 0, code, retryAfterSeconds, body: read })
        }, reject)
      })
      outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer to ${method} ${target}`))).on('error', reject)
      outgoing.end(content)
    })
  return {
    address,
    ask,
    as: (other) => createVisitor(port, { ...options, token: other }),
    at: (other) => createVisitor(port, { ...options, address: other }),
  }
}

/** What a decision looks like to whom it is about. */
export const isBanned = ({ code }: Answer): boolean => code === 'abnormal_usage_detected'
