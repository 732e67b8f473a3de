import { eventually } from './deadline.ts'
import { freePort } from './free-port.ts'
import { isStopped } from './process-tree.ts'
import { type RedisOptions, type RedisServer, startRedis } from './redis.ts'

const limitMs = 30_000
const slots = 16_384

export interface RedisClusterOptions extends Omit<RedisOptions, 'tls'> {
  /** For each master. Default 0. */
  readonly replicas?: 0 | 1
}

/** A slot on its way: clients that ask the old node for a key of it that is not there any more, or not yet, are told ASK. */
export interface SlotMove {
  readonly slot: number
  readonly from: RedisServer
  readonly to: RedisServer
  /** MIGRATE of the keys that the old node has by now. */
  moveKeys(): Promise<void>
  /** Moves what keys are left and makes the new node the owner: from now on clients that ask another are told MOVED. */
  finish(): Promise<void>
}

export interface RedisCluster extends AsyncDisposable {
  /** Of the first node. */
  readonly url: string
  /** The three that were masters at the start, then the replicas of the first, second and third. */
  readonly nodes: readonly RedisServer[]
  /** The master that has the slot of the key. */
  ownerOf(key: string): Promise<RedisServer>
  /** Begins to move the slot of the key to another master, by default the next one (CLUSTER SETSLOT MIGRATING and IMPORTING). */
  beginMove(key: string, to?: RedisServer): Promise<SlotMove>
  /** All of such a move. */
  moveKeySlot(key: string, to?: RedisServer): Promise<SlotMove>
  /** Makes the replica of a master the master, by agreement or, where the master does not answer, by force. Resolves with it when all that answer know. */
  failover(master: RedisServer): Promise<RedisServer>
  /** Resolves when all nodes that answer call the cluster healthy, as they do some time (about 2 s) after one is started again. */
  healthy(): Promise<void>
}

/** Three masters with a third of the slots each. As nodes forget, one that is started again is empty, unless `persistent`. */
export const startRedisCluster = async (options: RedisClusterOptions = {}): Promise<RedisCluster> => {
  const { replicas = 0, ...each } = options
  const started = await Promise.allSettled(Array.from({ length: 3 + 3 * replicas }, () => startNode(each)))
  const nodes = started.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  const cluster = new Cluster(nodes, options.password)
  try {
    for (const one of started) if (one.status === 'rejected') throw one.reason
    await cluster.join()
    return cluster
  } catch (error) {
    await cluster[Symbol.asyncDispose]()
    throw error
  }
}

interface Node {
  readonly server: RedisServer
  readonly busPort: number
}

const startNode = async (options: RedisOptions): Promise<Node> => {
  const busPort = await freePort()
  const settings = { 'cluster-enabled': 'yes', 'cluster-port': String(busPort), 'cluster-announce-ip': '127.0.0.1', ...options.settings }
  return { server: await startRedis({ ...options, settings }), busPort }
}

/** A line of CLUSTER NODES (https://redis.io/docs/latest/commands/cluster-nodes/). */
interface Seen {
  readonly id: string
  readonly port: number
  readonly flags: readonly string[]
  readonly masterId: string
  readonly ranges: readonly (readonly [first: number, last: number])[]
}

const parseNode = (line: string): Seen => {
  const [id = '', address = '', flags = '', masterId = '', , , , , ...ranges] = line.split(' ')
  return {
    id,
    port: Number(/:(\d+)@/.exec(address)?.[1]),
    flags: flags.split(','),
    masterId,
    // In brackets: slots on their way.
    ranges: ranges.filter((range) => !range.startsWith('[')).map((range) => [parseInt(range), Number(range.split('-').at(-1))] as const),
  }
}

const answers = ({ pid }: RedisServer): boolean => pid !== undefined && !isStopped(pid)
const seenBy = async (server: RedisServer): Promise<Seen[]> => (await server.cli('cluster', 'nodes')).split('\n').map(parseNode)
const has = ({ ranges }: Seen, slot: number): boolean => ranges.some(([first, last]) => slot >= first && slot <= last)

class Cluster implements RedisCluster {
  readonly nodes: readonly RedisServer[]
  readonly #busPorts: readonly number[]
  readonly #password: string | undefined

  constructor(nodes: readonly Node[], password: string | undefined) {
    this.nodes = nodes.map(({ server }) => server)
    this.#busPorts = nodes.map(({ busPort }) => busPort)
    this.#password = password
  }

  get url(): string {
    return this.nodes[0]!.url
  }

  async join(): Promise<void> {
    const [first, ...others] = this.nodes as readonly [RedisServer, ...RedisServer[]]
    const masters = this.nodes.slice(0, 3)
    for (const [index, master] of masters.entries()) {
      const [from, end] = [index, index + 1].map((third) => Math.round((third * slots) / masters.length)) as [number, number]
      await master.cli('cluster', 'addslotsrange', String(from), String(end - 1))
      // Else all have the same, and sort it out in time.
      await master.cli('cluster', 'set-config-epoch', String(index + 1))
    }
    for (const [index, other] of others.entries()) {
      await first.cli('cluster', 'meet', '127.0.0.1', String(other.port), String(this.#busPorts[index + 1]))
    }
    await this.#agreed(
      'they know each other',
      (seen) => seen.length === this.nodes.length && seen.every(({ flags }) => !flags.includes('handshake')),
    )
    for (const [index, replica] of this.nodes.slice(3).entries()) {
      await replica.cli('cluster', 'replicate', await masters[index]!.cli('cluster', 'myid'))
      await eventually(limitMs, 'the replica has a full copy', async () =>
        (await replica.cli('info', 'replication')).includes('master_link_status:up'),
      )
    }
    const replicas = this.nodes.length - masters.length
    await this.#agreed('they know the replicas', (seen) => seen.filter(({ flags }) => flags.includes('slave')).length === replicas)
    await this.healthy()
  }

  async healthy(): Promise<void> {
    await this.#all('the cluster is healthy', async (server) => (await server.cli('cluster', 'info')).includes('cluster_state:ok'))
  }

  async ownerOf(key: string): Promise<RedisServer> {
    const { slot, seen } = await this.#look(key)
    return this.#serverOf(seen.find((one) => has(one, slot)))
  }

  async beginMove(key: string, to?: RedisServer): Promise<SlotMove> {
    const { slot, seen } = await this.#look(key)
    const masters = seen.filter(({ flags }) => flags.includes('master') && !flags.includes('fail')).toSorted((a, b) => a.port - b.port)
    const index = masters.findIndex((one) => has(one, slot))
    const source = masters[index]
    const target = to === undefined ? masters[(index + 1) % masters.length] : masters.find(({ port }) => port === to.port)
    if (source === undefined || target === undefined || source === target) throw new Error(`slot ${slot} cannot be moved there`)
    const [from, destination] = [this.#serverOf(source), this.#serverOf(target)]
    await destination.cli('cluster', 'setslot', String(slot), 'importing', source.id)
    await from.cli('cluster', 'setslot', String(slot), 'migrating', target.id)
    const moveKeys = (): Promise<void> => this.#moveKeys(slot, from, destination)
    return {
      slot,
      from,
      to: destination,
      moveKeys,
      finish: async () => {
        await moveKeys()
        // The new owner first: were it the last to know, it would send back whom the others send.
        for (const server of [destination, from]) await server.cli('cluster', 'setslot', String(slot), 'node', target.id)
        await this.#agreed(`slot ${slot} is moved`, (now) => now.some((one) => one.id === target.id && has(one, slot)))
      },
    }
  }

  async moveKeySlot(key: string, to?: RedisServer): Promise<SlotMove> {
    const move = await this.beginMove(key, to)
    await move.finish()
    return move
  }

  async failover(master: RedisServer): Promise<RedisServer> {
    const seen = await seenBy(this.#answering())
    const old = seen.find(({ port }) => port === master.port)
    const replica = seen.find(({ masterId }) => masterId === old?.id)
    if (old === undefined || replica === undefined) throw new Error('a master without a replica')
    const server = this.#serverOf(replica)
    await server.cli('cluster', 'failover', ...(answers(master) ? [] : ['takeover']))
    await this.#agreed('the replica is the master', (now) => now.some(({ id, ranges }) => id === replica.id && ranges.length > 0))
    return server
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.nodes.map((node) => node[Symbol.asyncDispose]()))
  }

  /** Until none is left: what is moving can still be given new keys, if only by clients that were told ASK too late. */
  async #moveKeys(slot: number, from: RedisServer, to: RedisServer): Promise<void> {
    const auth = this.#password === undefined ? [] : ['auth', this.#password]
    for (;;) {
      const keys = (await from.cli('cluster', 'getkeysinslot', String(slot), '100')).split('\n').filter((key) => key !== '')
      if (keys.length === 0) return
      await from.cli('migrate', '127.0.0.1', String(to.port), '', '0', String(limitMs), ...auth, 'keys', ...keys)
    }
  }

  async #look(key: string): Promise<{ slot: number; seen: Seen[] }> {
    const server = this.#answering()
    return { slot: Number(await server.cli('cluster', 'keyslot', key)), seen: await seenBy(server) }
  }

  #answering(): RedisServer {
    const server = this.nodes.find(answers)
    if (server === undefined) throw new Error('no node answers')
    return server
  }

  #serverOf(seen: Seen | undefined): RedisServer {
    const server = this.nodes.find(({ port }) => port === seen?.port)
    if (server === undefined) throw new Error('no such node')
    return server
  }

  #agreed(what: string, isSo: (seen: Seen[]) => boolean): Promise<void> {
    return this.#all(what, async (server) => isSo(await seenBy(server)))
  }

  async #all(what: string, isSo: (server: RedisServer) => Promise<boolean>): Promise<void> {
    for (const server of this.nodes.filter(answers)) await eventually(limitMs, what, () => isSo(server))
  }
}
