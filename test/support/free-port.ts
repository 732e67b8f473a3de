import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'

/**
 * A port of 127.0.0.1 that nobody listens on. From below those that the kernel gives to connections (32768 and up): there a client that
 * calls a server which is down again and again would one day be given the port itself, be connected to itself, and keep the server out.
 */
export const freePort = async (): Promise<number> => {
  for (let tries = 0; tries < 100; tries++) {
    const port = randomInt(16_000, 32_000)
    if (await isFree(port)) return port
  }
  throw new Error('no free port')
}

const isFree = async (port: number): Promise<boolean> => {
  const probe = createServer().listen(port, '127.0.0.1')
  try {
    await once(probe, 'listening')
  } catch {
    return false
  }
  probe.close()
  await once(probe, 'close')
  return true
}
