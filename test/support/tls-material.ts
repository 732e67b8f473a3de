import { randomBytes, webcrypto } from 'node:crypto'
import { chmodSync, renameSync, writeFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { join } from 'node:path'

import type { ExtendedKeyUsage, X509Certificate } from '@peculiar/x509'

// What the library wants to be there before it.
await import('reflect-metadata')
const x509 = await import('@peculiar/x509')

x509.cryptoProvider.set(webcrypto)

const { subtle } = webcrypto
const dayMs = 86_400_000

const algorithms = {
  'P-256': { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
  'P-256/SHA-1': { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-1' },
  'RSA-2048': { name: 'RSASSA-PKCS1-v1_5', modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' },
  'RSA-1024': { name: 'RSASSA-PKCS1-v1_5', modulusLength: 1024, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' },
} as const

export interface IssueOptions {
  readonly names?: readonly string[]
  /** In days from now. */
  readonly from?: number
  readonly to?: number
  readonly keys?: keyof typeof algorithms
  readonly usage?: ExtendedKeyUsage
}

export interface Issued {
  /** PEM: the certificate, then the chain that leads to the authority, without that. */
  readonly cert: string
  readonly key: string
}

export interface TestAuthority {
  /** PEM, for clients. */
  readonly ca: string
  readonly issue: (options?: IssueOptions) => Promise<Issued>
  /** An authority that this one vouches for: its certificates bring a chain. */
  readonly intermediate: () => Promise<TestAuthority>
}

/** Certificates of every kind, made in this process: dozens of them in a second. */
export const createTestAuthority = (signing: keyof typeof algorithms = 'P-256'): Promise<TestAuthority> => authority(signing)

interface Signer {
  readonly certificate: X509Certificate
  readonly key: CryptoKey
  readonly chain: string
}

type CryptoKey = webcrypto.CryptoKey

const newKeys = (kind: keyof typeof algorithms) => subtle.generateKey(algorithms[kind], true, ['sign', 'verify'])

const datesOf = ({ from = -1, to = 90 }: IssueOptions = {}) => ({
  notBefore: new Date(Date.now() + from * dayMs),
  notAfter: new Date(Date.now() + to * dayMs),
})

const serialNumber = (): string => `4${randomBytes(8).toString('hex').slice(1)}`

const authority = async (signing: keyof typeof algorithms, by?: Signer): Promise<TestAuthority> => {
  const keys = await newKeys(signing)
  const name = `CN=Filmgate tests ${randomBytes(4).toString('hex')}`
  const shared = {
    ...datesOf({ from: -2, to: 365 }),
    serialNumber: serialNumber(),
    signingAlgorithm: algorithms[signing],
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  }
  const certificate =
    by === undefined
      ? await x509.X509CertificateGenerator.createSelfSigned({ ...shared, keys, name })
      : await x509.X509CertificateGenerator.create({
          ...shared,
          subject: name,
          issuer: by.certificate.subject,
          publicKey: keys.publicKey,
          signingKey: by.key,
        })
  const pem = `${certificate.toString('pem')}\n`
  const signer: Signer = { certificate, key: keys.privateKey, chain: by === undefined ? '' : pem + by.chain }
  return {
    ca: pem,
    issue: (options) => issue(signer, signing, options),
    intermediate: () => authority(signing, signer),
  }
}

const issue = async (by: Signer, signing: keyof typeof algorithms, options: IssueOptions = {}): Promise<Issued> => {
  const { names = ['localhost', '127.0.0.1'], keys: kind = 'P-256', usage = x509.ExtendedKeyUsage.serverAuth } = options
  const keys = await newKeys(kind)
  const certificate = await x509.X509CertificateGenerator.create({
    ...datesOf(options),
    subject: 'CN=a test',
    issuer: by.certificate.subject,
    publicKey: keys.publicKey,
    signingKey: by.key,
    serialNumber: serialNumber(),
    signingAlgorithm: algorithms[signing],
    extensions: [
      new x509.ExtendedKeyUsageExtension([usage]),
      new x509.SubjectAlternativeNameExtension(
        names.map((value) => ({ type: isIP(value) === 0 ? ('dns' as const) : ('ip' as const), value })),
      ),
      await x509.AuthorityKeyIdentifierExtension.create(by.certificate.publicKey),
    ],
  })
  const key = Buffer.from(await subtle.exportKey('pkcs8', keys.privateKey)).toString('base64')
  return {
    cert: `${certificate.toString('pem')}\n${by.chain}`,
    key: `-----BEGIN PRIVATE KEY-----\n${key.replaceAll(/.{64}(?=.)/g, '$&\n')}\n-----END PRIVATE KEY-----\n`,
  }
}

/** What `[tls]` names; the key is its owner's alone. */
export const writePair = (folder: string, { cert, key }: Issued): { readonly cert: string; readonly key: string } => {
  const paths = { cert: join(folder, 'fullchain.pem'), key: join(folder, 'privkey.pem') }
  replaceFile(paths.cert, cert)
  replaceFile(paths.key, key)
  return paths
}

/** As a careful program does it: whoever reads gets the old file or the new one. */
const replaceFile = (path: string, text: string): void => {
  writeFileSync(`${path}.new`, text, { mode: 0o600 })
  chmodSync(`${path}.new`, 0o600)
  renameSync(`${path}.new`, path)
}

export const tlsFiles = ({ cert, key }: { readonly cert: string; readonly key: string }) => ({
  FILMGATE_TLS_MODE: 'files',
  FILMGATE_TLS_CERT: cert,
  FILMGATE_TLS_KEY: key,
})
