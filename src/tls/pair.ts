import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { createSecureContext } from 'node:tls'

/** A certificate and its key in PEM, as they go to a TLS server. */
export interface TlsMaterial {
  /** The certificate, then those that lead to one that clients know. */
  readonly cert: string
  readonly key: string
}

/** What is wrong, as the end of a sentence that starts with the key. Never holds a configured value. */
export interface TlsMistake {
  readonly key: 'tls.cert' | 'tls.key'
  readonly message: string
}

/** Material that a server can speak TLS with. */
export interface Pair {
  readonly material: TlsMaterial
  readonly leaf: X509Certificate
  /** What comes behind the leaf, in order. */
  readonly chain: readonly X509Certificate[]
}

export interface PairDemands {
  /** The certificate must be for one of these at least; empty: for any. Names, IPv4 addresses, IPv6 addresses without brackets. */
  readonly names: readonly string[]
  readonly nowMs: number
}

export type JudgedPair = { readonly pair: Pair } | { readonly mistakes: readonly TlsMistake[] }

/** Reads both and finds everything that would keep a client from getting through, before a client does. Throws never. */
export const judgePair = (material: TlsMaterial, demands: PairDemands): JudgedPair => {
  try {
    return judge(material, demands)
  } catch (error) {
    // Of keys that OpenSSL cannot even read: what stands in a file must not end a server that runs.
    return { mistakes: [{ key: 'tls.cert', message: unusable(error) }] }
  }
}

const unusable = (error: unknown): string => `cannot be used: ${(error as { code?: string }).code ?? 'OpenSSL refuses it'}`

const judge = (material: TlsMaterial, demands: PairDemands): JudgedPair => {
  const certificates = certificatesIn(material.cert)
  const key = privateKeyIn(material.key)
  const mistakes: TlsMistake[] = []
  const wrongCert = (message: string | undefined): void => void (message !== undefined && mistakes.push({ key: 'tls.cert', message }))
  const wrongKey = (message: string): void => void mistakes.push({ key: 'tls.key', message })
  const [leaf, ...chain] = certificates ?? []
  if (leaf === undefined) wrongCert('holds no certificate in PEM: it begins with -----BEGIN CERTIFICATE-----')
  else {
    wrongCert(dateMistake(leaf, demands.nowMs))
    wrongCert(nameMistake(leaf, demands.names))
    wrongCert(purposeMistake(leaf))
    wrongCert([leaf, ...chain].map(strengthMistake).find((message) => message !== undefined))
  }
  if (typeof key === 'string') wrongKey(key)
  else if (leaf !== undefined && !leaf.checkPrivateKey(key)) wrongKey('is not the key of the certificate in tls.cert')
  if (mistakes.length === 0) wrongCert(contextMistake(material))
  return leaf === undefined || mistakes.length > 0 ? { mistakes } : { pair: { material, leaf, chain } }
}

const certificatesIn = (text: string): readonly X509Certificate[] | undefined => {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? []
  try {
    return blocks.map((block) => new X509Certificate(block))
  } catch {
    return undefined
  }
}

/** The key, or why there is none. */
const privateKeyIn = (text: string): KeyObject | string => {
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(text))
    return 'is encrypted, and nobody is there to type its passphrase: store it without one, in a file that only this user can read'
  try {
    return createPrivateKey(text)
  } catch {
    return 'holds no private key in PEM'
  }
}

const dateMistake = ({ validFromDate, validToDate }: X509Certificate, nowMs: number): string | undefined => {
  if (validToDate.getTime() <= nowMs) return `expired on ${validToDate.toISOString()}`
  return validFromDate.getTime() > nowMs
    ? `is not valid before ${validFromDate.toISOString()}: is the clock of this machine right?`
    : undefined
}

const nameMistake = (leaf: X509Certificate, names: readonly string[]): string | undefined =>
  names.length === 0 || names.some((name) => isFor(leaf, name))
    ? undefined
    : `is for none of the names of this server (${names.join(', ')}; from server.public_url, server.hosts and server.host)`

/** By its subject alternative names alone (RFC 9525 section 6.3): no client looks at the common name any more. */
export const isFor = (certificate: X509Certificate, name: string): boolean =>
  (isIP(name) === 0 ? certificate.checkHost(name, { subject: 'never' }) : certificate.checkIP(name)) !== undefined

/** Extended key usage (RFC 5280 section 4.2.1.12): absent means any. */
const purposeMistake = ({ keyUsage }: X509Certificate): string | undefined =>
  // Typed as always there, and is not.
  (keyUsage as readonly string[] | undefined)?.some((usage) => usage === serverAuth || usage === anyUsage) === false
    ? 'is not for servers: its extended key usage lacks serverAuth'
    : undefined

const serverAuth = '1.3.6.1.5.5.7.3.1'
const anyUsage = '2.5.29.37.0'

/** What TLS 1.3 clients take (RFC 8446 section 4.2.3). */
const curves: ReadonlySet<string> = new Set(['prime256v1', 'secp384r1', 'secp521r1'])

/** Keys below 112 bits of security and broken digests (RFC 9325 section 4.5; CA/Browser Forum Baseline Requirements sections 6.1.5 and 7.1.3). */
const strengthMistake = (certificate: X509Certificate): string | undefined => {
  const { publicKey, signatureAlgorithm = '' } = certificate as X509Certificate & { readonly signatureAlgorithm?: string }
  const { asymmetricKeyType: type = 'unknown', asymmetricKeyDetails: details = {} } = publicKey
  if (type.startsWith('rsa')) {
    const { modulusLength = 0 } = details
    if (modulusLength < 2048) return `has a certificate with an RSA key of ${modulusLength} bits: 2048 are the least, P-256 is better`
  } else if (type === 'ec') {
    if (!curves.has(details.namedCurve ?? '')) return 'has a certificate with a curve that clients do not take: P-256 is the one for all'
  } else if (type !== 'ed25519' && type !== 'ed448') return `has a certificate with a key of a kind that clients do not take (${type})`
  // Nobody verifies what a certificate says of itself.
  const isRoot = certificate.subject === certificate.issuer
  return !isRoot && /sha-?1(?!\d)|md[245]/i.test(signatureAlgorithm)
    ? `has a certificate that is signed with a broken digest (${signatureAlgorithm})`
    : undefined
}

/** OpenSSL's own judgement at 112 bits, for what the fields above do not tell, such as the digest of an RSA-PSS signature. */
const contextMistake = ({ cert, key }: TlsMaterial): string | undefined => {
  try {
    createSecureContext({ cert, key, ciphers: 'DEFAULT:@SECLEVEL=2' })
    return undefined
  } catch (error) {
    return unusable(error)
  }
}

const dayMs = 86_400_000

/** Two weeks; a third of its life where that is a week or less (short-lived certificates, CA/Browser Forum Baseline Requirements section 1.6.1). */
const noticeMs = ({ validFromDate, validToDate }: X509Certificate): number => {
  const lifeMs = validToDate.getTime() - validFromDate.getTime()
  return lifeMs <= 7 * dayMs ? lifeMs / 3 : 14 * dayMs
}

/** What is worth a look though it works: the certificate, or one that leads from it to a root, soon ends. */
export const expiryWarning = ({ leaf, chain }: Pair, nowMs: number): string | undefined => {
  const [ending] = [leaf, ...chain]
    .filter((certificate) => certificate.validToDate.getTime() - nowMs < noticeMs(certificate))
    .toSorted((a, b) => a.validToDate.getTime() - b.validToDate.getTime())
  if (ending === undefined) return undefined
  const what = ending === leaf ? 'The TLS certificate' : 'An intermediate certificate in tls.cert'
  const days = Math.floor((ending.validToDate.getTime() - nowMs) / dayMs)
  const when = days < 0 ? 'has expired' : days === 0 ? 'expires within a day' : `expires in ${days} ${days === 1 ? 'day' : 'days'}`
  return `${what} ${when} (${ending.validToDate.toISOString()}): renew it, docs/https.md says how`
}

/** Whether clients that know only roots get from the leaf to one: each certificate was issued by the next. */
export const isChainWhole = ({ leaf, chain }: Pair): boolean => {
  const all = [leaf, ...chain]
  const isLinked = all.every((one, i) => i === all.length - 1 || one.checkIssued(all[i + 1] ?? one))
  return isLinked && (chain.length > 0 || leaf.subject === leaf.issuer)
}
