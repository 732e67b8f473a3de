import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

import type { TestServer } from '../support/server.ts'

export interface Descriptors {
  readonly descriptors: number
  readonly sockets: number
}

/** What the process has open, as the kernel sees it. */
export const descriptorsOf = ({ process }: TestServer): Descriptors => {
  const folder = `/proc/${process.pid}/fd`
  const targets = readdirSync(folder).map((name) => {
    try {
      return readlinkSync(`${folder}/${name}`)
    } catch {
      // Closed between the two calls.
      return undefined
    }
  })
  const open = targets.filter((target) => target !== undefined)
  return { descriptors: open.length, sockets: open.filter((target) => target.startsWith('socket:')).length }
}

export const residentBytesOf = ({ process }: TestServer): number => {
  const [, kibibytes = 'unknown'] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${process.pid}/status`, 'utf8')) ?? []
  return Number(kibibytes) * 1024
}

export const hasEnded = ({ process }: TestServer): boolean => process.exitCode !== null || process.signalCode !== null
