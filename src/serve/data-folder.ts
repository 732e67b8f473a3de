import { chmodSync, mkdirSync, readdirSync } from 'node:fs'

import { type Config, ConfigError } from '../config.ts'

const ownFiles: ReadonlySet<string> = new Set(['filmgate.db', 'master.key', 'starter.key', 'claim.code', 'security.txt', 'dev-tls.pem'])

/** For its owner alone (0700). A folder that holds other people's files is refused: closing it would lock them out. */
export const openDataDir = ({ data, origins }: Config): string => {
  const { dir } = data
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  if (isForeign(dir)) {
    throw new ConfigError([
      {
        key: 'data.dir',
        message: 'names a folder with other files in it; name a new or an empty one',
        source: origins.get('data.dir') ?? 'default',
      },
    ])
  }
  chmodSync(dir, 0o700)
  return dir
}

/** Whether it holds files, and none of them is ours. */
export const isForeign = (dir: string): boolean => {
  const entries = readdirSync(dir)
  return entries.length > 0 && !entries.some((name) => ownFiles.has(name))
}
