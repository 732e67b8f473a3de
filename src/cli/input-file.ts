import { randomBytes } from 'node:crypto'
import { constants, createReadStream } from 'node:fs'
import { type FileHandle, open, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

const reasons: ReadonlyMap<string, string> = new Map([
  ['ENOENT', 'no such file'],
  ['EACCES', 'permission denied'],
  ['EPERM', 'permission denied'],
  ['EISDIR', 'it is a folder'],
  ['ENOSPC', 'no space is left'],
  ['EDQUOT', 'no space is left'],
  ['EIO', 'the disk fails'],
])

/** What went wrong with a file, in words, without a stack. */
export const fileReason = (error: unknown): string => {
  const { code, message } = error as { code?: string; message?: string }
  return reasons.get(code ?? '') ?? code ?? message ?? 'unknown error'
}

/**
 * A file that can be read twice. What can be read only once (`-` is standard input; a pipe, a device) is copied into `spoolDir()` first, to a
 * file that nobody else can open and that is gone when the process is, however it ends.
 */
export const openInput = async (path: string, spoolDir: () => string, signal: AbortSignal): Promise<FileHandle> => {
  if (path === '-') return spool(process.stdin, spoolDir(), signal)
  const file = await open(path, constants.O_RDONLY).catch((error: unknown) => {
    throw new Error(`cannot read ${JSON.stringify(path)}: ${fileReason(error)}`)
  })
  const stat = await file.stat()
  if (stat.isFile()) return file
  if (stat.isDirectory()) {
    await file.close()
    throw new Error(`cannot read ${JSON.stringify(path)}: it is a folder`)
  }
  return spool(createReadStream('', { fd: file, autoClose: true }), spoolDir(), signal)
}

const spool = async (from: Readable, folder: string, signal: AbortSignal): Promise<FileHandle> => {
  const path = join(folder, `.import-${randomBytes(6).toString('hex')}`)
  const file = await open(path, 'wx+', 0o600)
  try {
    // It lives on without a name until it is closed.
    await unlink(path)
    const keep = async (chunks: AsyncIterable<Buffer>): Promise<void> => {
      for await (const chunk of chunks) await file.appendFile(chunk)
    }
    await pipeline(from, keep, { signal })
    return file
  } catch (error) {
    await file.close()
    if (signal.aborted) throw error
    throw new Error(`cannot keep the input in ${JSON.stringify(folder)}: ${fileReason(error)}`, { cause: error })
  }
}
