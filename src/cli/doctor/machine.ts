import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'

import type { Config } from '../../config.ts'
import { shareConnections } from '../../serve/open-files.ts'
import { fail, type Finding, ok, warn } from './finding.ts'

/** What `engines` of the package asks for. */
const leastNode = 26

export const checkNode = (): Finding => {
  const { node } = process.versions
  return Number(node.split('.')[0]) >= leastNode
    ? ok('node', `Node ${node}`)
    : fail('node', `Node ${node} is too old for this program`, `install Node ${leastNode} or newer (nodejs.org)`)
}

/** Whoever breaks into a process of root owns the machine. */
export const checkUser = (): Finding =>
  process.getuid?.() === 0
    ? warn(
        'user',
        'this is root; nothing here needs that',
        'run filmgate as a user of its own: useradd --system filmgate, and chown its data folder',
      )
    : ok('user', 'not root')

/** Each connection is an open file. A service may have another limit than this shell; its own start tells. */
export const checkFiles = (config: Config): Finding => {
  const { api, warning } = shareConnections(config)
  return warning === undefined
    ? ok('open files', `enough for ${api} connections`)
    : warn('open files', warning, 'raise LimitNOFILE of the service or ulimit -n, or lower server.max_connections')
}

/** Before this program was made no clock can be right. */
const madeMs = Date.UTC(2026, 0, 1)

/** A minute: file systems and their servers are never that far off. */
const toleranceMs = 60_000

/** Files that carry a later time than now, or a year of long ago: votes would be dated wrongly, and TLS certificates refused. */
export const checkClock = ({ data }: Config): Finding => {
  const nowMs = Date.now()
  const stamps = ['filmgate.db', 'filmgate.db-wal', 'master.key', 'starter.key']
    .map((name) => join(data.dir, name))
    .flatMap((path) => (existsSync(path) ? [statSync(path).mtimeMs] : []))
  const aheadMs = Math.max(...stamps, 0) - nowMs
  const fix = 'set the clock and keep it right: timedatectl set-ntp true'
  if (nowMs < madeMs) return fail('clock', `it is ${new Date(nowMs).toISOString()}, before this program was made`, fix)
  if (aheadMs > toleranceMs)
    return warn('clock', `files of the data folder are ${Math.round(aheadMs / 1000)} s ahead of it: it went back`, fix)
  return ok('clock', new Date(nowMs).toISOString())
}
