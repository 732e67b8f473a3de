/**
 * Text that was written as windows-1252 and read as Mac Roman: é (byte E9) became È, ½ (BD) became Ω, … (85) became Ö.
 * Both tables come from the platform's decoders (WHATWG Encoding, section 9: `macintosh` and `windows-1252`).
 */
const windows1252FromMac: ReadonlyMap<string, string> = new Map(
  Array.from({ length: 0x80 }, (_, index): [string, string] => {
    const byte = Uint8Array.of(0x80 + index)
    return [new TextDecoder('macintosh').decode(byte), new TextDecoder('windows-1252').decode(byte)]
  }),
)

/**
 * What correct text does not do. Each string is judged as a whole, because one wrong decoder read all of it.
 * A capital that begins a word (Österreich), a word of capitals (ÉTÉ), a middle dot between capitals (WALL·E) or two l (col·lecció) and
 * a cent sign (Ri¢hie) are correct somewhere, so they prove nothing.
 */
const signs: readonly RegExp[] = [
  /\p{Ll}[À-ÖØ-Þ]|\p{L}[À-ÖØ-Þ]\p{Ll}/u,
  /[\p{L}\p{N}][‡‚„‰Ω¯¸ˆˇ˘-˝\u{F8FF}]/u,
  /(?!l·l)\p{Ll}·\p{Ll}/u,
  /(?<=\s)Ö(?=\s)/u,
]

export function looksMisread(text: string): boolean {
  return signs.some((sign) => sign.test(text))
}

/** The text as it was written, or the text itself when nothing proves a misreading or when it could not have been one. */
export function repairCharset(text: string): string {
  if (!looksMisread(text)) return text
  let repaired = ''
  for (const char of text) {
    const original = char < '\u0080' ? char : windows1252FromMac.get(char)
    // A character that Mac Roman does not have (³), or a byte that is a control in windows-1252: it was never Mac Roman.
    if (original === undefined || /\p{Cc}/u.test(original)) return text
    repaired += original
  }
  return repaired
}
