import type { ListedDecision } from '../api/security/schema.ts'
import { askServer, urlOption } from './ask-server.ts'
import type { Command } from './command.ts'
import { print, printJson, table } from './output.ts'
import { lasting, plain } from './words.ts'

interface Page {
  readonly items: readonly ListedDecision[]
  readonly next: string | null
}

/** What nobody reads to its end: `/v1/security/decisions` has all of them. */
const most = 1000

export const decisions: Command = {
  name: 'decisions',
  summary: 'Prints who is refused, and why',
  details: `It asks the running server of this configuration. The newest ${most} at most, of all its instances.`,
  options: { all: { text: 'those that were lifted or are over, too' }, ...urlOption },
  example: 'filmgate decisions --json',
  run: async (call) => {
    const config = call.loadConfig()
    const found: ListedDecision[] = []
    let cursor: string | null = ''
    while (cursor !== null && found.length < most) {
      const query = new URLSearchParams({
        limit: '100',
        ...(call.options['all'] === true ? {} : { active: 'true' }),
        ...(cursor === '' ? {} : { cursor }),
      })
      const page = JSON.parse(
        await askServer(config, { path: `/v1/security/decisions?${query.toString()}`, url: call.options['url'] }),
      ) as Page
      found.push(...page.items)
      cursor = page.next
    }
    if (call.json) await printJson(found)
    else if (found.length === 0) await print('Nobody is refused.\n')
    else await print(table([['ID', 'WHO', 'WHAT', 'WHY', 'BY', 'UNTIL', 'STATE'], ...found.map(row)]))
    return 0
  },
}

const row = ({ id, scope, target, type, rule, reason, by, expires_at: until, ...one }: ListedDecision): string[] => [
  id,
  `${scope} ${plain(target)}`,
  type,
  rule === null ? plain(reason) : `rule ${rule}`,
  by,
  until,
  stateOf({ ...one, expires_at: until }),
]

const stateOf = ({
  active,
  observed,
  lifted_at: lifted,
  expires_at: until,
}: Pick<ListedDecision, 'active' | 'observed' | 'lifted_at' | 'expires_at'>) => {
  if (lifted !== null) return 'lifted'
  if (!active) return 'over'
  return `${observed ? 'only observed, ' : ''}${lasting(Date.parse(until) - Date.now())} left`
}
