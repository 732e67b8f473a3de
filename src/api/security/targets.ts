import { type Cidr, clientPrefix, formatAddress, inCidr, parseAddress, parseCidr } from '../../core/address.ts'
import type { DecisionScope } from '../../layers/index.ts'

/** Whom a decision, or a question, is about, in canonical spelling. */
export interface Target {
  readonly scope: DecisionScope
  readonly target: string
}

/** Wider than what any one provider was ever given, and a slip more likely than a wish (the largest allocations of IPv6 are /19). */
const widest = { ipv4: 8, ipv6: 19 }

/** An address, or the prefix that it is of: two spellings of a client must never be two. A string is why it is none. */
export const readClient = (text: string): Target | string => {
  const [address = '', bits, ...rest] = text.split('/')
  const parts = parseAddress(address)
  if (parts === undefined || rest.length > 0) return 'is no address'
  const target = clientPrefix(parts)
  if (bits === undefined) return { scope: 'client', target }
  const prefix = parts.length === 4 ? bits === '32' : bits === '64' && target === `${formatAddress(parts)}/64`
  return prefix ? { scope: 'client', target } : 'is no client: name an address, or a CIDR with the scope range'
}

/** A CIDR without host bits: whoever writes them means an address, or slipped. */
export const readRange = (text: string): Target | string => {
  const cidr = parseCidr(text)
  if (cidr === undefined) return 'is no CIDR such as 192.0.2.0/24'
  const { parts, bits } = cidr
  if (lastOf(cidr, 0).some((part, i) => part !== parts[i])) return 'has bits behind its prefix'
  if (parts.length === 4 ? bits < widest.ipv4 : bits < widest.ipv6)
    return `is too wide: at most /${widest.ipv4} of IPv4, /${widest.ipv6} of IPv6`
  if (parts.length === 8 && bits > 64) return 'is narrower than a client: name an address with the scope client'
  return { scope: 'range', target: `${formatAddress(parts)}/${bits}` }
}

/** One credential; that of another issuer stands for everybody who comes from there. */
export const readPrincipal = (text: string): Target | string =>
  /^key:[0-9A-Za-z]{12}$/.test(text) || /^session:[\w-]{22}$/.test(text)
    ? { scope: 'principal', target: text }
    : 'is neither key: and the id of an API key nor session: and the id of a session'

/** The first and the last address of a range. */
export const endsOf = (range: string): readonly [string, string] | undefined => {
  const cidr = parseCidr(range)
  return cidr && [formatAddress(lastOf(cidr, 0)), formatAddress(lastOf(cidr, 1))]
}

export const isInRange = (address: string, range: string): boolean => {
  const [parts, cidr] = [parseAddress(address.split('/', 1)[0] ?? ''), parseCidr(range)]
  return parts !== undefined && cidr !== undefined && inCidr(parts, cidr)
}

/** The address with all bits behind the prefix 0 or 1. */
const lastOf = ({ parts, bits }: Cidr, bit: 0 | 1): readonly number[] => {
  const width = parts.length === 4 ? 8 : 16
  return parts.map((part, i) => {
    const free = width - Math.max(0, Math.min(width, bits - i * width))
    const mask = 2 ** free - 1
    return bit === 1 ? part | mask : part & ~mask
  })
}
