import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import type { Config } from './config.ts'
import { readSecretFile, writeSecretFile } from './credentials/secret-file.ts'

/** What TLS is spoken with, in PEM. */
export interface TlsMaterial {
  /** The certificate, then those that lead to one that clients know. */
  readonly cert: string
  readonly key: string
}

export interface Certificates {
  /** The one in force. */
  readonly material: TlsMaterial
  /** One that clients trust without further ado. Only then is HSTS sent: it would lock people out of a name that they can't verify. */
  readonly isPublic: boolean
  /** Dev mode: the file of the authority that clients are told to trust. */
  readonly caPath: string | undefined
}

export interface CertificatesOptions {
  readonly config: Config
  /** Made where it is not there. */
  readonly dataDir: () => string
  readonly epochMs: () => number
}

/** Undefined where `tls.mode` is "off". */
export const openCertificates = async (options: CertificatesOptions): Promise<Certificates | undefined> => {
  const { tls } = options.config
  if (tls.mode === 'off') return undefined
  if (tls.mode === 'dev') return openDevCertificate(options)
  return { material: { cert: readFileSync(tls.cert, 'utf8'), key: readFileSync(tls.key, 'utf8') }, isPublic: true, caPath: undefined }
}

const openDevCertificate = async ({ dataDir, epochMs }: CertificatesOptions): Promise<Certificates> => {
  const folder = dataDir()
  const path = join(folder, 'dev-tls.pem')
  const caPath = join(folder, 'dev-ca.pem')
  const kept = readSecretFile(path)
  if (kept !== undefined) return { material: { cert: kept, key: kept }, isPublic: false, caPath }
  const { makeDevCertificate } = await import('./tls/dev-certificate.ts')
  const { cert, key, ca } = await makeDevCertificate(epochMs())
  // One file, so that the two always belong together.
  writeSecretFile(path, `${key}${cert}`.trimEnd())
  writeSecretFile(caPath, ca.trimEnd())
  return { material: { cert, key }, isPublic: false, caPath }
}
