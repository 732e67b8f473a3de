import { Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'

import type pg from 'pg'

import type { Channel, Topic } from './channel.ts'
import { connectionOptions, timed } from './postgres-pool.ts'
import type { PostgresAddress } from './postgres-url.ts'

/** One heartbeat and its deadline must fit into the second within which an announcement takes effect. */
const heartbeatMs = 300
const answerMs = 500
const maxReconnectMs = 1000
/** A process that was paused does not know what it missed until the server has answered once more. */
const maxSilenceMs = 1000

export interface PostgresChannel extends Channel {
  close(): Promise<void>
}

/**
 * LISTEN and NOTIFY (PostgreSQL manual, section "NOTIFY") on a connection of its own. NOTIFY is part of the transaction that it tells of. A
 * connection that is silently dead would miss announcements without knowing, so it is asked for a sign of life all the time.
 */
export const openPostgresChannel = (driver: typeof pg, address: PostgresAddress): PostgresChannel => {
  const listeners = new Map<string, Set<() => void>>()
  const closing = new AbortController()
  let up = false
  /** When the last question left that was answered: what was announced before then was heard. */
  let heardUntilMs = 0

  const tell = (name: string): void => listeners.get(name)?.forEach((heard) => heard())
  const tellAll = (): void => listeners.forEach((_, name) => tell(name))

  const listen = async (): Promise<void> => {
    const socket = new Socket()
    const client = new driver.Client({ ...connectionOptions(address), stream: () => socket })
    const ask = async (text: string): Promise<void> => {
      const askedMs = performance.now()
      await client.query(timed({ text }, askedMs + answerMs))
      heardUntilMs = askedMs
    }
    client.on('error', () => undefined)
    client.on('notification', ({ payload }) => tell(payload ?? ''))
    try {
      await client.connect()
      await ask('listen filmgate')
      up = true
      // From before it listened nothing is known.
      tellAll()
      while (!closing.signal.aborted) {
        await pause(heartbeatMs, undefined, { signal: closing.signal, ref: false })
        await ask('select 1')
      }
    } finally {
      up = false
      // A server that has stopped would let a polite end wait for ever.
      socket.destroy()
    }
  }

  const listenForEver = async (): Promise<void> => {
    for (let waitMs = 50; !closing.signal.aborted; waitMs = Math.min(2 * waitMs, maxReconnectMs)) {
      await listen().catch(() => undefined)
      await pause(waitMs, undefined, { signal: closing.signal, ref: false }).catch(() => undefined)
    }
  }

  const listening = listenForEver()
  return {
    announce: (topic) => [{ sql: 'select pg_notify($1, $2)', parameters: ['filmgate', topic] }],
    subscribe: (topic: Topic, heard) => void listeners.set(topic, (listeners.get(topic) ?? new Set()).add(heard)),
    isUp: () => up && performance.now() - heardUntilMs < maxSilenceMs,
    close: async () => {
      closing.abort()
      await listening
    },
  }
}
