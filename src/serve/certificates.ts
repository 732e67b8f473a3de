import type { Server } from 'node:tls'

import type { FastifyInstance } from 'fastify'

import { type Config, ConfigError, isLoopback } from '../config.ts'
import type { Clock } from '../core/clock.ts'
import type { Observe } from '../core/events.ts'
import { type Log, renewTicketKeys, replaceCertificate, ticketKeyMs } from '../layers/index.ts'
import { type Certificates, inspectFiles, openCertificates, type TlsMaterial, type TlsMistake } from '../tls.ts'

export interface TlsOptions {
  readonly config: Config
  readonly clock: Clock
  readonly log: Log
  readonly observe: Observe
  /** For people. */
  readonly print: (text: string) => void
  readonly dataDir: () => string
}

export interface Tls {
  readonly certificates: Certificates
  /** Keeps the certificate and the ticket keys of these servers fresh; returns what ends that. */
  readonly keep: (servers: readonly FastifyInstance[]) => () => void
  /** What SIGHUP does. */
  readonly reload: () => void
  /** What is worth a look now. */
  readonly warnings: () => readonly string[]
  /** The origin to call the server by, under a name that its certificate is for; `address` where it listens. */
  readonly originOf: (address: string) => string
}

/** Two calls of stat(2) a second: that is less than any way of being told, works on every file system, and sees symbolic links change. */
const lookMs = 1000

const dayMs = 86_400_000

/** Undefined where `tls.mode` is "off". Throws a `ConfigError` where the files cannot be used. */
export const openTls = async (options: TlsOptions): Promise<Tls | undefined> => {
  const { config, clock, log, observe, print } = options
  let kept: readonly Server[] = []
  const onReplaced = (material: TlsMaterial, told: string): void => {
    for (const server of kept) replaceCertificate(server, material)
    observe({ event: 'sys_config_reload', ok: true, error: null })
    log.note('info', told)
    print(`${told}.\n`)
  }
  const onRefused = (mistakes: readonly TlsMistake[]): void => {
    const error = mistakes.map(({ key, message }) => `${key} ${message}`).join('; ')
    observe({ event: 'sys_config_reload', ok: false, error })
    print(`${error}\nThe certificate from before stays in use.\n`)
  }
  const names = servedNames(config)
  const opened = await openCertificates({ ...options, epochMs: clock.epochMs, names, onReplaced, onRefused })
  if (opened === undefined) return undefined
  if ('mistakes' in opened) {
    const { origins } = config
    throw new ConfigError(opened.mistakes.map(({ key, message }) => ({ key, message, source: origins.get(key) ?? 'default' })))
  }
  // A full disk, in dev mode: the certificate in force does for a while.
  const failed = (error: unknown): void => log.note('warn', `The TLS certificate: ${String(error)}`)
  const reload = (): void => void opened.reload().catch(failed)
  const warnings = (): readonly string[] => [...nameless(config), ...opened.warnings()]
  const warn = createDailyWarning(warnings, clock, log)
  warn()
  const keep = (servers: readonly FastifyInstance[]): (() => void) => {
    kept = servers.map(({ server }) => server).filter((server) => 'setTicketKeys' in server) as unknown as readonly Server[]
    const looking = setInterval(() => void opened.look().catch(failed), lookMs)
    const renewing = setInterval(() => {
      kept.forEach(renewTicketKeys)
      reload()
      warn()
    }, ticketKeyMs)
    return () => {
      clearInterval(looking)
      clearInterval(renewing)
    }
  }
  const originOf = (address: string): string => {
    const { publicUrl } = config.server
    if (!opened.isPublic || publicUrl !== '') return opened.isPublic ? publicUrl : address
    const name = names.find(opened.isFor)
    return name === undefined ? address : `https://${name.includes(':') ? `[${name}]` : name}${/:\d+$/.exec(address)?.[0] ?? ''}`
  }
  return { certificates: opened, keep, reload, warnings, originOf }
}

/** Bound for others, and called nothing that they could ask for: each of them would be told 421. */
const nameless = (config: Config): readonly string[] =>
  isLoopback(config.server.host) || servedNames(config).length > 0
    ? []
    : ['server.public_url and server.hosts are empty: requests for the name in the certificate are refused with 421']

/** In the log once a day, for as long as it is so; /readyz tells of it all the time. */
const createDailyWarning = (warnings: Tls['warnings'], { monotonicMs }: Clock, log: Log) => {
  let toldMs = -Infinity
  return (): void => {
    const now = warnings()
    if (now.length === 0 || monotonicMs() - toldMs < dayMs) return
    toldMs = monotonicMs()
    for (const warning of now) log.note('warn', warning)
  }
}

const anyAddress: ReadonlySet<string> = new Set(['0.0.0.0', '::'])

/** The names by which other machines know this server, without ports and brackets. */
const servedNames = ({ server: { publicUrl, hosts, host } }: Config): readonly string[] => {
  const named = [...(publicUrl === '' ? [] : [new URL(publicUrl).host]), ...hosts].map(withoutPort)
  const bound = anyAddress.has(host) ? [] : [host]
  return [...new Set([...named, ...bound])].filter((name) => !isLoopback(name))
}

const withoutPort = (host: string): string => host.replace(/^\[([^\]]*)\](?::\d+)?$|^([^:[\]]+):\d+$/, '$1$2')

/** What a start would say of the files of `tls.mode` "files". */
export const inspectCertificate = (config: Config, nowMs: number) => inspectFiles(config, servedNames(config), nowMs)
