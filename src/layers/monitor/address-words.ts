import type { AddressParts } from '../../core/address.ts'

/** An address as words of 32 bits: one of IPv4, four of IPv6. `size` is 0 for what is none. */
export interface AddressWords {
  readonly words: Uint32Array
  size: 0 | 1 | 4
}

export const createAddressWords = (): AddressWords => ({ words: new Uint32Array(4), size: 0 })

const dot = 46
const zero = 48
const colon = 58
const lowerA = 97

/**
 * Reads an address in its canonical spelling (`formatAddress`), and nothing that is no address: it is done for each request, and any spelling
 * would take twenty times as long.
 */
export const readAddress = (text: string, into: AddressWords): void => {
  into.size = 0
  let word = 0
  let byte = 0
  let digits = 0
  let dots = 0
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === dot) {
      if (digits === 0) return
      word = word * 256 + byte
      byte = 0
      digits = 0
      dots++
    } else if (code >= zero && code < zero + 10) {
      // A leading zero would be octal to some.
      if (digits > 0 && byte === 0) return readIpv6(text, into)
      byte = byte * 10 + code - zero
      digits++
      if (byte > 255) return readIpv6(text, into)
    } else return readIpv6(text, into)
  }
  if (dots !== 3 || digits === 0) return
  into.words[0] = word * 256 + byte
  into.size = 1
}

const groups = new Uint16Array(8)

const readIpv6 = (text: string, into: AddressWords): void => {
  into.size = 0
  const last = text.length - 1
  // One colon alone at either end is half of two.
  if (text.charCodeAt(0) === colon && text.charCodeAt(1) !== colon) return
  if (text.charCodeAt(last) === colon && text.charCodeAt(last - 1) !== colon) return
  let count = 0
  let gap = -1
  let group = 0
  let digits = 0
  for (let i = 0; i <= last; i++) {
    const code = text.charCodeAt(i)
    if (code !== colon) {
      const digit = code < zero + 10 ? code - zero : code - lowerA + 10
      if (digit < 0 || digit > 15 || ++digits > 4) return
      group = group * 16 + digit
    } else if (i > 0 && text.charCodeAt(i - 1) === colon) {
      if (gap !== -1) return
      gap = count
    } else if (i > 0) {
      groups[count++ & 7] = group
      group = 0
      digits = 0
    }
  }
  if (digits > 0) groups[count++ & 7] = group
  if (gap === -1 ? count === 8 : count < 8) spread(count, gap, into)
}

/** The zeros that `::` stands for go where it stood. */
const spread = (count: number, gap: number, into: AddressWords): void => {
  into.size = 4
  into.words.fill(0)
  for (let i = 0; i < count; i++) {
    const at = gap === -1 || i < gap ? i : i + 8 - count
    into.words[at >> 1]! |= groups[i]! << (at % 2 === 0 ? 16 : 0)
  }
}

export const addressWords = (parts: AddressParts): AddressWords => {
  const into = createAddressWords()
  into.size = parts.length === 4 ? 1 : 4
  const width = 32 / (parts.length / into.size)
  for (const [i, part] of parts.entries()) into.words[Math.floor((i * width) / 32)]! |= part << (32 - width - ((i * width) % 32))
  return into
}
