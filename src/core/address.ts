/** IP addresses as text and as numbers, in one canonical form each: two spellings of an address must never be two clients. */

/** 4 or 8 numbers: bytes of IPv4, 16-bit groups of IPv6. */
export type AddressParts = readonly number[]

/** Undefined for anything but an IPv4 dotted quad or an IPv6 address (RFC 4291 section 2.2), whose zone id is dropped. */
export const parseAddress = (text: string): AddressParts | undefined => {
  if (!text.includes(':')) return parseIpv4(text)
  const address = text.replace(/%[0-9A-Za-z._~-]+$/, '')
  return address.length > 45 ? undefined : parseIpv6(address)
}

/** Decimal without leading zeros: "010" is 8 to some parsers and 10 to others, which is how filters are passed. */
const parseIpv4 = (text: string): AddressParts | undefined => {
  const parts = text.split('.')
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9][0-9]{0,2})$/.test(part))) return undefined
  const bytes = parts.map(Number)
  return bytes.every((byte) => byte <= 255) ? bytes : undefined
}

const parseIpv6 = (text: string): AddressParts | undefined => {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const [head, tail] = halves.map((half, i) => parseGroups(half, i === halves.length - 1))
  if (head === undefined) return undefined
  if (halves.length === 1) return head.length === 8 ? unmap(head) : undefined
  if (tail === undefined) return undefined
  const missing = 8 - head.length - tail.length
  return missing >= 1 ? unmap([...head, ...Array.from({ length: missing }, () => 0), ...tail]) : undefined
}

/** Only the very end may be written as a dotted quad. */
const parseGroups = (text: string, last: boolean): number[] | undefined => {
  if (text === '') return []
  const groups: number[] = []
  const parts = text.split(':')
  for (const [index, part] of parts.entries()) {
    if (part.includes('.')) {
      const bytes = last && index === parts.length - 1 ? parseIpv4(part) : undefined
      if (bytes === undefined) return undefined
      const [a = 0, b = 0, c = 0, d = 0] = bytes
      groups.push(a * 256 + b, c * 256 + d)
      continue
    }
    if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return undefined
    groups.push(Number.parseInt(part, 16))
  }
  return groups
}

/** ::ffff:a.b.c.d, in hexadecimal too, is the IPv4 host a.b.c.d on a dual-stack socket. */
const unmap = (groups: readonly number[]): AddressParts => {
  const mapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff
  if (!mapped) return groups
  const [high = 0, low = 0] = groups.slice(6)
  return [high >> 8, high & 0xff, low >> 8, low & 0xff]
}

/** RFC 5952 but for the run of zeros, which is always the first longest one; IPv4 as a dotted quad. */
export const formatAddress = (parts: AddressParts): string => {
  if (parts.length === 4) return parts.join('.')
  const hex = parts.map((group) => group.toString(16)).join(':')
  const runs = [...hex.matchAll(/(?:^|:)(0(?::0)+)(?=:|$)/g)].toSorted((a, b) => b[0].length - a[0].length)
  const longest = runs[0]?.[1]
  if (longest === undefined) return hex
  const at = hex.search(new RegExp(`(?:^|:)${longest}(?=:|$)`))
  const before = hex.slice(0, at)
  const after = hex.slice(at + longest.length + (at === 0 && hex.startsWith('0') ? 0 : 1))
  return `${before}::${after.replace(/^:/, '')}`
}

/** The part of an address that one client is taken to own: all of IPv4, /64 of IPv6. */
export const clientPrefix = (parts: AddressParts): string =>
  parts.length === 4 ? formatAddress(parts) : `${formatAddress([...parts.slice(0, 4), 0, 0, 0, 0])}/64`

/** What one owner may have of clients at once: /24 of IPv4, /48 of IPv6 (RFC 6177). */
export const clientNetwork = (parts: AddressParts): string =>
  parts.length === 4 ? `${formatAddress([...parts.slice(0, 3), 0])}/24` : `${formatAddress([...parts.slice(0, 3), 0, 0, 0, 0, 0])}/48`

export interface Cidr {
  readonly parts: AddressParts
  readonly bits: number
}

/** `address/bits`; undefined when malformed. */
export const parseCidr = (text: string): Cidr | undefined => {
  const match = /^(.+)\/(0|[1-9][0-9]{0,2})$/.exec(text)
  const parts = parseAddress(match?.[1] ?? '')
  const bits = Number(match?.[2])
  // ::ffff:10.0.0.0/24 would be a prefix of 24 bits of IPv6, which nobody means, or silently one of IPv4.
  const mapped = parts?.length === 4 && text.includes(':')
  if (parts === undefined || mapped || bits > (parts.length === 4 ? 32 : 128)) return undefined
  return { parts, bits }
}

export const inCidr = (address: AddressParts, { parts, bits }: Cidr): boolean => {
  if (address.length !== parts.length) return false
  const width = parts.length === 4 ? 8 : 16
  return parts.every((part, i) => {
    const shift = Math.max(0, width - Math.max(0, bits - i * width))
    return part >> shift === (address[i] ?? 0) >> shift
  })
}

export const isLoopback = (parts: AddressParts): boolean =>
  parts.length === 4 ? parts[0] === 127 : parts.slice(0, 7).every((group) => group === 0) && parts[7] === 1
