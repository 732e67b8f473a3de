import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { type IncomingHttpHeaders, request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { join } from 'node:path'
import type { ConnectionOptions, SecureContextOptions } from 'node:tls'

import { type Config, isLoopback } from '../config.ts'

export interface OwnAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface OwnCall {
  readonly method: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** For all of it, in milliseconds. */
  readonly withinMs: number
}

/** No answer that a command asks for is as long. */
const maxAnswerBytes = 1024 * 1024

/** Asks the server of this configuration, or the one at `url`. Follows nowhere; rejects where nobody answers or TLS proves nothing. */
export const callServer = (config: Config, url: string, { method, headers = {}, body: sent, withinMs }: OwnCall): Promise<OwnAnswer> =>
  new Promise((resolve, reject) => {
    const { protocol, hostname } = new URL(url)
    const trust = protocol === 'https:' ? trustOf(config, hostname) : {}
    const send = protocol === 'https:' ? httpsRequest : httpRequest
    const options = { ...trust, method, headers, agent: false as const, signal: AbortSignal.timeout(withinMs) }
    const asked = send(url, options, (answer) => {
      let body = ''
      answer.setEncoding('utf8')
      answer.on('data', (text: string) => {
        body += text
        if (body.length > maxAnswerBytes) answer.destroy(new Error('the answer is too long'))
      })
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body }))
      answer.on('error', reject)
    })
    asked.on('error', reject)
    asked.end(sent)
  })

/** Where the server of this configuration is; `port` as it listens. */
export const ownOrigin = (scheme: 'http' | 'https', host: string, port: number): string =>
  `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`

/**
 * On this machine the server is known by its very certificate: it need not be for an address of loopback, nor be known to anybody. Its
 * chain is not trusted with it, or every other customer of the same authority could stand in for it. Elsewhere the authorities that Node
 * knows have the word.
 */
const trustOf = (
  { tls, data, server }: Config,
  hostname: string,
): SecureContextOptions & Pick<ConnectionOptions, 'checkServerIdentity'> => {
  const host = hostname.replace(/^\[(.*)\]$/, '$1')
  if (!isLoopback(host) && host !== server.host) return {}
  if (tls.mode === 'dev') return { ca: readFileSync(join(data.dir, 'dev-ca.pem')) }
  if (tls.mode !== 'files') return {}
  const leaf = new X509Certificate(readFileSync(tls.cert)).toString()
  return { ca: leaf, allowPartialTrustChain: true, checkServerIdentity: () => undefined }
}
