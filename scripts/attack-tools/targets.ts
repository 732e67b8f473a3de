import { mkdtempSync, writeFileSync } from 'node:fs'
import { request as plainRequest } from 'node:http'
import { request as tlsRequest } from 'node:https'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

import type { ApiDescription } from '../../src/api/site/document.ts'
import { makeDevCertificate } from '../../src/tls/dev-certificate.ts'
import { runCommand } from '../../test/support/command.ts'
import { type LogRecord, startServer } from '../../test/support/server.ts'
import type { Finding } from './finding.ts'
import type { Start, Target, TargetKind } from './target.ts'
import { startWeakHttp, startWeakHttps, weakDescription } from './weak-server.ts'

const admin = { username: 'ada', password: 'seven kestrels over the marsh' } as const

interface Written {
  readonly certFile: string
  readonly keyFile: string
  readonly caFile: string
  readonly material: { readonly cert: string; readonly key: string }
  readonly ca: string
}

/** Of an authority that exists for one run: the names are those that a real one would not sign. */
const writeCertificate = async (folder: string): Promise<Written> => {
  const { cert, key, ca } = await makeDevCertificate(Date.now())
  const [certFile, keyFile, caFile] = ['tls.crt', 'tls.key', 'ca.crt'].map((name) => join(folder, name)) as [string, string, string]
  writeFileSync(certFile, cert)
  writeFileSync(keyFile, key, { mode: 0o600 })
  writeFileSync(caFile, ca)
  return { certFile, keyFile, caFile, material: { cert, key }, ca }
}

interface Reached {
  readonly origin: string
  readonly ca: string
}

interface Asked {
  readonly method?: string
  /** Sent as JSON. */
  readonly body?: unknown
  readonly token?: string
}

/** One request of ours between those of the tools. */
const call = ({ origin, ca }: Reached, path: string, asked: Asked = {}) =>
  new Promise<{ status: number; body: string }>((resolve, reject) => {
    const { method = 'GET', token } = asked
    const body = asked.body === undefined ? undefined : JSON.stringify(asked.body)
    const headers = {
      ...(body === undefined ? {} : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) }),
      ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
    }
    const options = { method, headers, agent: false as const, timeout: 10_000 }
    const url = new URL(path, origin)
    const outgoing = url.protocol === 'https:' ? tlsRequest(url, { ...options, ca }) : plainRequest(url, options)
    outgoing.on('response', (answer) => void text(answer).then((read) => resolve({ status: answer.statusCode ?? 0, body: read }), reject))
    outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer to ${method} ${path}`))).on('error', reject)
    outgoing.end(body)
  })

const wordOf = (record: LogRecord, member: string): string => {
  const value = record[member]
  return typeof value === 'string' || typeof value === 'number' ? String(value) : ''
}

/** What no attack may bring about, whatever the tool saw of it. */
export const complaintsOf = (log: readonly LogRecord[]): Omit<Finding, 'tool'>[] =>
  log
    .filter(({ level, status, verdict }) =>
      // A request that was turned away because there were too many is what the protection is for.
      typeof status === 'number' ? status >= 500 && verdict !== 'temporary_reduced_capacity' : level === 'error' || level === 'fatal',
    )
    .map((record) => ({
      id: `the server's log: ${wordOf(record, 'status') || wordOf(record, 'level')}`,
      where: `${wordOf(record, 'method')} ${wordOf(record, 'route')}`.trim(),
      text: JSON.stringify(record).slice(0, 500),
    }))

const environmentOf = ({ scheme, limits, manyConnections }: TargetKind, { certFile, keyFile }: Written): Record<string, string> => ({
  ...(scheme === 'https' ? { FILMGATE_TLS_MODE: 'files', FILMGATE_TLS_CERT: certFile, FILMGATE_TLS_KEY: keyFile } : {}),
  ...(limits === 'default'
    ? {}
    : {
        FILMGATE_LIMITS_MODE: 'observe',
        FILMGATE_CONCURRENCY_PER_CLIENT: '2000',
        FILMGATE_AUTH_LOGIN_FAILURES: '1000000 per day',
        FILMGATE_AUTH_ACCOUNT_FAILURES: '1000000 per day',
        FILMGATE_AUTH_ACCESS_TOKEN_TTL: '1h',
        // Closed, it would answer each attempt before it looks at it.
        FILMGATE_AUTH_REGISTRATION: 'open',
      }),
  ...(manyConnections ? { FILMGATE_SERVER_MAX_CONNECTIONS_PER_CLIENT: '10000' } : {}),
})

/**
 * A tool may end the session that it was given, rename its account, change its password and remove it: so each time there is a new admin, added
 * by the first one, who has logged in just before.
 */
const createTokens = (reached: Reached): (() => Promise<string>) => {
  const logIn = async (username: string): Promise<string> => {
    const asked = { method: 'POST', body: { username, password: admin.password } }
    const { status, body } = await call(reached, '/v1/auth/login', asked)
    const { access_token: token } = JSON.parse(body) as { access_token?: string }
    if (token === undefined) throw new Error(`${username} could not log in: ${status} ${body}`)
    return token
  }
  let made = 0
  return async () => {
    const username = `tool-${++made}`
    const asked = { method: 'POST', body: { username, password: admin.password, role: 'admin' }, token: await logIn(admin.username) }
    const { status, body } = await call(reached, '/v1/users', asked)
    if (status !== 201) throw new Error(`no account for a tool: ${status} ${body}`)
    return await logIn(username)
  }
}

/** The real program, with an admin that the command line has made. */
export const filmgate =
  (folder: string): Start =>
  async (kind) => {
    const certificate = await writeCertificate(folder)
    await using opened = new AsyncDisposableStack()
    const dataDir = mkdtempSync(join(folder, 'data-'))
    const adding = ['user', 'add', admin.username, '--role', 'admin', '--password-stdin']
    const added = await runCommand(adding, { dataDir, cwd: folder, input: admin.password })
    if (added.code !== 0) throw new Error(`filmgate user add: ${added.stderr}`)
    const server = opened.use(await startServer({ toml: '', dataDir, env: environmentOf(kind, certificate) }))
    const origin = `${kind.scheme}://localhost:${server.port}`
    const reached = { origin, ca: certificate.ca }
    const description = JSON.parse((await call(reached, '/openapi.json')).body) as ApiDescription
    const kept = opened.move()
    return {
      origin,
      port: server.port,
      caFile: certificate.caFile,
      description,
      slowBodyPath: '/v1/auth/login',
      longAnswerPath: '/openapi.json',
      accessToken: createTokens(reached),
      ownWords: () => complaintsOf(server.log()),
      requests: () => server.log().filter(({ msg }) => msg === 'request').length,
      [Symbol.asyncDispose]: () => kept.disposeAsync(),
    }
  }

/** What the tools must find, over the same doors. */
export const weak =
  (folder: string): Start =>
  async ({ scheme, manyConnections }) => {
    const { caFile, material } = await writeCertificate(folder)
    const server = scheme === 'https' ? await startWeakHttps(material) : await startWeakHttp(manyConnections ?? false)
    const target: Target = {
      origin: `${scheme}://localhost:${server.port}`,
      port: server.port,
      caFile,
      description: weakDescription,
      slowBodyPath: '/upload',
      longAnswerPath: '/long',
      accessToken: () => Promise.resolve('none'),
      ownWords: () => [],
      requests: () => 0,
    }
    return { ...target, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() }
  }
