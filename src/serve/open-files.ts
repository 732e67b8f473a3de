import type { Config } from '../config.ts'

/** How many connections each listener may hold. */
export interface Connections {
  readonly api: number
  readonly redirect: number
  readonly ops: number
  /** Set where the process may not open as many files as it would need. */
  readonly warning: string | undefined
}

/**
 * Every connection is an open file, and so is much that must not fail while connections are plenty: the database and its log, connections to
 * PostgreSQL (40), Redis and issuers, certificates, the folder for temporary results. About 40 are open when nobody is connected.
 */
const ownFiles = 160

/** Health is asked for by a few programs; when every other place is taken it must still answer. */
const opsConnections = 64

/** It sends browsers to the other port, and nobody stays. */
const mostRedirects = 1000

/** A connection beyond what the process may open would be closed by the system unseen: so fewer are accepted, and it is told. */
export const shareConnections = ({ server: { maxConnections }, tls }: Config, limit = openFileLimit()): Connections => {
  const redirect = tls.redirectPort === 0 ? 0 : Math.min(maxConnections, mostRedirects)
  const needed = ownFiles + opsConnections + maxConnections + redirect
  if (needed <= limit) return { api: maxConnections, redirect, ops: opsConnections, warning: undefined }
  // Of very few files the listeners have half: with less for itself the program would stumble, with less for them nobody could come.
  const forListeners = Math.max(limit - ownFiles, Math.floor(limit / 2))
  const ops = Math.min(opsConnections, Math.ceil(forListeners / 4))
  const fewer = Math.min(redirect, Math.floor(forListeners / 8))
  const api = Math.min(maxConnections, Math.max(1, forListeners - ops - fewer))
  return {
    api,
    redirect: fewer,
    ops,
    warning: `this process may open ${limit} files, so it holds ${api} connections, not the ${maxConnections} of server.max_connections; ${needed} files would do (LimitNOFILE of systemd, ulimit -n)`,
  }
}

/** Node raises the soft limit to the hard one at its start, so this is what cannot be changed from within. */
const openFileLimit = (): number => {
  const report = process.report as typeof process.report & { excludeNetwork: boolean }
  const before = report.excludeNetwork
  // Looks up the names of all peers else.
  report.excludeNetwork = true
  try {
    const { userLimits } = report.getReport() as { userLimits?: { open_files?: { soft?: unknown } } }
    const soft = userLimits?.open_files?.soft
    return typeof soft === 'number' ? soft : Infinity
  } finally {
    report.excludeNetwork = before
  }
}
