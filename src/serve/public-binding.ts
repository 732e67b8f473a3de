import { type Config, ConfigError, isLoopback } from '../config.ts'

const unclaimed =
  'is not a loopback address, and there is no admin yet: whoever came first could become it. Start on 127.0.0.1 and claim it, ' +
  'or run: filmgate user add NAME --role admin'

/** Throws a `ConfigError` where other machines could reach a server that nobody administers. That TLS is spoken, or a proxy stands in front, was checked before. */
export const refuseUnclaimedBinding = ({ server, ops, origins }: Config, hasAdmin: boolean): void => {
  if (hasAdmin) return
  const hosts = { 'server.host': server.host, 'ops.host': ops.host }
  const mistakes = Object.entries(hosts)
    .filter(([, host]) => !isLoopback(host))
    .map(([key]) => ({ key, message: unclaimed, source: origins.get(key) ?? 'default' }))
  if (mistakes.length > 0) throw new ConfigError(mistakes)
}

/** For a name with two addresses Fastify makes a second server, which nothing that is attached to the first one reaches: no cap, no new certificate. */
export const listenHost = (host: string): string => (host.toLowerCase() === 'localhost' ? '127.0.0.1' : host)
