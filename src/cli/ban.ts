import type { Decision } from '../api/security/schema.ts'
import { parseDuration } from '../config/duration.ts'
import { parseAddress, parseCidr } from '../core/address.ts'
import { askServer, urlOption } from './ask-server.ts'
import { type Command, UsageError } from './command.ts'
import { print, printJson } from './output.ts'
import { lasting, plain } from './words.ts'

const types = ['ban', 'tighten', 'require_login'] as const

export const ban: Command = {
  name: 'ban',
  operands: ['TARGET'],
  summary: 'Refuses a client, a network, a credential or an account for a while',
  details: `TARGET is an address (an IPv6 one stands for its /64), a CIDR, key: or session: and an id, a subject, or
@ and a username. It asks the running server of this configuration; in force at once there, and within a
second on its other instances. Loopback, trusted proxies and monitor.allow are never refused, and an account
never at a place where it was used before.`,
  options: {
    for: { value: 'TIME', text: 'how long: 90s, 30m, 4h, 7d; default 4h, at most 366d' },
    reason: { value: 'TEXT', text: 'for operators and the audit trail; who is refused is not told' },
    type: { value: 'TYPE', text: 'ban, tighten (ten requests a minute are left) or require_login; default ban' },
    ...urlOption,
  },
  example: "filmgate ban 203.0.113.7 --for 4h --reason 'takes the whole catalogue'",
  run: async (call) => {
    const config = call.loadConfig()
    const [target = ''] = call.operands
    const { for: time = '4h', reason = 'by hand', type = 'ban', url } = call.options
    const lastsMs = parseDuration(String(time))
    if (lastsMs === undefined) throw new UsageError('--for must be a time such as 90s, 30m, 4h or 7d')
    if (!types.some((one) => one === type)) throw new UsageError(`--type must be one of ${types.join(', ')}`)
    const expiresAt = new Date(Date.now() + lastsMs).toISOString()
    const body = { scope: scopeOf(target), target, type, reason, expires_at: expiresAt }
    const text = await askServer(config, { method: 'POST', path: '/v1/security/decisions', body, url })
    const decision = JSON.parse(text) as Decision
    await (call.json ? printJson(decision) : print(told(decision)))
    return 0
  },
}

/** What is written like an address is one, and never an account that somebody called so. */
const scopeOf = (target: string): 'client' | 'range' | 'principal' | 'account' => {
  if (/^(key|session):/.test(target)) return 'principal'
  if (parseAddress(target) !== undefined) return 'client'
  const cidr = parseCidr(target)
  if (cidr !== undefined) return cidr.bits === (cidr.parts.length === 4 ? 32 : 64) ? 'client' : 'range'
  if (/^(@[a-z0-9._-]{2,64}|[a-z0-9]{2,64})$/.test(target)) return 'account'
  throw new UsageError(`${JSON.stringify(target)} is no address, CIDR, key:ID, session:ID, subject or @username`)
}

const told = ({
  id,
  scope,
  target,
  type,
  expires_at: until,
}: Decision): string => `${scope} ${plain(target)}: ${type} until ${until}, ${lasting(Date.parse(until) - Date.now())}
To lift it: filmgate unban ${id}
`
