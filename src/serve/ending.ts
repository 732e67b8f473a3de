import type { FastifyInstance } from 'fastify'

import type { LogSink } from '../layers/index.ts'

/** How long a stop waits for answers in flight. */
const drainMs = 10_000

/**
 * Fastify stops accepting, but an answer already in the making says keep-alive, and close() would wait for that connection to time out:
 * so connections are closed as they fall idle. What is not answered in time is cut.
 */
export const drain = async (server: FastifyInstance): Promise<void> => {
  const sweep = setInterval(() => server.server.closeIdleConnections(), 50)
  const cut = setTimeout(() => server.server.closeAllConnections(), drainMs)
  await server.close()
  clearInterval(sweep)
  clearTimeout(cut)
}

/** A second signal during the drain changes nothing. */
export const once = <Arguments extends unknown[]>(
  work: (...given: Arguments) => Promise<void>,
): ((...given: Arguments) => Promise<void>) => {
  let running: Promise<void> | undefined
  return (...given) => (running ??= work(...given))
}

/** The state after a bug is unknown: the last words are written, then the process ends and its supervisor starts a clean one. */
export const reportCrashes = (sink: LogSink, observe: (error: string) => void): void => {
  process.on('uncaughtException', (error) => {
    observe(error.stack ?? String(error))
    sink.flush()
    process.exit(1)
  })
}
