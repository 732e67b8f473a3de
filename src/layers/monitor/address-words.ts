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

/** Reads an address in its canonical spelling (`formatAddress`): it is done for each request, and any spelling would take twenty times as long. */
export const readAddress = (text: string, into: AddressWords): void => {
  let word = 0
  let byte = 0
  let dots = 0
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === dot) {
      word = word * 256 + byte
      byte = 0
      dots++
    } else if (code >= zero && code < zero + 10) byte = byte * 10 + code - zero
    else {
      readIpv6(text, into)
      return
    }
  }
  into.words[0] = word * 256 + byte
  into.size = dots === 3 ? 1 : 0
}

const groups = new Uint16Array(8)

const readIpv6 = (text: string, into: AddressWords): void => {
  into.size = 0
  let count = 0
  let gap = -1
  let group = 0
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code !== colon) {
      const digit = code < zero + 10 ? code - zero : code - lowerA + 10
      if (digit < 0 || digit > 15) return
      group = group * 16 + digit
    } else if (i > 0 && text.charCodeAt(i - 1) === colon) gap = count
    else if (i > 0) {
      groups[count++ & 7] = group
      group = 0
    }
  }
  if (text.charCodeAt(text.length - 1) !== colon) groups[count++ & 7] = group
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
