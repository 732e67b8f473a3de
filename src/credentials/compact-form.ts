/** The three segments of a JWS in compact serialisation (RFC 7515 section 7.1), as they stand in the text. */
export interface CompactForm {
  readonly header: string
  readonly payload: string
  readonly signature: string
}

/**
 * Undefined unless the text is the one spelling of its bytes: three segments of canonical base64url and nothing else, at most `maxBytes`
 * long. Decoders forgive blanks, padding and stray bits at the end (jose does): then one token would have many texts, and what is remembered
 * or refused by its text could be said anew. A JWE (five segments), a token without a signature and the JSON serialisation end here too.
 */
export const readCompactForm = (text: string, maxBytes: number): CompactForm | undefined => {
  if (text.length > maxBytes) return undefined
  const [header = '', payload = '', signature = '', ...more] = text.split('.', 4)
  const isCompact = more.length === 0 && isCanonical(header) && isCanonical(payload) && isCanonical(signature)
  return isCompact ? { header, payload, signature } : undefined
}

/** Base64url (RFC 4648 section 5) without padding; in the last letter the bits that belong to no byte are zero (section 3.5). */
const isCanonical = (segment: string): boolean => {
  if (!/^[A-Za-z0-9_-]+$/.test(segment)) return false
  const last = segment.at(-1) ?? ''
  const letters = segment.length % 4
  return letters === 0 || (letters === 2 && 'AQgw'.includes(last)) || (letters === 3 && 'AEIMQUYcgkosw048'.includes(last))
}

/**
 * The JSON object in a segment, if it is spelled as `JSON.stringify` spells it: undefined for white space, members that stand there twice (of
 * which readers take one or the other), escapes for nothing, numbers beyond what can be said (1e400), bytes that are no UTF-8.
 */
export const readJsonObject = (segment: string): Readonly<Record<string, unknown>> | undefined => {
  const bytes = Buffer.from(segment, 'base64url')
  let value: unknown
  try {
    value = JSON.parse(bytes.toString('utf8'))
  } catch {
    return undefined
  }
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
  return isObject && Buffer.from(JSON.stringify(value)).equals(bytes) ? (value as Record<string, unknown>) : undefined
}
