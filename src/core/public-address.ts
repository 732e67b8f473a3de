import { type Cidr, inCidr, isLoopback, parseAddress, parseCidr } from './address.ts'

const networks = (...texts: readonly string[]): readonly Cidr[] => texts.map(parseCidr).filter((network) => network !== undefined)

/** Of machines that only their own network reaches: RFC 1122, RFC 1918, RFC 6598 (behind a carrier's NAT), RFC 4193. */
const privateNetworks = networks('127.0.0.0/8', '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', '::1/128', 'fc00::/7')

/** Nobody's web server, whatever the configuration allows: link-local (a cloud's metadata is there), multicast, reserved, examples. */
const forbiddenIpv4 = networks(
  '0.0.0.0/8',
  '169.254.0.0/16',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
)

/** Of the addresses that are given out (RFC 4291 section 2.4), those that lead elsewhere: protocols, Teredo, 6to4, examples. */
const globalIpv6 = networks('2000::/3')
const forbiddenIpv6 = networks('2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20')

/** An IPv6-only network reaches IPv4 through these (RFC 6052 section 2.1): what counts is the address inside. */
const translated = networks('64:ff9b::/96')

const isIn = (address: readonly number[], list: readonly Cidr[]): boolean => list.some((network) => inCidr(address, network))

/**
 * Whether a connection to that address leaves for the public internet (IANA's registries of special-purpose addresses), or, with
 * `allowPrivate`, for a network of one's own. Anything that is no address is neither.
 */
export const isReachable = (text: string, allowPrivate: boolean): boolean => {
  const address = parseAddress(text)
  if (address === undefined || text.includes('%')) return false
  if (isIn(address, translated)) {
    const [high = 0, low = 0] = address.slice(6)
    return isReachable([high >> 8, high & 0xff, low >> 8, low & 0xff].join('.'), false)
  }
  if (isIn(address, privateNetworks)) return allowPrivate
  return address.length === 4 ? !isIn(address, forbiddenIpv4) : isIn(address, globalIpv6) && !isIn(address, forbiddenIpv6)
}

export const isLoopbackAddress = (text: string): boolean => isLoopback(parseAddress(text) ?? [])
