import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { clockEnvironment } from './redis.ts'

export interface ClockFile extends Disposable {
  /** What a program needs in its environment to have this wall clock; its timers go on. */
  readonly env: Readonly<Record<string, string>>
  /** At once, to so far from the machine's; negative is back. */
  setOffset(offsetMs: number): void
}

/** A wall clock for programs of this test, by libfaketime; throws where that is not installed. */
export const openClock = (): ClockFile => {
  const folder = mkdtempSync(join(tmpdir(), 'filmgate-clock-'))
  const file = join(folder, 'clock')
  const setOffset = (offsetMs: number): void => {
    // It is read at every look at the clock, and half of it must never be seen.
    writeFileSync(`${file}.next`, `${offsetMs < 0 ? '-' : '+'}${(Math.abs(offsetMs) / 1000).toFixed(3)}\n`)
    renameSync(`${file}.next`, file)
  }
  setOffset(0)
  return { env: clockEnvironment(file), setOffset, [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) }
}
