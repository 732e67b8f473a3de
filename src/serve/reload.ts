import { type Config, reloadable } from '../config.ts'
import type { Observe } from '../core/events.ts'
import type { Log } from '../layers/index.ts'
import { refuseUnknownRoutes } from './known-routes.ts'
import type { LiveProtections } from './protections.ts'

export interface ReloadOptions {
  readonly config: Config
  readonly log: Log
  readonly observe: Observe
  readonly protections: LiveProtections
  readonly routes: Parameters<typeof refuseUnknownRoutes>[1]
  /** For people. */
  readonly print: (text: string) => void
  /** With the configuration that is in force from now on. */
  readonly onReloaded: (config: Config) => void
}

export interface Reloading {
  /** Where a key of the configuration in force was set. */
  readonly originOf: (key: string) => string
  /** Takes over what can change while the server runs; whatever is wrong with it leaves everything as it was. */
  readonly reload: (load: () => Config) => void
}

/** What SIGHUP does: read and checked as a whole, then swapped as a whole. */
export const createReloading = ({ config, log, observe, protections, routes, print, onReloaded }: ReloadOptions): Reloading => {
  let current = config
  const apply = (next: Config): readonly string[] => {
    const { config: reloaded, ignored } = reloadable(current, next)
    refuseUnknownRoutes(reloaded, routes)
    protections.replace(reloaded)
    log.configure(reloaded.log)
    current = reloaded
    onReloaded(reloaded)
    return ignored.map(({ key, message, source }) => `${source}: ${key} ${message}`)
  }
  return {
    originOf: (key) => current.origins.get(key) ?? 'default',
    reload: (load) => {
      try {
        const ignored = apply(load())
        observe({ event: 'sys_config_reload', ok: true, error: null })
        for (const line of ignored) log.note('warn', line)
        print(['The configuration was read again.', ...ignored, ''].join('\n'))
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error)
        observe({ event: 'sys_config_reload', ok: false, error: message })
        print(`${message}\nNothing has changed.\n`)
      }
    },
  }
}
