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

/** From which loopback addresses connections to a port are still open on the server's side, in /proc/net/tcp. */
export const clientsOf = (port: number): readonly string[] => {
  const local = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`
  return readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(([, from, , state, , , , , , inode]) => from === local && state !== listening && inode !== '0')
    .map(([, , to = '']) => [6, 4, 2, 0].map((at) => Number.parseInt(to.slice(at, at + 2), 16)).join('.'))
}

const listening = '0A'
