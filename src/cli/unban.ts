import type { Explanation } from '../api/security/explain-schema.ts'
import type { Decision } from '../api/security/schema.ts'
import type { Config } from '../config.ts'
import { askServer, Refused, urlOption } from './ask-server.ts'
import type { Command } from './command.ts'
import { print, printJson } from './output.ts'
import { plain } from './words.ts'

export const unban: Command = {
  name: 'unban',
  operands: ['TARGET|ID'],
  summary: 'Lifts what was decided about somebody',
  details: `One decision by its ID, or all that are about exactly that TARGET, in the spellings that filmgate ban takes.
In force at once on the running server of this configuration, and within a second on its other instances.
Who should never be refused again belongs into monitor.allow.`,
  options: urlOption,
  example: 'filmgate unban 203.0.113.7',
  run: async (call) => {
    const config = call.loadConfig()
    const [target = ''] = call.operands
    const { url } = call.options
    const { about, kind, decisions } = await explained(config, target, url)
    const lifted: Decision[] = []
    for (const decision of decisions) {
      if (!decision.active || (kind !== 'decision' && decision.target !== about)) continue
      if (await lift(config, decision.id, url)) lifted.push(decision)
    }
    if (lifted.length === 0) throw new Error(nothingToLift(about, decisions))
    await (call.json
      ? printJson(lifted.map(({ id, scope, target: whom, type }) => ({ id, scope, target: whom, type })))
      : print(told(lifted)))
    return 0
  },
}

const explained = async (config: Config, target: string, url: string | true | undefined): Promise<Explanation> =>
  JSON.parse(await askServer(config, { path: `/v1/security/explain/${encodeURIComponent(target)}`, url })) as Explanation

/** Somebody else may be faster. */
const lift = async (config: Config, id: string, url: string | true | undefined): Promise<boolean> => {
  try {
    await askServer(config, { method: 'DELETE', path: `/v1/security/decisions/${id}`, url })
    return true
  } catch (error) {
    if (error instanceof Refused && error.status === 404) return false
    throw error
  }
}

const nothingToLift = (about: string, decisions: readonly Decision[]): string => {
  const wider = decisions.filter(({ active, target }) => active && target !== about)
  const hint = wider.length === 0 ? '' : `, but it is in ${wider.map(({ scope, target, id }) => `${scope} ${target} (${id})`).join(', ')}`
  return `nothing is in force about ${plain(about)} itself${hint}`
}

const told = (lifted: readonly Decision[]): string =>
  lifted.map(({ id, scope, target, type }) => `${scope} ${plain(target)}: ${type} ${id} is lifted\n`).join('')
