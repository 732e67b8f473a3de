import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { assertQuietLog } from './attack.ts'
import { type Fields, type FrameClient, headers, hello, openFrames, outcome, request } from './http2-frames.ts'
import { type LogRecord, type StartOptions, startServer, type TestServer } from './server.ts'

export interface TlsServer extends AsyncDisposable {
  readonly server: TestServer
  /** PEM of its development authority. */
  readonly ca: string
  /** A connection on which the settings of both sides are known. */
  open(from?: string): Promise<FrameClient>
  /** The fields of a POST that adds a film. */
  post(fields?: Fields): Fields
  /** Whether the server answers a good request of another client, on a connection of its own. */
  assertServes(): Promise<void>
  /** The lines of requests to that path, once there are so many. */
  lines(path: string, count: number): Promise<readonly LogRecord[]>
  /** Lives, and has logged no error. */
  assertUnharmed(): Promise<void>
}

/** The real program over TLS, with a certificate of its own. */
export const startTlsServer = async (options: StartOptions = {}): Promise<TlsServer> => {
  const server = await startServer({ ...options, env: { FILMGATE_TLS_MODE: 'dev', ...options.env } })
  const ca = readFileSync(join(server.dataDir, 'dev-ca.pem'), 'utf8')
  const open = async (from?: string): Promise<FrameClient> => {
    const client = await openFrames(server.port, { ca, ...(from === undefined ? {} : { from }) })
    client.send(hello)
    return client
  }
  const assertServes = async (): Promise<void> => {
    using client = await open('127.0.0.99')
    client.send(headers(1, request()))
    assert.equal((await outcome(client, 1)).status, 200)
  }
  const lines = async (path: string, count: number): Promise<readonly LogRecord[]> => {
    const found = (): readonly LogRecord[] => server.log().filter((record) => record.msg === 'request' && record['path'] === path)
    await server.logged(() => found().length >= count)
    return found()
  }
  return {
    server,
    ca,
    open,
    post: (fields = []) =>
      request({ method: 'POST', path: '/add_film' }, [
        ['authorization', `Bearer ${server.key()}`],
        ['content-type', 'application/json'],
        ...fields,
      ]),
    assertServes,
    lines,
    assertUnharmed: async () => {
      await assertServes()
      assert.equal(server.process.exitCode, null, 'the server ended')
      assert.doesNotMatch(server.stderr(), /Warning: |\n\s+at .*:\d+:\d+/, 'Node warned')
      assertQuietLog(server)
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}
