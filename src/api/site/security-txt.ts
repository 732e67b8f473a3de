import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** What the operator says to those who find a weakness (RFC 9116). */
export interface SecurityTxt {
  readonly text: string
  readonly expiresMs: number
}

/** More is no security.txt; it is kept in memory and sent to anybody. */
const maxBytes = 32_768

/**
 * `<dataDir>/security.txt`, which the operator writes, because only they know whom to tell: undefined where there is none. A file that RFC
 * 9116 does not allow stops the start, so that nobody finds it out when it is needed. One that has expired does not: time passes by itself,
 * and a restart must not fail for it.
 */
export const readSecurityTxt = (dataDir: string): SecurityTxt | undefined => {
  const path = join(dataDir, 'security.txt')
  const bytes = readIfThere(path)
  if (bytes === undefined) return undefined
  try {
    return parseSecurityTxt(bytes)
  } catch (error) {
    throw new Error(`${path} is not a security.txt (RFC 9116): ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
}

const readIfThere = (path: string): Buffer | undefined => {
  try {
    return readFileSync(path)
  } catch (error) {
    const { code = String(error) } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return undefined
    // Node does not name a folder that was read as a file.
    throw new Error(`${path} cannot be read (${code})`, { cause: error })
  }
}

/** Throws an Error whose message is the end of a sentence. Lines that are no fields are left alone: a file may be signed (section 2.3). */
export const parseSecurityTxt = (bytes: Buffer): SecurityTxt => {
  if (bytes.length > maxBytes) throw new Error(`it is longer than ${maxBytes} bytes`)
  const text = decode(bytes)
  const fields = text.split(/\r?\n/).flatMap((line) => {
    const match = /^([A-Za-z][A-Za-z-]*): *(.*?) *$/.exec(line)
    return match === null ? [] : [{ name: match[1]?.toLowerCase(), value: match[2] ?? '' }]
  })
  const valuesOf = (wanted: string): string[] => fields.filter(({ name }) => name === wanted).map(({ value }) => value)
  const contacts = valuesOf('contact')
  if (contacts.length === 0) throw new Error('it needs a Contact field')
  const wrong = contacts.find((contact) => !/^(https:\/\/|mailto:|tel:)./i.test(contact) || !URL.canParse(contact))
  if (wrong !== undefined) throw new Error(`Contact must be an https:, mailto: or tel: URI, not ${JSON.stringify(wrong)}`)
  const [expires, ...more] = valuesOf('expires')
  if (expires === undefined || more.length > 0) throw new Error('it needs one Expires field')
  return { text, expiresMs: parseExpires(expires) }
}

const decode = (bytes: Buffer): string => {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (error) {
    throw new Error('it is not UTF-8', { cause: error })
  }
}

/** A date-time of RFC 3339. */
const parseExpires = (value: string): number => {
  const form = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/i
  const milliseconds = form.test(value) ? Date.parse(value.toUpperCase()) : Number.NaN
  if (Number.isNaN(milliseconds) || !isDay(value.slice(0, 10)))
    throw new Error(`Expires must be a time like 2030-01-31T00:00:00Z, not ${JSON.stringify(value)}`)
  return milliseconds
}

/** `Date` takes 30 February for 2 March. */
const isDay = (date: string): boolean => new Date(`${date}T00:00:00Z`).toISOString().startsWith(date)
