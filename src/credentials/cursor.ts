import { createCipheriv, createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'

/** Where a page of a list ended, in a form that clients can only hand back. */
export interface Cursors {
  /** The same cursor each time. `value` has at most 256 bytes of UTF-8; `list` names what it is a place in. */
  seal(value: string, list: string): string
  /** Undefined for anything that was not sealed here for that list. */
  open(cursor: string, list: string): string | undefined
}

const maxValueBytes = 256
const tagBytes = 16

/** Letters of base64url that the longest cursor has. */
export const maxCursorLength = Math.ceil(((tagBytes + maxValueBytes) * 4) / 3)

/**
 * A synthetic nonce (as in RFC 5297, with HMAC-SHA-256 for its CMAC): the authentication tag is the nonce of AES-256-CTR. Random ones would be
 * worn out by a flood of requests for lists, for two cursors with one nonce betray the key that signs; and one value has one cursor, so that
 * caches and people see that two pages are the same. `key` is the master key's label `cursors`.
 */
export const createCursors = (key: Buffer): Cursors => {
  const [macKey, cipherKey] = ['mac', 'cipher'].map((use) => Buffer.from(hkdfSync('sha256', key, '', use, 32))) as [Buffer, Buffer]
  const tagOf = (bytes: Buffer, list: string): Buffer =>
    // JSON has no line feed: where the name of the list ends is never in doubt.
    createHmac('sha256', macKey)
      .update(`${JSON.stringify(list)}\n`)
      .update(bytes)
      .digest()
      .subarray(0, tagBytes)
  const encipher = (tag: Buffer, bytes: Buffer): Buffer => createCipheriv('aes-256-ctr', cipherKey, tag).update(bytes)
  return {
    seal: (value, list) => {
      const bytes = Buffer.from(value)
      if (bytes.length > maxValueBytes || !value.isWellFormed()) throw new RangeError('a cursor cannot hold that')
      const tag = tagOf(bytes, list)
      return Buffer.concat([tag, encipher(tag, bytes)]).toString('base64url')
    },
    open: (cursor, list) => {
      if (cursor.length > maxCursorLength) return undefined
      const sealed = Buffer.from(cursor, 'base64url')
      // Node reads over what is no base64url, and over bits behind the last byte: one cursor would have many spellings.
      if (sealed.length < tagBytes || sealed.toString('base64url') !== cursor) return undefined
      const tag = sealed.subarray(0, tagBytes)
      const bytes = encipher(tag, sealed.subarray(tagBytes))
      return timingSafeEqual(tag, tagOf(bytes, list)) ? bytes.toString('utf8') : undefined
    },
  }
}
