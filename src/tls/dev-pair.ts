import { chmodSync, existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

import { readSecretFile, writeSecretFile } from '../credentials/secret-file.ts'
import { makeDevCertificate } from './dev-certificate.ts'
import { isFor, judgePair, type Pair } from './pair.ts'

export interface DevPair {
  readonly pair: Pair
  /** The certificate of the authority, which clients are told to trust. */
  readonly caPath: string
  /** False where it was kept from an earlier start. */
  readonly isNew: boolean
}

/** All that a development certificate is for. */
export const devNames = ['localhost', '127.0.0.1', '::1'] as const

/** A developer who trusts the new authority today should have peace for a month at least. */
const renewBeforeMs = 30 * 86_400_000

/** The certificate that is kept in the data folder, as long as it is whole and has a month left; else a new one, by a new authority. */
export const openDevPair = async (dataDir: string, nowMs: number): Promise<DevPair> => {
  const path = join(dataDir, 'dev-tls.pem')
  const caPath = join(dataDir, 'dev-ca.pem')
  const kept = readKept(path, nowMs)
  if (kept !== undefined) {
    writeAuthority(caPath, kept)
    return { pair: kept, caPath, isNew: false }
  }
  const { cert, key } = await makeDevCertificate(nowMs)
  // One file, so that the two always belong together.
  writeSecretFile(path, `${key}${cert}`.trimEnd())
  const pair = readKept(path, nowMs)
  if (pair === undefined) throw new Error('the development certificate that was made just now cannot be used')
  writeAuthority(caPath, pair)
  return { pair, caPath, isNew: true }
}

/** Undefined where it is not there, damaged, soon over, not all of ours, or was open to others, who then have its key. */
const readKept = (path: string, nowMs: number): Pair | undefined => {
  const text = readSecretFile(path)
  if (text === undefined || (statSync(path).mode & 0o077) !== 0) return undefined
  const judged = judgePair({ cert: text, key: text }, { names: devNames, nowMs: nowMs + renewBeforeMs })
  if ('mistakes' in judged) return undefined
  const { pair } = judged
  const { leaf, chain } = pair
  const [authority] = chain
  const isWhole = authority !== undefined && leaf.checkIssued(authority) && leaf.verify(authority.publicKey)
  return isWhole && leaf.validFromDate.getTime() <= nowMs && devNames.every((name) => isFor(leaf, name)) ? pair : undefined
}

/** It always is the one that the kept certificate leads to, whatever befell the file; nothing in it is secret. */
const writeAuthority = (path: string, { chain: [authority] }: Pair): void => {
  const text = authority?.toString().trim() ?? ''
  if (!existsSync(path) || readFileSync(path, 'utf8').trim() !== text) writeSecretFile(path, text)
  chmodSync(path, 0o644)
}
