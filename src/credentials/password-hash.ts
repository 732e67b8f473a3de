import { argon2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

/** RFC 9106 section 3.1. */
interface Parameters {
  readonly memoryKiB: number
  readonly passes: number
  readonly lanes: number
}

interface StoredHash extends Parameters {
  readonly salt: Buffer
  readonly tag: Buffer
}

/** OWASP Password Storage Cheat Sheet: the least for argon2id with one lane. */
const today: Parameters = { memoryKiB: 19_456, passes: 2, lanes: 1 }
const saltBytes = 16
const tagBytes = 32

/** What a stored hash may ask for: who can write one row must not be able to stop the server with it. */
const most: Parameters = { memoryKiB: 131_072, passes: 10, lanes: 4 }

/**
 * argon2id (RFC 9106) as a PHC string (github.com/P-H-C/phc-string-format). The password is hashed as it is: no normalisation, no change of
 * case, no trimming (ASVS 6.2.8). Takes some 40 ms of a core and 19 MiB in a thread of libuv's pool: `HashGate` says how many at once.
 */
export const hashPassword = async (password: string): Promise<string> => {
  // UTF-8 has no form for them: all would be hashed as U+FFFD, and one such password would do for another.
  if (!password.isWellFormed()) throw new TypeError('a password has a lone surrogate')
  const salt = randomBytes(saltBytes)
  return format({ ...today, salt, tag: await derive(password, { ...today, salt, tagLength: tagBytes }) })
}

/**
 * Whether it is the password of that hash, in constant time. False for a null or damaged one, which takes as long as one of today: how long
 * the answer takes does not tell whether there is an account.
 */
export const verifyPassword = async (password: string, stored: string | null): Promise<boolean> => {
  const known = stored === null ? undefined : parseHash(stored)
  const { salt, tag, ...parameters } = known ?? nobodys
  const derived = await derive(password, { ...parameters, salt, tagLength: tag.length })
  return timingSafeEqual(derived, tag) && known !== undefined && password.isWellFormed()
}

/** Whether it was made with less than what is used today. */
export const needsRehash = (stored: string): boolean => {
  const known = parseHash(stored)
  return (
    known === undefined ||
    known.memoryKiB < today.memoryKiB ||
    known.passes < today.passes ||
    known.salt.length < saltBytes ||
    known.tag.length < tagBytes
  )
}

/** Undefined for anything that `hashPassword`, now or in other releases, cannot have made. */
export const parseHash = (text: string): StoredHash | undefined => {
  const [, ...groups] = phc.exec(text) ?? []
  const [memoryKiB = 0, passes = 0, lanes = 0] = groups.slice(0, 3).map(Number)
  const [salt, tag] = groups.slice(3).map((part) => Buffer.from(part, 'base64'))
  if (salt === undefined || tag === undefined) return undefined
  const isBounded = memoryKiB <= most.memoryKiB && passes <= most.passes && lanes <= most.lanes && memoryKiB >= 8 * lanes
  const parsed = { memoryKiB, passes, lanes, salt, tag }
  // Base 64 has several spellings of the same bytes; one of them is ours.
  return isBounded && format(parsed) === text ? parsed : undefined
}

const number = '([1-9][0-9]{0,6})'
/** Salts of 8 to 64 bytes, tags of 16 to 64. */
const phc = new RegExp(String.raw`^\$argon2id\$v=19\$m=${number},t=${number},p=${number}\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$`)

const format = ({ memoryKiB, passes, lanes, salt, tag }: StoredHash): string =>
  `$argon2id$v=19$m=${memoryKiB},t=${passes},p=${lanes}$${unpadded(salt)}$${unpadded(tag)}`

const unpadded = (bytes: Buffer): string => bytes.toString('base64').replaceAll('=', '')

/** Of no password that anybody knows. */
const nobodys: StoredHash = { ...today, salt: randomBytes(saltBytes), tag: randomBytes(tagBytes) }

const run = promisify(argon2)

const derive = (
  password: string,
  { memoryKiB, passes, lanes, salt, tagLength }: Parameters & { readonly salt: Buffer; readonly tagLength: number },
): Promise<Buffer> => run('argon2id', { message: password, nonce: salt, memory: memoryKiB, passes, parallelism: lanes, tagLength })
