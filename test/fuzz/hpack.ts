/** RFC 7541 as far as answers need it: of a server that was told to keep no dynamic table. */

/** Appendix A: names, and the values of those that have one. */
// prettier-ignore
const staticTable: readonly (readonly [name: string, value: string])[] = [
  [':authority', ''], [':method', 'GET'], [':method', 'POST'], [':path', '/'], [':path', '/index.html'], [':scheme', 'http'], [':scheme', 'https'],
  [':status', '200'], [':status', '204'], [':status', '206'], [':status', '304'], [':status', '400'], [':status', '404'], [':status', '500'],
  ...[
    'accept-charset', 'accept-encoding', 'accept-language', 'accept-ranges', 'accept', 'access-control-allow-origin', 'age', 'allow', 'authorization',
    'cache-control', 'content-disposition', 'content-encoding', 'content-language', 'content-length', 'content-location', 'content-range',
    'content-type', 'cookie', 'date', 'etag', 'expect', 'expires', 'from', 'host', 'if-match', 'if-modified-since', 'if-none-match', 'if-range',
    'if-unmodified-since', 'last-modified', 'link', 'location', 'max-forwards', 'proxy-authenticate', 'proxy-authorization', 'range', 'referer',
    'refresh', 'retry-after', 'server', 'set-cookie', 'strict-transport-security', 'transfer-encoding', 'user-agent', 'vary', 'via', 'www-authenticate',
  ].map((name): [string, string] => [name, name === 'accept-encoding' ? 'gzip, deflate' : '']),
]

/** Appendix B: how many bits each printable character takes, from the blank on. The code is canonical: the rest follows. */
// prettier-ignore
const codeLengths = [
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13,
]

/** By the bits of its code, behind a one that keeps the zeros in front. NUL is the only other character among the short ones. */
const characters: ReadonlyMap<number, string> = (() => {
  const symbols = [[13, '\0'] as const, ...codeLengths.map((bits, i) => [bits, String.fromCharCode(32 + i)] as const)]
  const codes = new Map<number, string>()
  let code = 0
  let length = 5
  for (const [bits, character] of symbols.toSorted(([a], [b]) => a - b)) {
    code <<= bits - length
    length = bits
    codes.set((1 << bits) | code, character)
    code++
  }
  return codes
})()

const unpacked = (bytes: Buffer): string => {
  let text = ''
  let code = 1
  for (const byte of bytes) {
    for (let bit = 7; bit >= 0; bit--) {
      code = (code << 1) | ((byte >> bit) & 1)
      const character = characters.get(code)
      if (character === undefined && code < 1 << 20) continue
      if (character === undefined) throw new Error('a code that no field value needs')
      text += character
      code = 1
    }
  }
  // Section 5.2: the rest of the last octet is ones, and less than eight of them.
  if (code > 255 || (code & (code + 1)) !== 0) throw new Error('padding that is none')
  return text
}

const knownField = (index: number): readonly [string, string] => {
  const entry = staticTable[index - 1]
  if (entry === undefined) throw new Error(`entry ${index} of a table that must be empty`)
  return entry
}

/** Every field of a header block, in order. Throws where there is anything that section 2 to 6 do not allow without a dynamic table. */
export const decodeFields = (block: Buffer): readonly (readonly [name: string, value: string])[] => {
  const fields: (readonly [string, string])[] = []
  let at = 0
  const integer = (prefix: number): number => {
    const most = (1 << prefix) - 1
    let value = (block[at++] ?? 0) & most
    if (value < most) return value
    for (let shift = 0; ; shift += 7) {
      const byte = block[at++]
      if (byte === undefined || shift > 21) throw new Error('an integer without an end')
      value += (byte & 127) << shift
      if (byte < 128) return value
    }
  }
  const text = (): string => {
    const isPacked = ((block[at] ?? 0) & 128) !== 0
    const length = integer(7)
    const bytes = block.subarray(at, (at += length))
    if (bytes.length < length) throw new Error('a text beyond the block')
    return isPacked ? unpacked(bytes) : bytes.toString('latin1')
  }
  while (at < block.length) {
    const first = block[at] ?? 0
    if (first >= 128) fields.push(knownField(integer(7)))
    else if (first >= 32 && first < 64) integer(5)
    else {
      const index = integer(first >= 64 ? 6 : 4)
      const name = index === 0 ? text() : knownField(index)[0]
      fields.push([name, text()])
    }
  }
  return fields
}
