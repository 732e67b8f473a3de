import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'

/** What an authenticator may be told to get wrong. */
export interface Misbehaviour {
  readonly origin?: string
  readonly rpId?: string
  readonly type?: string
  readonly challenge?: string
  readonly crossOrigin?: unknown
  readonly userPresent?: boolean
  readonly userVerified?: boolean
  /** Instead of one more than the last time. */
  readonly counter?: number
  readonly userHandle?: string | null
  /** Signs with another key. */
  readonly foreignKey?: boolean
  readonly format?: string
  /** CBOR of the attestation statement. */
  readonly statement?: Buffer
}

export interface Created {
  readonly id: string
  readonly rawId: string
  readonly type: 'public-key'
  readonly clientExtensionResults: Readonly<Record<string, unknown>>
  readonly response: { readonly clientDataJSON: string; readonly attestationObject: string; readonly transports: readonly string[] }
}

export interface Asserted {
  readonly id: string
  readonly rawId: string
  readonly type: 'public-key'
  readonly clientExtensionResults: Readonly<Record<string, unknown>>
  readonly response: {
    readonly clientDataJSON: string
    readonly authenticatorData: string
    readonly signature: string
    readonly userHandle: string | null
  }
}

type Options = Readonly<Record<string, unknown>>

export interface Authenticator {
  /** The credential id. */
  readonly id: string
  /** What `navigator.credentials.create()` gives for these options, by its toJSON(). */
  create(options: Options, misbehaviour?: Misbehaviour): Created
  /** What `navigator.credentials.get()` gives. */
  get(options: Options, misbehaviour?: Misbehaviour): Asserted
}

export interface AuthenticatorOptions {
  readonly origin: string
  /** False: it has no counter, and always says zero, as passkeys that are synchronised do. */
  readonly counts?: boolean
  /** The key may be copied between devices. */
  readonly isSynced?: boolean
}

/** One credential of a browser and its authenticator in one: WebAuthn level 3 with ES256 and no attestation, byte by byte. */
export const createAuthenticator = ({ origin, counts = true, isSynced = false }: AuthenticatorOptions): Authenticator => {
  const id = randomBytes(16)
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  let counter = 0
  let owner: string | undefined

  const clientData = (type: string, challenge: unknown, wrong: Misbehaviour): Buffer =>
    Buffer.from(
      JSON.stringify({
        type: wrong.type ?? type,
        challenge: wrong.challenge ?? challenge,
        origin: wrong.origin ?? origin,
        crossOrigin: wrong.crossOrigin ?? false,
      }),
    )

  /** Section 6.1. */
  const authenticatorData = (rpId: unknown, wrong: Misbehaviour, attested: Buffer = Buffer.alloc(0)): Buffer => {
    if (counts) counter++
    const flags =
      (wrong.userPresent === false ? 0 : 0x01) |
      (wrong.userVerified === false ? 0 : 0x04) |
      (isSynced ? 0x18 : 0) |
      (attested.length > 0 ? 0x40 : 0)
    const count = Buffer.alloc(4)
    count.writeUInt32BE(wrong.counter ?? counter)
    return Buffer.concat([sha256(wrong.rpId ?? String(rpId)), Buffer.from([flags]), count, attested])
  }

  return {
    id: id.toString('base64url'),
    create: (options, wrong = {}) => {
      const { rp, user, challenge } = options as { rp: { id: string }; user: { id: string }; challenge: string }
      owner = user.id
      const length = Buffer.alloc(2)
      length.writeUInt16BE(id.length)
      const attested = Buffer.concat([Buffer.alloc(16), length, id, coseKey(publicKey)])
      const data = authenticatorData(rp.id, wrong, attested)
      const attestationObject = cborMap([
        [cborText('fmt'), cborText(wrong.format ?? 'none')],
        [cborText('attStmt'), wrong.statement ?? cborMap([])],
        [cborText('authData'), cborBytes(data)],
      ])
      return {
        ...identified(id),
        response: {
          clientDataJSON: clientData('webauthn.create', challenge, wrong).toString('base64url'),
          attestationObject: attestationObject.toString('base64url'),
          transports: ['internal', 'hybrid'],
        },
      }
    },
    get: (options, wrong = {}) => {
      const { rpId, challenge } = options
      const client = clientData('webauthn.get', challenge, wrong)
      const data = authenticatorData(rpId, wrong)
      const key = wrong.foreignKey === true ? generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey : privateKey
      return {
        ...identified(id),
        response: {
          clientDataJSON: client.toString('base64url'),
          authenticatorData: data.toString('base64url'),
          signature: sign('sha256', Buffer.concat([data, sha256(client)]), key).toString('base64url'),
          userHandle: wrong.userHandle === undefined ? (owner ?? null) : wrong.userHandle,
        },
      }
    },
  }
}

const identified = (id: Buffer) => ({
  id: id.toString('base64url'),
  rawId: id.toString('base64url'),
  type: 'public-key' as const,
  clientExtensionResults: {},
})

const sha256 = (data: string | Buffer): Buffer => createHash('sha256').update(data).digest()

/** RFC 8949, as much of it as it takes: lengths up to 65535. */
const head = (major: number, value: number): Buffer =>
  value < 24
    ? Buffer.from([(major << 5) | value])
    : value < 256
      ? Buffer.from([(major << 5) | 24, value])
      : Buffer.from([(major << 5) | 25, value >> 8, value & 255])

const cborInteger = (value: number): Buffer => (value < 0 ? head(1, -1 - value) : head(0, value))
const cborBytes = (bytes: Buffer): Buffer => Buffer.concat([head(2, bytes.length), bytes])
export const cborText = (text: string): Buffer => Buffer.concat([head(3, Buffer.byteLength(text)), Buffer.from(text)])
export const cborList = (items: readonly Buffer[]): Buffer => Buffer.concat([head(4, items.length), ...items])
export const cborMap = (entries: readonly (readonly [Buffer, Buffer])[]): Buffer =>
  Buffer.concat([head(5, entries.length), ...entries.flat()])

/** RFC 9053 section 7.1.1: EC2, ES256, P-256. */
const coseKey = (key: KeyObject): Buffer => {
  const { x = '', y = '' } = key.export({ format: 'jwk' })
  return cborMap([
    [cborInteger(1), cborInteger(2)],
    [cborInteger(3), cborInteger(-7)],
    [cborInteger(-1), cborInteger(1)],
    [cborInteger(-2), cborBytes(Buffer.from(x, 'base64url'))],
    [cborInteger(-3), cborBytes(Buffer.from(y, 'base64url'))],
  ])
}
