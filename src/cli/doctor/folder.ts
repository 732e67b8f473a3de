import { accessSync, constants, existsSync, readFileSync, type Stats, statfsSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'

import type { Config } from '../../config.ts'
import { parseApiKey } from '../../credentials/api-key.ts'
import { isForeign } from '../../serve/data-folder.ts'
import { fileReason } from '../input-file.ts'
import { shellQuoted } from '../output.ts'
import { fail, type Finding, ok, warn } from './finding.ts'

/** Below the first /readyz fails, below the second it soon might. */
const leastFreeBytes = 64 * 1024 ** 2
const enoughFreeBytes = 1024 ** 3

/** The data folder and the secrets in it. */
export const checkFolder = (config: Config): Finding[] => {
  const { dir } = config.data
  if (!existsSync(dir)) return [absent(dir), freeDisk(nearestFolder(dir))]
  try {
    const stat = statSync(dir)
    if (!stat.isDirectory()) return [fail('data folder', `${JSON.stringify(dir)} is no folder`, 'name another one in data.dir')]
    return [checkOwner(dir, stat), freeDisk(dir), masterKey(config), starterKey(dir)]
  } catch (error) {
    return [
      fail(
        'data folder',
        `${JSON.stringify(dir)} cannot be looked at: ${fileReason(error)}`,
        `make this user its owner: chown -R "$(id -un)" ${shellQuoted(dir)}`,
      ),
    ]
  }
}

const absent = (dir: string): Finding => {
  const above = nearestFolder(dir)
  return canWrite(above)
    ? ok('data folder', `${JSON.stringify(dir)} is not there yet; the first start makes it`)
    : fail(
        'data folder',
        `${JSON.stringify(dir)} is not there, and this user cannot make it in ${JSON.stringify(above)}`,
        `mkdir -m 700 ${shellQuoted(dir)} as root, and chown it to this user`,
      )
}

const nearestFolder = (path: string): string => (existsSync(path) ? path : nearestFolder(dirname(path)))

const canWrite = (path: string): boolean => {
  try {
    accessSync(path, constants.W_OK | constants.X_OK)
    return true
  } catch {
    return false
  }
}

const modeOf = ({ mode }: Stats): string => (mode & 0o777).toString(8).padStart(4, '0')

const checkOwner = (dir: string, stat: Stats): Finding => {
  const check = 'data folder'
  if (!canWrite(dir)) return fail(check, `this user cannot write in ${JSON.stringify(dir)}`, `chown -R "$(id -un)" ${shellQuoted(dir)}`)
  if (isForeign(dir))
    return fail(check, `${JSON.stringify(dir)} holds other files: no server starts on it`, 'name a new or an empty folder in data.dir')
  if ((stat.mode & 0o077) !== 0) {
    return fail(
      check,
      `${JSON.stringify(dir)} has mode ${modeOf(stat)}: others of this machine can read votes and keys`,
      `chmod 700 ${shellQuoted(dir)}`,
    )
  }
  return ok(check, `${JSON.stringify(dir)}, mode ${modeOf(stat)}`)
}

const freeDisk = (dir: string): Finding => {
  const { bavail, bsize } = statfsSync(dir)
  const free = bavail * bsize
  const detail = `${Math.floor(free / 1024 ** 2)} MiB free`
  const fix = `make room on the file system of ${shellQuoted(dir)} (df -h ${shellQuoted(dir)}), or move data.dir`
  if (free < leastFreeBytes) return fail('disk', `${detail}: votes and films soon cannot be stored`, fix)
  return free < enoughFreeBytes ? warn('disk', detail, fix) : ok('disk', detail)
}

const masterKey = ({ data, secrets }: Config): Finding => {
  if (secrets.key !== '') return ok('master key', 'configured (secrets.key)')
  const path = join(data.dir, 'master.key')
  if (!existsSync(path)) return ok('master key', 'not there yet; the first start makes it')
  const damaged = (): Finding | undefined =>
    readFileSync(path, 'utf8').trim().length < 43
      ? fail(
          'master key',
          `${JSON.stringify(path)} is damaged: no server starts with it`,
          'restore it from a backup; without it who voted for what is lost (remove it to accept that)',
        )
      : undefined
  return checkSecret('master key', path, damaged)
}

const starterKey = (dir: string): Finding => {
  const path = join(dir, 'starter.key')
  if (!existsSync(path)) return ok('starter key', 'not there: a start makes one, unless there is an admin')
  const damaged = (): Finding | undefined =>
    parseApiKey(readFileSync(path, 'utf8').trim()) === undefined
      ? warn('starter key', `${JSON.stringify(path)} holds no API key`, 'start the server: it replaces it')
      : undefined
  return checkSecret('starter key', path, damaged)
}

const checkSecret = (check: string, path: string, damaged: () => Finding | undefined): Finding => {
  try {
    const stat = statSync(path)
    if ((stat.mode & 0o077) !== 0)
      return fail(check, `${JSON.stringify(path)} has mode ${modeOf(stat)}: others can read it`, `chmod 600 ${shellQuoted(path)}`)
    return damaged() ?? ok(check, `${JSON.stringify(path)}, mode ${modeOf(stat)}`)
  } catch (error) {
    return fail(check, `${JSON.stringify(path)} cannot be read: ${fileReason(error)}`, `chown "$(id -un)" ${shellQuoted(path)}`)
  }
}
