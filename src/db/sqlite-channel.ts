import type { DatabaseSync } from 'node:sqlite'

import type { Channel, Topic } from './channel.ts'

/** Five looks within the second that an announcement may take to be heard. */
const pollMs = 200

export interface SqliteChannel extends Channel {
  close(): void
}

/**
 * Between processes that have the same file open, such as a server and the command line: a row for each topic counts its announcements, and
 * every process looks. `pragma data_version` tells for next to nothing whether any other connection has committed since the last look.
 */
export const openSqliteChannel = (connection: DatabaseSync): SqliteChannel => {
  const listeners = new Map<string, Set<() => void>>()
  const readVersion = connection.prepare('pragma data_version')
  const readCounts = connection.prepare('select topic, count from announcement')
  const counts = new Map<string, number>()
  let version: unknown
  let up = true

  const look = (tell: (topic: string) => void): void => {
    const current = readVersion.get()?.['data_version']
    if (current === version) return
    for (const { topic, count } of readCounts.all() as { topic: string; count: number }[]) {
      if (counts.get(topic) !== count) tell(topic)
      counts.set(topic, count)
    }
    version = current
  }
  const poll = (): void => {
    try {
      look((topic) => listeners.get(topic)?.forEach((heard) => heard()))
      up = true
    } catch {
      // A file that cannot be read: what is guarded asks again each time, and meets the error itself.
      up = false
    }
  }

  look(() => undefined)
  const timer = setInterval(poll, pollMs).unref()
  return {
    announce: (topic) => [{ sql: announcement, parameters: [topic] }],
    subscribe: (topic: Topic, heard) => void listeners.set(topic, (listeners.get(topic) ?? new Set()).add(heard)),
    isUp: () => up,
    close: () => clearInterval(timer),
  }
}

const announcement =
  'insert into announcement (topic, count) values (?, 1) on conflict (topic) do update set count = announcement.count + 1'
