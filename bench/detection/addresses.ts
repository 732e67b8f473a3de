/** The nth client, each in a network of its own: of 198.18.0.0/15, which is there for benchmarks (RFC 2544), and so on through 10.0.0.0/8. */
export const addressOf = (n: number): string =>
  n < 512 ? `198.${18 + (n >> 8)}.${n & 255}.${1 + ((n * 37) % 250)}` : `10.${(n >> 8) & 255}.${n & 255}.${1 + ((n * 37) % 250)}`

/** The nth /64, each in a /48 of its own, of 2001:db8::/32 (RFC 3849). */
export const addressOf6 = (n: number): string => `2001:db8:${n.toString(16)}:1::${(n * 37).toString(16)}`

/** The nth of one /24. */
export const neighbour = (n: number): string => `203.0.113.${1 + (n % 254)}`

/** The nth /64 of one /48. */
export const neighbour6 = (n: number): string => `2001:db8:ffff:${n.toString(16)}::1`
