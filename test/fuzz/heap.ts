import { once } from 'node:events'

import type { TestServer } from '../support/server.ts'

/** What lives on the heap of a process that was started with --inspect, right behind a full collection: what is not needed any more is not in it. */
export const liveHeapBytes = async (server: Pick<TestServer, 'stderr'>): Promise<number> => {
  // The newest: a server that was started again has another one.
  const address = [...server.stderr().matchAll(/Debugger listening on (ws:\S+)/g)].at(-1)?.[1]
  if (address === undefined) throw new Error('the process was not started with --inspect')
  const socket = new WebSocket(address)
  await once(socket, 'open')
  try {
    const ask = async (method: string): Promise<Readonly<Record<string, unknown>>> => {
      socket.send(JSON.stringify({ id: 1, method }))
      const [{ data }] = (await once(socket, 'message')) as [{ readonly data: string }]
      return (JSON.parse(data) as { readonly result: Readonly<Record<string, unknown>> }).result
    }
    // Twice: what waits for a finaliser lives through the first.
    await ask('HeapProfiler.collectGarbage')
    await ask('HeapProfiler.collectGarbage')
    return Number((await ask('Runtime.getHeapUsage'))['usedSize'])
  } finally {
    socket.close()
    await once(socket, 'close')
  }
}
