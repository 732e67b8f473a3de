import { statfs } from 'node:fs/promises'

import type { FastifyInstance } from 'fastify'

import type { Database } from '../../db/open.ts'
import type { Metrics } from '../../layers/index.ts'

export interface OpsOptions {
  readonly database: Database
  /** The folder in which the database grows, or undefined where it is kept elsewhere. */
  readonly databaseDir: string | undefined
  /** Counts requests in another program; undefined where they are counted in this one. */
  readonly limiter?: Limiter | undefined
  /** Findings of the process itself that make it worth a look though it serves, such as an untrusted proxy. */
  readonly warnings: () => readonly string[]
  readonly metrics: Pick<Metrics, 'text' | 'contentType'>
}

interface Limiter {
  /** Whether it answers now. */
  readonly isUp: () => boolean
  /** What becomes of requests while it does not. */
  readonly whileDown: 'local' | 'deny' | 'allow'
}

/** Below this SQLite soon cannot grow its log, and votes start to fail. */
const minFreeBytes = 64 * 1024 * 1024

interface Check {
  readonly name: string
  readonly ok: boolean
  readonly detail?: string
}

/** For the orchestrator and the operator, on the ops listener alone. */
export const opsRoutes = (app: FastifyInstance, { database, databaseDir, limiter, warnings, metrics }: OpsOptions): void => {
  const config = { access: 'public', limits: 'none' } as const

  app.get('/livez', { config }, (_request, reply) => reply.send({ status: 'ok' }))

  app.get('/readyz', { config }, async (_request, reply) => {
    const checks = [
      await usable(database),
      ...(databaseDir === undefined ? [] : [await disk(databaseDir)]),
      ...(limiter === undefined ? [] : [counted(limiter)]),
    ]
    const ok = checks.every((check) => check.ok)
    return reply.code(ok ? 200 : 503).send({ status: ok ? 'ok' : 'error', checks, warnings: [...warnings(), ...uncounted(limiter)] })
  })

  app.get('/metrics', { config: { ...config, produces: 'text/plain' } }, async (_request, reply) =>
    reply.type(metrics.contentType).send(await metrics.text()),
  )
}

/** A durable write, because a database that can only be read is not ready to take votes. */
const usable = async (database: Database): Promise<Check> => {
  try {
    await database.probe()
    return { name: 'database', ok: true }
  } catch {
    // Why stands in the log (sys_store_failure); a message of the database may hold paths and SQL.
    return { name: 'database', ok: false, detail: 'cannot be written or read' }
  }
}

const disk = async (dataDir: string): Promise<Check> => {
  try {
    const { bavail, bsize } = await statfs(dataDir)
    const freeMib = Math.floor((bavail * bsize) / (1024 * 1024))
    return { name: 'disk', ok: bavail * bsize >= minFreeBytes, detail: `${freeMib} MiB free` }
  } catch {
    return { name: 'disk', ok: false, detail: 'the data folder cannot be looked at' }
  }
}

/** An instance that goes on without the store serves; one that refuses everything is better left out by who sends the requests. */
const counted = ({ isUp, whileDown }: Limiter): Check => {
  if (isUp()) return { name: 'limits', ok: true }
  return { name: 'limits', ok: whileDown !== 'deny', detail: `limits.store does not answer; ${meanwhile[whileDown]}` }
}

const meanwhile = {
  local: 'this instance counts alone, with its share of the limits',
  deny: 'everything is refused',
  allow: 'nothing is limited',
}

const uncounted = (limiter: Limiter | undefined): readonly string[] => {
  const { ok, detail } = limiter === undefined ? { ok: true } : counted(limiter)
  return ok && detail !== undefined ? [detail] : []
}
