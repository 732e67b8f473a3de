import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'

export interface SilentProxy extends AsyncDisposable {
  readonly port: number
  /** From the first packet of a client that fits, nothing passes on its connection any more, which stays open. Undefined ends that for new ones. */
  fallSilentAt(packet: RegExp | undefined): void
  /** Resolves when a connection has fallen silent. */
  silent(): Promise<void>
}

/** Between a client and a port of this machine: a network that goes away at a moment of the test's choice. */
export const startSilentProxy = async (port: number): Promise<SilentProxy> => {
  let last: RegExp | undefined
  let fell = Promise.withResolvers<void>()
  const proxy = createServer((client) => {
    const server = connect(port, '127.0.0.1')
    let mute = false
    client.on('data', (data) => {
      if (last?.test(data.toString('latin1'))) {
        mute = true
        fell.resolve()
      }
      if (!mute) server.write(data)
    })
    server.on('data', (data) => void (mute || client.write(data)))
    for (const socket of [client, server]) socket.on('error', () => undefined)
    client.on('close', () => server.destroy())
    server.on('close', () => void (mute || client.destroy()))
  }).listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  return {
    port: (proxy.address() as AddressInfo).port,
    fallSilentAt: (packet) => {
      last = packet
      fell = Promise.withResolvers()
    },
    silent: () => fell.promise,
    [Symbol.asyncDispose]: async () => {
      proxy.close()
      await once(proxy, 'close')
    },
  }
}
