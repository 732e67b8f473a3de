import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net'

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8)
loopback.addAddress('::1', 'ipv6')

/** Whether listening there is out of reach from other machines: 127.0.0.0/8, ::1, localhost (RFC 6761 section 6.3). */
export function isLoopback(host: string): boolean {
  const version = isIP(host)
  if (version === 0) return host.toLowerCase() === 'localhost'
  return loopback.check(host, version === 4 ? 'ipv4' : 'ipv6')
}

const everywhere: ReadonlySet<string> = new Set(['0.0.0.0', '::', ''])

/** Whether two listeners on these hosts would want the same port. */
export function sharesPorts(one: string, other: string): boolean {
  const [a, b] = [canonical(one), canonical(other)]
  if (a === b || everywhere.has(a) || everywhere.has(b)) return true
  return [a, b].includes('localhost') && [a, b].some((host) => host === '127.0.0.1' || host === '::1')
}

/** IPv6 as RFC 5952 writes it: the URL parser does that. */
const canonical = (host: string): string => (isIPv6(host) && !host.includes('%') ? bracketed(host).slice(1, -1) : host.toLowerCase())
const bracketed = (address: string): string => new URL(`http://[${address}]`).hostname

const trustEverybody = 'would believe the X-Forwarded-For of everybody, so anyone could take any address and escape every limit and ban'

/** What is wrong with one entry of trusted_proxies, or undefined. */
export const cidrMistake = (entry: string): string | undefined =>
  /^\d+$/.test(entry) ? hopCountMistake : entryMistake(entry, `${trustEverybody}: name the networks of your proxies`)

/** What is wrong with one entry of limits.exempt, or undefined. */
export const exemptMistake = (entry: string): string | undefined =>
  entryMistake(entry, 'would free everybody of every limit: name the networks of your own machines')

/** What is wrong with one entry of monitor.allow, or undefined. */
export const allowMistake = (entry: string): string | undefined =>
  entryMistake(entry, 'would spare everybody whatever they do: name the networks of people you trust')

/** Networks in CIDR notation (RFC 4632, RFC 4291), nothing else; `tooWide` says why none may hold everybody. */
function entryMistake(entry: string, tooWide: string): string | undefined {
  if (entry === 'true' || entry === '*') return tooWide
  if (isIP(entry) !== 0 && !entry.includes('%')) return `is an address: write it as a network, with /${isIPv4(entry) ? 32 : 128} after it`
  const [, address = '', digits = ''] = /^([^/%]+)\/(0|[1-9]\d{0,2})$/.exec(entry) ?? []
  const version = isIP(address)
  const width = version === 4 ? 32 : 128
  const length = Number(digits)
  if (version === 0 || length > width) return 'is not a network in CIDR notation, such as 10.0.0.0/8 or fd00::/8'
  // Two /1 networks are /0 by another name. 10.0.0.0/8 and fc00::/7 are the widest that people own.
  if (length < (version === 4 ? 8 : 7)) return tooWide
  return networkMistake(version === 4 ? ipv4Bits(address) : ipv6Bits(address), width, length)
}

/** Why a number of hops is refused, wherever it stands. */
export const hopCountMistake =
  'must be networks: a hop count believes whatever stands at that place of X-Forwarded-For, which a client who reaches the server another way writes itself'

function networkMistake(bits: bigint, width: 32 | 128, length: number): string | undefined {
  const beyond = BigInt(width - length)
  // ::ffff:0:0/96 is all of IPv4, whatever part of it is named: its own notation is checked above.
  const top = BigInt(128 - Math.min(length, 96))
  if (width === 128 && bits >> top === 0xffff_0000_0000n >> top) return 'covers IPv4 addresses in IPv6 notation: write them as IPv4'
  // 10.0.0.5/24: one machine or all its neighbours? The wrong guess trusts 255 strangers.
  if ((bits & ((1n << beyond) - 1n)) !== 0n)
    return `has bits set after the prefix: write the network's first address, or /${width} for one address`
  return undefined
}

const ipv4Bits = (address: string): bigint => address.split('.').reduce((bits, octet) => (bits << 8n) | BigInt(octet), 0n)

function ipv6Bits(address: string): bigint {
  const [head = '', tail = ''] = canonical(address).split('::')
  const [left, right] = [head, tail].map((half) => (half === '' ? [] : half.split(':'))) as [string[], string[]]
  const groups = [...left, ...Array<string>(8 - left.length - right.length).fill('0'), ...right]
  return groups.reduce((bits, group) => (bits << 16n) | BigInt(`0x${group}`), 0n)
}

const hostName = /^(?!.{254})[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*$/i

/** What is wrong with one entry of server.hosts, or undefined: a name, an IPv4 address or a bracketed IPv6 address, with or without a port. */
export function hostMistake(entry: string): string | undefined {
  if (entry.includes('://')) return 'must be a host such as films.example.com, without a scheme'
  if (isIPv6(entry)) return 'is an IPv6 address: write it in brackets'
  if (entry.includes('*')) return 'has a wildcard: a Host header is compared with exact names only'
  const [, host = '', port] = /^(\[[^\]]*\]|[^:[\]]*)(?::(\d{1,5}))?$/.exec(entry) ?? []
  const validPort = port === undefined || (!port.startsWith('0') && Number(port) <= 65_535)
  if (!validPort || !isHost(host)) return 'is not a host or host:port, such as films.example.com or films.example.com:8443'
  return undefined
}

/** What is wrong with an address or a name to listen on, or undefined. */
export const bindMistake = (host: string): string | undefined =>
  isIP(host) !== 0 || (isHost(host) && !host.startsWith('['))
    ? undefined
    : 'is not an address or a name of this machine, such as 127.0.0.1, ::1 or 0.0.0.0'

function isHost(host: string): boolean {
  if (host.startsWith('[')) return isIPv6(host.slice(1, -1)) && !host.includes('%')
  // A last label in digits makes it an IPv4 address (WHATWG URL section 3.5), so it must be a proper one.
  return /(?:^|\.)\d+$/.test(host) ? isIPv4(host) : hostName.test(host)
}
