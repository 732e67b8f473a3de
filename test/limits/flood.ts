import { connect, type Socket } from 'node:net'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'

/** A client that asks and asks, in a thread of its own, so that it takes nothing from the one that measures. */
export interface Flood {
  /** Answers so far. */
  readonly answered: number
  stop(): Promise<void>
}

export interface FloodOptions {
  readonly port: number
  /** The loopback address it comes from. */
  readonly from: string
  readonly target: string
  readonly connections: number
  /** At this pace, or as fast as it is answered where that is slower. */
  readonly perSecond: number
}

export const startFlood = (options: FloodOptions): Flood => {
  const counted = new Int32Array(new SharedArrayBuffer(4))
  const worker = new Worker(new URL(import.meta.url), { workerData: { ...options, counted } })
  const failed = new Promise<never>((_, reject) => void worker.once('error', reject))
  failed.catch(() => undefined)
  return {
    get answered() {
      return Atomics.load(counted, 0)
    },
    stop: async () => {
      await Promise.race([worker.terminate(), failed])
    },
  }
}

const flood = ({ port, from, target, connections, perSecond, counted }: FloodOptions & { readonly counted: Int32Array }): void => {
  const request = `GET ${target} HTTP/1.1\r\nHost: localhost\r\n\r\n`
  const idle: Socket[] = []
  for (let i = 0; i < connections; i++) {
    const socket = connect({ port, host: '127.0.0.1', localAddress: from })
    socket.setEncoding('latin1')
    socket.on('error', () => undefined)
    socket.on('connect', () => void idle.push(socket))
    socket.on('data', (text: string) => {
      // One request at a time: the only one that can begin in these bytes.
      if (!text.includes('HTTP/1.1 ')) return
      Atomics.add(counted, 0, 1)
      idle.push(socket)
    })
  }
  const startedMs = performance.now()
  let sent = 0
  setInterval(() => {
    const due = ((performance.now() - startedMs) * perSecond) / 1000
    for (let socket = idle.shift(); socket !== undefined; socket = idle.shift()) {
      socket.write(request)
      if (++sent >= due) break
    }
  }, 1)
}

// This file is the thread too.
if (!isMainThread && parentPort !== null) flood(workerData as FloodOptions & { readonly counted: Int32Array })
