/**
 * Text from outside, as a JSON string that no terminal, log viewer or line-based tool can be tricked with: control characters (CR/LF and
 * ANSI injection, CWE-117), the characters that turn the reading direction, and line separators are escaped.
 */
export const quote = (text: string, maxLength: number): string => {
  const shown = text.length > maxLength ? `${text.slice(0, maxLength)}…` : text
  return plain.test(shown) ? `"${shown}"` : JSON.stringify(shown).replace(deceptive, escapeCharacter)
}

/** Printable ASCII without quote and backslash: nearly everything, and it needs no work. */
const plain = /^[\x20-\x21\x23-\x5b\x5d-\x7e]*$/

const deceptive = /[\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g

const escapeCharacter = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
