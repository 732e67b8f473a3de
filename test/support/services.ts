import { accessSync, constants, globSync, readdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { describe, test } from 'node:test'

/** Programs of the machine that some tests need beside Node; `scripts/services` installs them. */
export type Service = 'postgres' | 'chromium' | 'openssl' | 'redis' | 'faketime' | 'proxies' | 'crowdsec' | 'fail2ban' | 'prometheus'

const isProgram = (path: string): boolean => {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

const onPath = (name: string): string | undefined =>
  (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find(isProgram)

/** The folder with PostgreSQL's programs: Debian keeps them beside the PATH, one folder a version; the newest is taken. */
export const postgresFolder = (): string | undefined => {
  const debian = '/usr/lib/postgresql'
  let versions: string[] = []
  try {
    versions = readdirSync(debian).toSorted((a, b) => Number(b) - Number(a))
  } catch {
    // Another system, or not installed.
  }
  const folders = [...versions.map((version) => join(debian, version, 'bin')), ...(process.env['PATH'] ?? '').split(delimiter)]
  return folders.find((folder) => isProgram(join(folder, 'postgres')) && isProgram(join(folder, 'initdb')))
}

export const chromiumPath = (): string | undefined => onPath('chromium') ?? onPath('chromium-browser') ?? onPath('google-chrome')

/** Where redis-server and redis-cli are. */
export const redisPrograms = (): { readonly server: string; readonly cli: string } | undefined => {
  const [server, cli] = [onPath('redis-server'), onPath('redis-cli')]
  return server === undefined || cli === undefined ? undefined : { server, cli }
}

/** Debian keeps the daemons where only root's PATH leads. */
export const proxyProgram = (name: 'caddy' | 'nginx' | 'haproxy'): string | undefined =>
  onPath(name) ?? [`/usr/sbin/${name}`, `/usr/local/sbin/${name}`].find(isProgram)

/** The library that gives a program another wall clock, in the build for programs with threads; Debian keeps it in a folder of the machine's kind. */
export const faketimeLibrary = (): string | undefined =>
  ['/usr/lib/*/faketime', '/usr/lib/faketime', '/usr/local/lib/faketime'].flatMap((folder) => globSync(`${folder}/libfaketimeMT.so.1`))[0]

/** The server and the program that checks its files, which are of one package. */
export const prometheusPrograms = (): { readonly server: string; readonly promtool: string } | undefined => {
  const [server, promtool] = [onPath('prometheus'), onPath('promtool')]
  return server === undefined || promtool === undefined ? undefined : { server, promtool }
}

const find: Readonly<Record<Service, () => string | undefined>> = {
  crowdsec: () => onPath('crowdsec-custom-bouncer'),
  fail2ban: () => onPath('fail2ban-server'),
  postgres: postgresFolder,
  chromium: chromiumPath,
  openssl: () => onPath('openssl'),
  redis: () => redisPrograms()?.server,
  faketime: faketimeLibrary,
  proxies: () => ((['caddy', 'nginx', 'haproxy'] as const).every((name) => proxyProgram(name) !== undefined) ? 'all' : undefined),
  prometheus: () => prometheusPrograms()?.server,
}

/**
 * Why what needs these cannot run here, for the `skip` of a test; false where it can. FILMGATE_REQUIRE_SERVICES=1 says that nothing may be
 * skipped: then a missing one throws, which fails the file.
 */
export const servicesMissing = (...services: readonly Service[]): string | false => {
  const missing = services.filter((service) => find[service]() === undefined)
  if (missing.length === 0) return false
  const reason = `not installed: ${missing.join(', ')} (scripts/services installs what is missing)`
  if (process.env['FILMGATE_REQUIRE_SERVICES'] === '1') throw new Error(`FILMGATE_REQUIRE_SERVICES=1, but ${reason}`)
  return reason
}

/** A suite that is skipped for a reason. A skipped `describe` would not be in the count of skipped tests; this is one test there. */
export const describeUnless = (reason: string | false, name: string, suite: () => void): void => {
  if (reason === false) void describe(name, suite)
  else void test(name, { skip: reason })
}
