import type { Channel, Topic } from './channel.ts'
import { openConnection } from './sqlite.ts'

/** Five looks within the second that an announcement may take to be heard. */
const pollMs = 200
/** After a pause of the whole process, or on a busy machine, the timer is late: whoever asks then gets a look of that moment. */
const maxAgeMs = 500

export interface SqliteChannel extends Channel {
  close(): void
}

/**
 * Between processes that have the same file open, such as a server and the command line: a row for each topic counts its announcements, and
 * every process looks. `pragma data_version` (sqlite.org/pragma.html#pragma_data_version) tells for next to nothing whether any other connection
 * has committed since the last look. Has a connection of its own: on a shared one, a result that is still being read would hold its view of the
 * file, and nothing new would be seen; and a file that is locked must not keep the event loop waiting five times a second.
 */
export const openSqliteChannel = (file: string): SqliteChannel => {
  const connection = openConnection(file, true, 0)
  const listeners = new Map<string, Set<() => void>>()
  const readVersion = connection.prepare('pragma data_version')
  const readCounts = connection.prepare('select topic, count from announcement')
  const counts = new Map<string, number>()
  let version: unknown
  let up = true
  let lookedMs = 0

  /** The topics that were announced since the last look. The version is read first: what is committed behind it is looked for once more. */
  const look = (): string[] => {
    lookedMs = performance.now()
    const current = readVersion.get()?.['data_version']
    if (current === version) return []
    const rows = readCounts.all() as { topic: string; count: number }[]
    const announced = rows.filter(({ topic, count }) => counts.get(topic) !== count)
    for (const { topic, count } of announced) counts.set(topic, count)
    version = current
    return announced.map(({ topic }) => topic)
  }
  const poll = (): void => {
    let announced: string[]
    try {
      announced = look()
      up = true
    } catch {
      // A file that cannot be read: what is guarded asks again each time, and meets the error itself.
      up = false
      return
    }
    for (const topic of announced) listeners.get(topic)?.forEach((heard) => heard())
  }

  // Where that fails the next look tells of everything, as of what may have been missed.
  poll()
  const timer = setInterval(poll, pollMs).unref()
  return {
    announce: (topic) => [{ sql: announcement, parameters: [topic] }],
    subscribe: (topic: Topic, heard) => void listeners.set(topic, (listeners.get(topic) ?? new Set()).add(heard)),
    isUp: () => {
      if (connection.isOpen && performance.now() - lookedMs > maxAgeMs) poll()
      return up
    },
    close: () => {
      clearInterval(timer)
      up = false
      if (connection.isOpen) connection.close()
    },
  }
}

const announcement =
  'insert into announcement (topic, count) values (?, 1) on conflict (topic) do update set count = announcement.count + 1'
