import type { Config } from './config.ts'
import { openDevPair } from './tls/dev-pair.ts'
import { expiryWarning, isChainWhole, isFor, type Pair, type TlsMaterial, type TlsMistake } from './tls/pair.ts'
import { loadPair, stampOf } from './tls/pair-files.ts'
import { createPairWatch } from './tls/pair-watch.ts'

export { devNames } from './tls/dev-pair.ts'
export type { TlsMaterial, TlsMistake } from './tls/pair.ts'

/** The certificate that is served, and what keeps it the right one. */
export interface Certificates {
  /** The one in force. */
  readonly material: TlsMaterial
  /** One that clients trust without further ado. Only then is HSTS sent: it would lock people out of a name that they can't verify. */
  readonly isPublic: boolean
  /** Dev mode: the file of the authority that clients are told to trust. */
  readonly caPath: string | undefined
  /** Whether it is for that name or address. */
  readonly isFor: (name: string) => boolean
  /** What is worth a look now. */
  readonly warnings: () => readonly string[]
  /** Looks whether there is another one; to be called about once a second. */
  readonly look: () => Promise<void>
  /** Takes another one at once, and tells again of what is wrong. Makes a new one in dev mode, where that is due. */
  readonly reload: () => Promise<void>
}

export interface CertificatesOptions {
  readonly config: Config
  /** Made where it is not there. */
  readonly dataDir: () => string
  readonly epochMs: () => number
  /** What the certificate must be for, one of them at least; empty: for anything. */
  readonly names: readonly string[]
  readonly onReplaced: (material: TlsMaterial, told: string) => void
  readonly onRefused: (mistakes: readonly TlsMistake[]) => void
}

export type OpenedCertificates = Certificates | { readonly mistakes: readonly TlsMistake[] } | undefined

/** Undefined where `tls.mode` is "off"; mistakes where the files cannot be used. */
export const openCertificates = async (options: CertificatesOptions): Promise<OpenedCertificates> => {
  const { mode } = options.config.tls
  if (mode === 'off') return undefined
  return mode === 'dev' ? openDev(options) : openFiles(options)
}

const openFiles = async ({ config, epochMs, names, onReplaced, onRefused }: CertificatesOptions): Promise<OpenedCertificates> => {
  const load = () => loadPair(config.tls, { names, nowMs: epochMs() })
  const first = await load()
  if ('mistakes' in first) return { mistakes: first.mistakes }
  let current = first.pair
  const watch = createPairWatch({
    source: { stamp: () => stampOf(config.tls), load },
    first,
    onReplaced: (pair) => {
      current = pair
      onReplaced(pair.material, toldOf(pair))
    },
    onRefused,
  })
  return {
    get material() {
      return current.material
    },
    isPublic: true,
    caPath: undefined,
    isFor: (name) => isFor(current.leaf, name),
    warnings: () => [
      ...watch.refused().map(({ key, message }) => `${key} ${message}; the certificate from before is in use`),
      ...[expiryWarning(current, epochMs())].filter((warning) => warning !== undefined),
    ],
    look: watch.look,
    reload: watch.reload,
  }
}

const openDev = async ({ dataDir, epochMs, onReplaced }: CertificatesOptions): Promise<Certificates> => {
  const folder = dataDir()
  let current = await openDevPair(folder, epochMs())
  return {
    get material() {
      return current.pair.material
    },
    isPublic: false,
    caPath: current.caPath,
    isFor: (name) => isFor(current.pair.leaf, name),
    warnings: () => [],
    // Nobody else writes it.
    look: () => Promise.resolve(),
    reload: async () => {
      current = await openDevPair(folder, epochMs())
      if (current.isNew) onReplaced(current.pair.material, `${toldOf(current.pair)}; clients have to trust ${current.caPath} again`)
    },
  }
}

const toldOf = ({ leaf }: Pair): string => `The TLS certificate was replaced; this one ends on ${leaf.validToDate.toISOString()}`

/** What the doctor tells of a certificate. */
export interface Inspection {
  readonly mistakes: readonly TlsMistake[]
  /** Subject alternative names as they stand there; undefined where there is no usable certificate. */
  readonly altNames: string | undefined
  readonly endsMs: number
  readonly expiry: string | undefined
  readonly isChainWhole: boolean
  /** Names of this server that it is not for. */
  readonly missing: readonly string[]
}

/** Mode "files" without a server. */
export const inspectFiles = async ({ tls }: Config, names: readonly string[], nowMs: number): Promise<Inspection> => {
  const loaded = await loadPair(tls, { names, nowMs })
  if ('mistakes' in loaded) {
    return { mistakes: loaded.mistakes, altNames: undefined, endsMs: 0, expiry: undefined, isChainWhole: false, missing: [] }
  }
  const { pair } = loaded
  const { leaf } = pair
  return {
    mistakes: [],
    altNames: leaf.subjectAltName,
    endsMs: leaf.validToDate.getTime(),
    expiry: expiryWarning(pair, nowMs),
    isChainWhole: isChainWhole(pair),
    missing: names.filter((name) => !isFor(leaf, name)),
  }
}
