import { randomBytes } from 'node:crypto'
import { closeSync, fchmodSync, fsyncSync, linkSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'

/** Reads a secret's text, or undefined when there is no such file. */
export const readSecretFile = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

/** As `writeSecretFile`, but never over another: of two processes that start at once, both end up with the one that was first. */
export const createSecretFile = (path: string, secret: string): string => {
  const draft = `${path}.${randomBytes(6).toString('hex')}`
  try {
    writeDurably(draft, `${secret}\n`)
    linkSync(draft, path)
    return secret
  } catch (error) {
    const winner = error instanceof Error && 'code' in error && error.code === 'EEXIST' ? readSecretFile(path) : undefined
    if (winner === undefined) throw error
    return winner
  } finally {
    rmSync(draft, { force: true })
  }
}

/** Writes a secret so that a crash leaves the old file or the new one, never half of it, and nobody else can read it (mode 0600). */
export const writeSecretFile = (path: string, secret: string): void => {
  const draft = `${path}.${randomBytes(6).toString('hex')}`
  try {
    writeDurably(draft, `${secret}\n`)
    renameSync(draft, path)
  } catch (error) {
    rmSync(draft, { force: true })
    throw error
  }
  const folder = openSync(dirname(path), 'r')
  fsyncSync(folder)
  closeSync(folder)
}

const writeDurably = (path: string, text: string): void => {
  const file = openSync(path, 'wx', 0o600)
  try {
    fchmodSync(file, 0o600)
    writeSync(file, text)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}
