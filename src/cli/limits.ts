import type { Config } from '../config.ts'
import { describeLimits } from '../serve/describe.ts'
import { askServer, urlOption } from './ask-server.ts'
import { type Call, type Command, UsageError } from './command.ts'
import { print, printJson, table } from './output.ts'

type Usage = Readonly<Record<string, unknown>> & { readonly items: readonly UsageItem[] }

interface UsageItem {
  readonly name: string
  readonly counted_over: string
  readonly limit: number
  readonly window_seconds: number
  readonly remaining: number
  readonly reset_seconds: number
}

export const limits: Command = {
  name: 'limits',
  operands: ['[IDENTITY]'],
  summary: 'Prints the limits of every route, or what one client has left',
  details: `Without IDENTITY: which limits this configuration gives each route and where each was set, without a server.
With one (an address, an IPv6 prefix such as 2001:db8::/64, or @ and a subject) it asks the running server of
this configuration what that client or subject has left; --reset lets it start anew. --reset also takes both
(192.0.2.7@ada): what that client failed at when it logged in to that account. The key for that follows from
the master key, so it works for whoever can read that.`,
  options: {
    reset: { text: 'forgets all that was counted for IDENTITY' },
    ...urlOption,
  },
  example: 'filmgate limits 192.0.2.7 --reset',
  run: async (call) => {
    const config = call.loadConfig()
    const [identity] = call.operands
    if (identity === undefined) {
      if (call.options['reset'] === true || call.options['url'] !== undefined)
        throw new UsageError('limits needs IDENTITY for --reset and --url: filmgate limits 192.0.2.7 --reset')
      return await printPolicies(config, call.json)
    }
    return await (call.options['reset'] === true ? reset(config, identity, call) : printUsage(config, identity, call))
  },
}

const printPolicies = async (config: Config, json: boolean): Promise<number> => {
  const described = await describeLimits(config)
  if (json) {
    await printJson(described)
    return 0
  }
  const rows = described.items.flatMap(({ route, anonymous, authenticated }) => [
    ...anonymous.map((limit) => row(route, 'anonymous', limit)),
    ...authenticated.map((limit) => row(route, 'subject', limit)),
  ])
  const keys = described.keys.flatMap(({ credential, rule, limits: own }) =>
    rule === 'exempt' ? [['any', credential, 'none', '-', '-', '-']] : own.map((limit) => row('any', `${credential} (${rule})`, limit)),
  )
  const total = described.total.map((limit) => row('everything', 'client', limit))
  const head = ['ROUTE', 'WHO', 'LIMIT', 'COUNTED OVER', 'FROM', 'SET IN']
  const observing = described.mode === 'observe' ? '\nlimits.mode is "observe": everything is counted, nobody is refused.\n' : ''
  await print(`${table([head, ...rows, ...keys, ...total])}${observing}`)
  return 0
}

type Described = Awaited<ReturnType<typeof describeLimits>>['total'][number]

const row = (route: string, who: string, { limit, window_seconds, burst, counted_over, source, origin }: Described): string[] => [
  route,
  who,
  `${limit} in ${window_seconds} s${burst === undefined ? '' : `, burst ${burst}`}`,
  counted_over,
  source,
  origin,
]

const printUsage = async (config: Config, identity: string, { json, options }: Call): Promise<number> => {
  const usage = JSON.parse(await askServer(config, { path: pathOf(identity), url: options['url'] })) as Usage
  if (json) {
    await printJson(usage)
    return 0
  }
  const rows = usage.items.map(({ name, counted_over, limit, remaining, reset_seconds }) => [
    counted_over,
    name,
    `${remaining} of ${limit}`,
    remaining < limit ? `${reset_seconds} s` : '-',
  ])
  await print(table([['COUNTED OVER', 'LIMIT', 'LEFT', 'NO MORE FOR'], ...rows]))
  return 0
}

const reset = async (config: Config, identity: string, { json, options }: Call): Promise<number> => {
  await askServer(config, { method: 'DELETE', path: pathOf(identity), url: options['url'] })
  await (json ? printJson({ identity, reset: true }) : print(`${identity} starts anew.\n`))
  return 0
}

const pathOf = (identity: string): string => `/v1/limits/${encodeURIComponent(identity)}`
