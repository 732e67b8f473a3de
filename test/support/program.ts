import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

export interface Program extends AsyncDisposable {
  readonly process: ChildProcess
  stderr(): string
  /** Resolves when standard error holds a match; rejects when the program ends without. */
  said(pattern: RegExp): Promise<void>
  /** Kills it and resolves when it is gone. */
  end(): Promise<void>
}

const main = join(import.meta.dirname, '../../src/main.ts')

/** The real program from its first moment on, for what happens before it listens. */
export const startProgram = (dataDir: string, cwd: string): Program => {
  const env = { PATH: process.env['PATH'] ?? '', FILMGATE_SERVER_PORT: '0', FILMGATE_OPS_PORT: '0', FILMGATE_DATA_DIR: dataDir }
  const child = spawn(process.execPath, [main, 'serve'], { env, cwd, stdio: ['ignore', 'ignore', 'pipe'] })
  const exited = once(child, 'exit')
  let text = ''
  let heard: (() => void) | undefined
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
    heard?.()
  })
  const end = async (): Promise<void> => {
    child.kill('SIGKILL')
    await exited
  }
  return {
    process: child,
    stderr: () => text,
    said: (pattern) =>
      new Promise((resolve, reject) => {
        heard = () => {
          if (pattern.test(text)) resolve()
        }
        void exited.then(() => reject(new Error(`it ended before it said ${String(pattern)}:\n${text}`)))
        heard()
      }),
    end,
    [Symbol.asyncDispose]: end,
  }
}
