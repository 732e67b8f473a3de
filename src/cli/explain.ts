import type { Event } from '../api/security/event-schema.ts'
import type { Explanation } from '../api/security/explain-schema.ts'
import type { Decision } from '../api/security/schema.ts'
import { askServer, urlOption } from './ask-server.ts'
import type { Command } from './command.ts'
import { print, printJson, table } from './output.ts'
import { lasting, plain } from './words.ts'

export const explain: Command = {
  name: 'explain',
  operands: ['REQUEST|DECISION|WHO'],
  summary: 'Prints why somebody was refused: which rule, which events, until when',
  details: `REQUEST is the request_id that is in every refusal and in evidence, DECISION an id as filmgate
decisions prints it, WHO an address, a CIDR, key: or session: and an id, a subject, or @ and a username. It
asks the running server of this configuration, which remembers the last of what it refused; the log has
everything.`,
  options: urlOption,
  example: 'filmgate explain 203.0.113.7',
  run: async (call) => {
    const config = call.loadConfig()
    const [about = ''] = call.operands
    const path = `/v1/security/explain/${encodeURIComponent(about)}`
    const explanation = JSON.parse(await askServer(config, { path, url: call.options['url'] })) as Explanation
    await (call.json ? printJson(explanation) : print(explained(explanation)))
    return 0
  },
}

const explained = ({ about, kind, exempt, decisions, buckets, events }: Explanation): string =>
  [
    `${kind} ${plain(about)}: ${verdictOn(decisions, exempt)}\n`,
    ...decisions.map(decisionText),
    buckets.length === 0
      ? ''
      : `\nBuckets that are not empty:\n${table(buckets.map(({ rule, level, capacity, group }) => [`  ${rule}`, `${rounded(level)} of ${capacity}`, plain(group)]))}`,
    events.length === 0 ? '' : `\nWhat this server remembers, newest first:\n${table(events.map(eventRow))}`,
  ].join('')

const verdictOn = (decisions: readonly Decision[], exempt: boolean): string => {
  if (exempt) return 'never refused (this machine, a trusted proxy, or monitor.allow)'
  const strongest = decisions.find(({ active, observed }) => active && !observed)
  if (strongest !== undefined) return `${strongest.type} until ${strongest.expires_at}, ${left(strongest)}`
  return decisions.some(({ active }) => active) ? 'nothing is enforced, only observed' : 'nothing is in force about it'
}

const left = ({ expires_at: until }: Pick<Decision, 'expires_at'>): string => `${lasting(Date.parse(until) - Date.now())} left`

const what = {
  ban: 'nothing is answered',
  tighten: 'ten requests a minute are answered',
  require_login: 'only requests with credentials are answered, and logins',
  tell: 'people are told, nobody is refused',
} as const

const decisionText = (decision: Decision): string => {
  const { id, scope, target, type, rule, reason, by, offence, observed, evidence, created_at: from, expires_at: until } = decision
  const rows = [
    ['who', `${scope} ${plain(target)}`],
    ['what', `${type}: ${what[type]}${observed ? ' (only observed)' : ''}`],
    ['why', rule === null ? plain(reason) : `rule ${rule}: ${plain(reason)}`],
    ...(evidence === null
      ? []
      : [
          [
            'bucket',
            `${rounded(evidence.bucket.level)} of ${evidence.bucket.capacity}, ${evidence.bucket.leak_per_second} run out each second`,
          ],
        ]),
    ['by', `${by}, the ${ordinal(offence)} within a week`],
    ['from', from],
    ['until', stateOf(decision, until)],
    ...(decision.active ? waysOut(decision) : []),
  ]
  const signals = evidence?.signals.map(({ at, name, method, route, status, about, request_id: request }) => [
    `    ${at}`,
    name,
    [method, route, status].filter((part) => part !== null).join(' ') || '-',
    about === null ? '-' : plain(about),
    request ?? '-',
  ])
  return `\nDecision ${id}\n${table(rows.map(([name = '', text = '']) => [`  ${name}`, text]))}${signals === undefined ? '' : `  evidence\n${table(signals)}`}`
}

const stateOf = ({ active, lifted_at: lifted, lifted_by: by }: Decision, until: string): string => {
  if (lifted !== null) return `${until}, but ${by ?? 'somebody'} lifted it at ${lifted}`
  return active ? `${until}, ${left({ expires_at: until })}` : `${until}: it is over`
}

/** Where somebody is refused in error: now, and for good. */
const waysOut = ({ id, scope, target, rule }: Decision): string[][] => [
  ['lift', `filmgate unban ${id}`],
  ...(scope === 'client' || scope === 'range' ? [['allow', `[monitor] allow = ["${cidrOf(target)}"] in filmgate.toml, then SIGHUP`]] : []),
  ...(rule === null ? [] : [['tame', `[monitor.rules] "${rule}" = "observe" in filmgate.toml, then SIGHUP`]]),
]

const cidrOf = (target: string): string => (target.includes('/') ? target : `${target}/32`)

const eventRow = ({ at, event, request_id: request, client, details }: Event): string[] => [
  `  ${at}`,
  event,
  client ?? '-',
  request ?? '-',
  plain(
    Object.entries(details)
      .filter(([, value]) => value !== null)
      .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
      .join(' '),
  ),
]

const rounded = (level: number): string => String(Math.round(level * 100) / 100)

const ordinal = (count: number): string => ['first', 'second', 'third'][count - 1] ?? `${count}th`
