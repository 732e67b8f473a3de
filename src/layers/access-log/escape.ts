/**
 * Text from outside, as a JSON string that no terminal, log viewer or line-based tool can be tricked with: control characters (CR/LF and
 * ANSI injection, CWE-117), those that turn the reading direction or are not seen (Unicode category Cf), and line separators are escaped.
 */
export const quote = (text: string, maxLength: number): string => {
  // Before anything is cut: a secret without its end is still one.
  const safe = hints.test(text) ? text.replace(credentials, '[redacted]') : text
  const shown = safe.length > maxLength ? `${safe.slice(0, maxLength)}…` : safe
  return plain.test(shown) ? `"${shown}"` : JSON.stringify(shown).replace(deceptive, escapeCharacter)
}

/**
 * API keys, refresh tokens, tokens of half-done logins and JSON Web Tokens that somebody put into a path, a parameter or an agent, whole or
 * cut off: what can be recognised never reaches the log. The checksum of a key is not asked for, because it can be computed.
 */
const credentials = /fg(?:_|%5f)[0-9a-z]{12}(?:_|%5f)[0-9a-z]{8,}|fg[rm](?:_|%5f)(?:[\w-]|%5f|%2d){8,}|eyJ[\w-]{8,}\.[\w.-]{8,}/gi

const hints = /fg[rm]?[_%]|eyJ/i

/** Printable ASCII without quote and backslash: nearly everything, and it needs no work. */
const plain = /^[\x20-\x21\x23-\x5b\x5d-\x7e]*$/

const deceptive = /[\u007f-\u009f\p{Cf}\p{Zl}\p{Zp}]/gu

/** Unit by unit: beyond the first plane JSON knows pairs alone (RFC 8259 section 7). */
const escapeCharacter = (character: string): string =>
  Array.from({ length: character.length }, (_, at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`).join('')
