/**
 * JSON that means the same to every reader (RFC 8259 leaves the rest open, RFC 7493 closes it): no duplicate keys, no deep nesting, no
 * names that reach into prototypes, no text that is not Unicode.
 */

/** Why a body is refused, in words for the client. */
export class StrictJsonError extends Error {
  override readonly name = 'StrictJsonError'
}

/** `ignoreBOM` keeps a byte order mark as a character, which JSON.parse then refuses: RFC 8259 section 8.1 forbids senders to add one. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** `what` is the name of the bytes in messages. Throws a StrictJsonError. */
export const parseStrictJson = (bytes: Uint8Array, maxDepth: number, what = 'body'): unknown => {
  const text = decode(bytes, what)
  const members = scan(text, maxDepth, what)
  const value = parse(text, what)
  if (countMembers(value) < members) throw new StrictJsonError('An object has the same member twice.')
  return value
}

const decode = (bytes: Uint8Array, what: string): string => {
  try {
    return utf8.decode(bytes)
  } catch {
    throw new StrictJsonError(`The ${what} is not valid UTF-8.`)
  }
}

const parse = (text: string, what: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    throw new StrictJsonError(`The ${what} is not valid JSON.`)
  }
}

/**
 * Counts the colons outside strings, one a member, and refuses depth, before anything is built. Hops from quote to quote, so long strings
 * cost one search.
 */
const scan = (text: string, maxDepth: number, what: string): number => {
  let members = 0
  let depth = 0
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === quoteCode) i = endOfString(text, i)
    else if (code === colonCode) members++
    else if (code === openBrace || code === openBracket) {
      if (++depth > maxDepth) throw new StrictJsonError(`The ${what} is nested more than ${maxDepth} levels deep.`)
    } else if (code === closeBrace || code === closeBracket) depth--
  }
  return members
}

const [quoteCode, colonCode, openBrace, closeBrace, openBracket, closeBracket, backslash] = ['"', ':', '{', '}', '[', ']', '\\'].map((c) =>
  c.charCodeAt(0),
)

/** The index of the closing quote; a quote behind an odd run of backslashes is escaped. */
const endOfString = (text: string, start: number): number => {
  for (let end = text.indexOf('"', start + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let before = end - 1
    while (text.charCodeAt(before) === backslash) before--
    if ((end - before) % 2 === 1) return end
  }
  return text.length
}

/** Fewer members than colons means that a later key replaced an earlier one, however either was escaped. */
const countMembers = (value: unknown): number => {
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw new StrictJsonError('A string holds half of a surrogate pair.')
    return 0
  }
  if (typeof value !== 'object' || value === null) return 0
  if (Array.isArray(value)) return value.reduce<number>((sum, item) => sum + countMembers(item), 0)
  let members = 0
  for (const [name, member] of Object.entries(value)) {
    if (name === '__proto__' || name === 'constructor' || name === 'prototype')
      throw new StrictJsonError(`A member cannot be called ${name}.`)
    members += 1 + countMembers(name) + countMembers(member)
  }
  return members
}
