import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { addUser, claimAdmin, send } from '../support/accounts.ts'
import { eventually } from '../support/deadline.ts'
import { type LogRecord, raisedLimits, startServer, type TestServer } from '../support/server.ts'
import { latin1, numberOf, type Secrets, sentinelAddress } from './case.ts'
import { liveHeapBytes } from './heap.ts'
import { clientsOf, type Descriptors, descriptorsOf, hasEnded, residentBytesOf } from './process.ts'
import { type Place, talk } from './wire.ts'

/** What the process holds when nobody is connected. */
export interface Footprint extends Descriptors {
  readonly liveHeapBytes: number
  readonly residentBytes: number
}

export interface UnderTest extends AsyncDisposable {
  readonly server: TestServer
  readonly place: Place
  readonly secrets: Secrets
  /** How long anything of it is waited for. */
  readonly patienceMs: number
  footprint(): Promise<Footprint>
  /** Resolves when the server has ended all connections and written all lines; rejects when it keeps one, or does not answer any more. */
  settled(): Promise<void>
  /** What was logged of requests from that address since it was asked last. */
  takeLines(address: string): readonly LogRecord[]
}

/**
 * Longer than any deadline of the program, also on a machine that is busy with other things: a connection whose reading Node has stopped, because it
 * has answers to give, notices that its client is gone when the 72 s of keep-alive are over.
 */
const realPatienceMs = 120_000

/** Short deadlines, so that what is never finished is over soon, and yet far above the time that a good request takes on a busy machine. */
const deadlines = { FILMGATE_SERVER_HEADER_TIMEOUT_MS: '1000', FILMGATE_SERVER_REQUEST_TIMEOUT_MS: '2000' }

const toml = `${raisedLimits}
[concurrency]
per_client = 10000
total = 100000
[auth]
access_token_ttl = "1h"
`

export const withInspector = ([program = '', ...args]: readonly string[]): readonly string[] => [program, '--inspect=127.0.0.1:0', ...args]

/** Everybody whose credentials a case may bear. */
const credentials = async (server: TestServer): Promise<Secrets> => {
  const admin = await claimAdmin(server)
  const editor = await addUser(server, admin, 'editor')
  const viewer = await addUser(server, admin, 'viewer')
  const key = await send(server, 'POST', '/v1/keys', { name: 'fuzz', scopes: ['films:read', 'films:write'] }, { fields: admin.fields })
  return { $ADMIN$: admin.accessToken, $EDITOR$: editor.accessToken, $VIEWER$: viewer.accessToken, $KEY$: String(key.json()['key']) }
}

/** The real program. Its accounts are made before it speaks TLS, on the same data. */
export const openUnderTest = async ({ tls }: { readonly tls: boolean }): Promise<UnderTest> => {
  const dataDir = mkdtempSync(join(tmpdir(), 'filmgate-fuzzed-'))
  await using opened = new AsyncDisposableStack()
  opened.defer(() => rmSync(dataDir, { recursive: true, force: true }))
  const start = (env: Readonly<Record<string, string>>) =>
    startServer({ toml, dataDir, env: { ...deadlines, ...env }, wrap: withInspector })
  const plain = await start({})
  const secrets = await credentials(plain).catch(async (error: unknown) => {
    await plain[Symbol.asyncDispose]()
    throw error
  })
  if (tls) await plain[Symbol.asyncDispose]()
  const server = opened.use(tls ? await start({ FILMGATE_TLS_MODE: 'dev' }) : plain)
  const ca = tls ? readFileSync(join(dataDir, 'dev-ca.pem'), 'utf8') : undefined
  const underTest = watch(server, { ca, secrets, patienceMs: realPatienceMs })
  const kept = opened.move()
  return { ...underTest, [Symbol.asyncDispose]: () => kept.disposeAsync() }
}

export interface WatchOptions extends Pick<UnderTest, 'secrets' | 'patienceMs'> {
  readonly ca: string | undefined
}

/** Whatever writes a log as the program does. */
export const watch = (server: TestServer, { ca, secrets, patienceMs }: WatchOptions): Omit<UnderTest, keyof AsyncDisposable> => {
  const place = { port: server.port, ca }
  const atRest = descriptorsOf(server).sockets
  const lines = createLineIndex(server)
  let sentinels = 0
  const settled = async (): Promise<void> => {
    if (hasEnded(server)) return
    const isAtRest = (): boolean => hasEnded(server) || descriptorsOf(server).sockets <= atRest
    await eventually(patienceMs, 'connections are left', isAtRest).catch(() => {
      throw new Error(
        `connections are left, from ${clientsOf(server.port)
          .map((address) => `${address} (case ${numberOf(address)})`)
          .join(', ')}`,
      )
    })
    // Lines are written in their order: where this one is, all others are.
    const path = `/sentinel-${++sentinels}`
    const bytes = latin1(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`)
    await talk({ bytes, cuts: [], ending: 'wait', from: sentinelAddress, alpn: 'http/1.1', patienceMs }, place)
    if (!hasEnded(server)) await server.logged((line) => line['path'] === path)
  }
  const footprint = async (): Promise<Footprint> => ({
    ...descriptorsOf(server),
    residentBytes: residentBytesOf(server),
    liveHeapBytes: server.stderr().includes('Debugger listening') ? await liveHeapBytes(server) : 0,
  })
  return { server, place, secrets, patienceMs, footprint, settled, takeLines: lines }
}

/** Takes the lines of an address out of all that came, so that the next case from there has its own. */
const createLineIndex = (server: TestServer): ((address: string) => readonly LogRecord[]) => {
  const byAddress = new Map<unknown, LogRecord[]>()
  let seen = 0
  return (address) => {
    for (const line of server.log().slice(seen)) {
      if (line.msg !== 'request') continue
      const known = byAddress.get(line['client'])
      if (known === undefined) byAddress.set(line['client'], [line])
      else known.push(line)
    }
    seen = server.log().length
    const lines = byAddress.get(address) ?? []
    byAddress.delete(address)
    return lines
  }
}
