import { constants, type Stats } from 'node:fs'
import { open, stat } from 'node:fs/promises'

import { type JudgedPair, judgePair, type PairDemands, type TlsMistake } from './pair.ts'

export interface PairPaths {
  readonly cert: string
  readonly key: string
}

/** What stood in the files, and what tells it from what may stand there later. */
export type LoadedPair = JudgedPair & { readonly stamp: string }

/** A chain of certificates has some kilobytes. */
const maxBytes = 1024 * 1024

/** Rejects never: what cannot be read is a mistake like any other. */
export const loadPair = async ({ cert, key }: PairPaths, demands: PairDemands): Promise<LoadedPair> => {
  const [certFile, keyFile] = await Promise.all([readWhole(cert), readWhole(key)])
  const stamp = `${certFile.stamp} ${keyFile.stamp}`
  const mistakes: TlsMistake[] = []
  if (certFile.text === undefined) mistakes.push({ key: 'tls.cert', message: certFile.reason })
  if (keyFile.text === undefined) mistakes.push({ key: 'tls.key', message: keyFile.reason })
  const exposed = keyFile.stats && keyModeMistake(keyFile.stats, process.getuid?.())
  if (exposed !== undefined) mistakes.push({ key: 'tls.key', message: exposed })
  if (certFile.text === undefined || keyFile.text === undefined) return { mistakes, stamp }
  const judged = judgePair({ cert: certFile.text, key: keyFile.text }, demands)
  if (mistakes.length === 0) return { ...judged, stamp }
  return { mistakes: [...mistakes, ...('mistakes' in judged ? judged.mistakes : [])], stamp }
}

/** What changes whenever the files do, through symbolic links too. Costs two calls of stat(2). */
export const stampOf = async ({ cert, key }: PairPaths): Promise<string> => {
  const [certStamp, keyStamp] = await Promise.all(
    [cert, key].map((path) => stat(path).then(stampOfStats, (error: NodeJS.ErrnoException) => error.code ?? 'unknown')),
  )
  return `${certStamp ?? ''} ${keyStamp ?? ''}`
}

/** The time of the last change of the inode, too: a mode that is mended is a change. */
const stampOfStats = ({ dev, ino, size, mtimeMs, ctimeMs }: Stats): string => [dev, ino, size, mtimeMs, ctimeMs].join('/')

const reasons: ReadonlyMap<string, string> = new Map([
  ['ENOENT', 'names no file'],
  ['ENOTDIR', 'names no file'],
  ['EACCES', 'cannot be read: permission denied'],
  ['EPERM', 'cannot be read: permission denied'],
  ['ELOOP', 'leads in a circle of symbolic links'],
])

interface Whole {
  readonly stamp: string
  readonly stats?: Stats
  readonly text?: string
  /** Where there is no text. */
  readonly reason: string
}

/** Looked at and read by one descriptor, so that what is judged is what is used. NONBLOCK: a named pipe must not hold the start. */
const readWhole = async (path: string): Promise<Whole> => {
  try {
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    const stats = await file.stat()
    const stamp = stampOfStats(stats)
    if (!stats.isFile()) return { stamp, reason: 'names something that is no file' }
    if (stats.size > maxBytes) return { stamp, reason: 'names a file of more than 1 MiB' }
    return { stamp, stats, text: await file.readFile('utf8'), reason: '' }
  } catch (error) {
    const { code = 'unknown' } = error as NodeJS.ErrnoException
    return { stamp: code, reason: reasons.get(code) ?? `cannot be read: ${code}` }
  }
}

/**
 * The mode of the file behind the links. A key of root's that this user may read can only be read by its group (a mounted secret, Debian's
 * ssl-cert); its own must be closed to everybody else.
 */
export const keyModeMistake = ({ mode, uid }: Pick<Stats, 'mode' | 'uid'>, ownUid: number | undefined): string | undefined => {
  const byGroup = uid === 0 && ownUid !== 0
  if ((mode & (byGroup ? 0o037 : 0o077)) === 0) return undefined
  return `names a file that others of this machine can read or write (mode ${(mode & 0o777).toString(8).padStart(4, '0')}): chmod ${byGroup ? '640' : '600'}`
}
