import { randomBytes } from 'node:crypto'

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const

/** What browsers take of a leaf at most is 398 days (CA/Browser Forum Baseline Requirements section 6.3.2); a developer's need not be that long. */
const validDays = 90

const dayMs = 86_400_000

export interface DevCertificate {
  /** PEM: the certificate for localhost, 127.0.0.1 and ::1, then its issuer. */
  readonly cert: string
  /** PEM, PKCS #8. */
  readonly key: string
  /** PEM: what a client trusts. Its key is gone, so it can never sign for another name. */
  readonly ca: string
}

/** A local certification authority that signs one certificate, in memory, and is then forgotten but for its own certificate (RFC 5280). */
export const makeDevCertificate = async (nowMs: number): Promise<DevCertificate> => {
  // Only who makes a certificate loads the library, and what it wants to be there before it.
  await import('reflect-metadata')
  const x509 = await import('@peculiar/x509')
  x509.cryptoProvider.set(crypto)
  // The global one: where the DOM's types are known too, they are the library's.
  const { subtle } = crypto
  const newKeys = (extractable: boolean) => subtle.generateKey(algorithm, extractable, ['sign', 'verify'])
  // The authority's key cannot even be read out of this process.
  const [caKeys, keys] = await Promise.all([newKeys(false), newKeys(true)])
  // An hour back, for a client whose clock is behind.
  const dates = { notBefore: new Date(nowMs - 3_600_000), notAfter: new Date(nowMs + validDays * dayMs) }
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    ...dates,
    keys: caKeys,
    name: `CN=Filmgate local development ${randomBytes(4).toString('hex')}`,
    serialNumber: serialNumber(),
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(caKeys.publicKey),
    ],
  })
  const leaf = await x509.X509CertificateGenerator.create({
    ...dates,
    subject: 'CN=localhost',
    issuer: ca.subject,
    publicKey: keys.publicKey,
    signingKey: caKeys.privateKey,
    serialNumber: serialNumber(),
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension([
        { type: 'dns', value: 'localhost' },
        { type: 'ip', value: '127.0.0.1' },
        { type: 'ip', value: '::1' },
      ]),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(caKeys.publicKey),
    ],
  })
  const key = Buffer.from(await subtle.exportKey('pkcs8', keys.privateKey))
  return { cert: `${leaf.toString('pem')}\n${ca.toString('pem')}\n`, key: pem('PRIVATE KEY', key), ca: `${ca.toString('pem')}\n` }
}

/** Positive and 127 bits (RFC 5280 section 4.1.2.2): the first bit is off. */
const serialNumber = (): string => {
  const bytes = randomBytes(16)
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40
  return bytes.toString('hex')
}

const pem = (label: string, der: Buffer): string =>
  `-----BEGIN ${label}-----\n${der.toString('base64').replaceAll(/.{64}(?=.)/g, '$&\n')}\n-----END ${label}-----\n`
