import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'

import type { Cidr } from '../../core/address.ts'
import { Problem } from '../../core/errors.ts'
import type { Monitor, RouteDescription } from '../../layers/index.ts'
import { type Block, BouncerFeed, type Delta, readNetwork } from './bouncer-feed.ts'
import { BlockList, BlockStream, LiveQuery, type ShownBlock, StreamQuery } from './bouncer-schema.ts'

export interface BouncerRoutesOptions {
  readonly monitor: Pick<Monitor, 'decisions' | 'policy'>
  readonly epochMs: () => number
}

const tags = ['Security'] as const

const streamDescription = {
  operationId: 'bouncerStream',
  summary: 'The bans, for bouncers of CrowdSec',
  description:
    'What firewalls and proxies pull that speak to the Local API of CrowdSec: the bans of addresses and networks that are in force, and after that what changed since this key asked last. With an API key that may do security:read, in the field X-Api-Key or as a Bearer.',
  tags,
  answers: { 200: { description: 'Whom to refuse, and whom no more.' } },
} as const satisfies RouteDescription

const liveDescription = {
  operationId: 'bouncerQuery',
  summary: 'The bans of one address, for bouncers of CrowdSec',
  description:
    'For bouncers that ask at each request: which bans hold for an address or a network; without one, all. null: none, it may come in. With an API key that may do security:read, as for the stream.',
  tags,
  answers: { 200: { description: 'The bans that hold for it, or null.' } },
} as const satisfies RouteDescription

const noAddress = new Problem('bad_request', { detail: 'What ip or range names is neither an address nor a network.' })

/** The two calls of CrowdSec's Local API that its bouncers make (its swagger document, paths /decisions and /decisions/stream). */
export const bouncerRoutes = (server: FastifyInstance, { monitor, epochMs }: BouncerRoutesOptions): void => {
  const app = server.withTypeProvider<TypeBoxTypeProvider>()
  const feed = new BouncerFeed({ decisions: monitor.decisions, policy: () => monitor.policy(), epochMs })
  const shown = (blocks: readonly Block[], filter: Filter): ShownBlock[] | null => {
    const nowMs = epochMs()
    const found = blocks.filter(filter).map((block) => shownBlock(block, nowMs))
    return found.length === 0 ? null : found
  }
  const blocksOf = (network: Cidr | undefined, around: boolean): readonly Block[] => {
    if (network === undefined) return feed.all().added
    return around ? feed.around(network) : feed.inside(network)
  }
  const config = { access: 'security:read', keyField: 'x-api-key' } as const

  app.get(
    '/v1/decisions/stream',
    { schema: { ...streamDescription, querystring: StreamQuery, response: { 200: BlockStream } }, config },
    (request, reply) => {
      const bouncer = request.principal?.credential ?? ''
      const delta: Delta = request.query.startup === 'true' ? feed.all() : feed.since(bouncer)
      // Only what has arrived was told: a bouncer whose connection broke hears it again.
      if (request.method === 'GET') reply.raw.once('finish', () => feed.told(bouncer, delta.place))
      const filter = filterOf(request.query)
      return { new: shown(delta.added, filter), deleted: shown(delta.removed, filter) }
    },
  )

  app.get(
    '/v1/decisions',
    { schema: { ...liveDescription, querystring: LiveQuery, response: { 200: BlockList } }, config },
    (request, reply) => {
      const { ip, range, type, contains } = request.query
      const asked = ip ?? range
      const network = asked === undefined ? undefined : readNetwork(asked)
      if (asked !== undefined && network === undefined) throw noAddress
      const found = type === undefined || type === 'ban' ? shown(blocksOf(network, contains !== 'false'), filterOf(request.query)) : null
      // Fastify would send nothing for null.
      void reply.type('application/json; charset=utf-8').send(found ?? ('null' as unknown as null))
    },
  )
}

type Filter = (block: Block) => boolean

const wordsOf = (text: string | undefined): readonly string[] | undefined => {
  const words = text?.split(',').filter((word) => word !== '') ?? []
  return words.length === 0 ? undefined : words
}

const scenarioOf = ({ rule }: Block): string => `filmgate/${rule ?? 'manual'}`

const filterOf = (query: Pick<StreamQuery, 'scopes' | 'origins' | 'scenarios_containing' | 'scenarios_not_containing'>): Filter => {
  const scopes = wordsOf(query.scopes?.toLowerCase())
  const origins = wordsOf(query.origins)
  const [containing, without] = [wordsOf(query.scenarios_containing), wordsOf(query.scenarios_not_containing)]
  return (block) => {
    const scenario = scenarioOf(block)
    return (
      scopes?.includes(block.scope.toLowerCase()) !== false &&
      origins?.includes('filmgate') !== false &&
      containing?.some((word) => scenario.includes(word)) !== false &&
      without?.some((word) => scenario.includes(word)) !== true
    )
  }
}

const shownBlock = (block: Block, nowMs: number): ShownBlock => ({
  // The clients read an int64: 48 of the 96 bits, so that two are never the same and none is beyond what JSON numbers hold.
  id: Buffer.from(block.id, 'base64url').readUIntBE(0, 6),
  uuid: block.id,
  origin: 'filmgate',
  type: 'ban',
  scope: block.scope,
  value: block.value,
  duration: formatDuration(block.expiresAt - nowMs),
  scenario: scenarioOf(block),
})

/** As time.Duration of Go writes it, always with a fraction: some clients look for one. */
export const formatDuration = (ms: number): string => {
  const total = Math.abs(ms) / 1000
  const [hours, minutes] = [Math.trunc(total / 3600), Math.trunc(total / 60) % 60]
  const seconds = (Math.trunc(Math.abs(ms)) % 60_000) / 1000
  const parts = [hours > 0 ? `${hours}h` : '', hours > 0 || minutes > 0 ? `${minutes}m` : '', `${seconds.toFixed(3)}s`]
  return `${ms < 0 ? '-' : ''}${parts.join('')}`
}
