import { clientNetwork, clientPrefix, formatAddress, parseAddress } from '../../core/address.ts'
import type { Identity } from '../../layers/index.ts'

/**
 * Whom a text names, spelled as the limiter counts it: `192.0.2.7`, `2001:db8::1` and `2001:db8::/64` (the same client), `2001:db8::/48`
 * (what its /64s share), `@name`, and `192.0.2.7@name`: what that client failed at for that account (docs/login.md). Undefined for anything
 * else.
 */
export const parseIdentity = (text: string): Identity | undefined => {
  if (/^@[a-z0-9._-]{1,64}$/.test(text)) return { id: text }
  const [, whose, name] = /^([^@]+)(@[a-z0-9._-]{1,64})$/.exec(text) ?? []
  if (whose !== undefined && name !== undefined) {
    const client = parseIdentity(whose)
    return client && guessesOf(client.id, name.slice(1))
  }
  const [address = '', bits, ...rest] = text.split('/')
  const parts = parseAddress(address)
  if (parts === undefined || rest.length > 0) return undefined
  if (bits === undefined) return { id: clientPrefix(parts), wider: clientNetwork(parts) }
  const network = bits === '64' ? clientPrefix(parts) : bits === '48' ? clientNetwork(parts) : undefined
  // 2001:db8::5/64: one client or a slip? A prefix has no bits behind it.
  if (parts.length === 4 || network !== `${formatAddress(parts)}/${bits}`) return undefined
  return { id: network, wider: clientNetwork(parts) }
}

const between = ' @'

/** What a client failed at for one account. No prefix holds a blank, so it is nobody else. */
export const guessesOf = (prefix: string, username: string): Identity => ({ id: `${prefix}${between}${username}` })

export const areGuesses = ({ id }: Identity): boolean => id.includes(between)
