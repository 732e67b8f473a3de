import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { type StartOptions, startServer, type TestServer } from './server.ts'

export interface RestartingServer extends AsyncDisposable {
  /** The server; where an attack ended the last one, a new one on the same data, so that only the attack's own test fails. */
  current(): Promise<TestServer>
}

/** Whether the process still answers: asked behind an attack, it had its chance to stumble. */
export const isAlive = async (server: TestServer): Promise<boolean> => {
  const answered = await fetch(`${server.opsUrl}/livez`).then(
    (answer) => answer.ok,
    () => false,
  )
  return answered && server.process.exitCode === null
}

export const createRestartingServer = (options: StartOptions = {}): RestartingServer => {
  const dataDir = mkdtempSync(join(tmpdir(), 'filmgate-attacked-'))
  let running: Promise<TestServer> | undefined
  return {
    current: async () => {
      const server = await running
      if (server !== undefined && (await isAlive(server))) return server
      await server?.[Symbol.asyncDispose]()
      running = startServer({ ...options, dataDir })
      return running
    },
    [Symbol.asyncDispose]: async () => {
      await (await running)?.[Symbol.asyncDispose]()
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}
