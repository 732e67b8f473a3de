import { createHash, hkdfSync, randomBytes } from 'node:crypto'
import { join } from 'node:path'

import { createSecretFile, readSecretFile } from './secret-file.ts'

/** What keys are derived for; a label never changes its meaning, or what was made with it is lost. */
export type KeyLabel =
  | 'voter'
  | 'starter'
  | 'check'
  | 'limits'
  | 'operator'
  | 'audit'
  | 'sealing'
  | 'places'
  | 'challenges'
  | 'cursors'
  | 'installation'
  | 'tried'
  | 'honey'
  | 'decisions'

export interface MasterKey {
  /** HKDF-SHA-256 (RFC 5869) of the master key: 32 bytes, another label gives an unrelated key. */
  derive(label: KeyLabel): Buffer
}

/** The configured key, else the one in `<dataDir>/master.key`, made at the first start. */
export const openMasterKey = (dataDir: string, configured: string): MasterKey => {
  if (configured !== '') return createMasterKey(configured)
  const path = join(dataDir, 'master.key')
  const stored = readSecretFile(path)
  if (stored !== undefined) {
    // An emptied file would silently make every voter id guessable.
    if (stored.length < 43) throw new Error(`${path} is damaged: restore it, or remove it to lose who voted what`)
    return createMasterKey(stored)
  }
  return createMasterKey(createSecretFile(path, randomBytes(32).toString('base64url')))
}

const createMasterKey = (text: string): MasterKey => {
  // Hashed first, so that any spelling of at least 256 bits of secret is a key of the right size.
  const material = createHash('sha256').update(text).digest()
  return { derive: (label) => Buffer.from(hkdfSync('sha256', material, 'filmgate', label, 32)) }
}
