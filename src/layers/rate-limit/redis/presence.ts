import type { KeyNames } from './keys.ts'
import { type RedisLink, scriptRunner } from './link.ts'
import { presenceScript } from './script.ts'

export interface Presence {
  /** Says that this instance is there and hears how many are; rejects while Redis cannot be written to. */
  readonly announce: () => Promise<void>
  /** How many instances there are, as of the last time that was heard. */
  readonly instances: () => number
  /** In a cluster the node of this key did not answer: the next announcement is one only if that node can be written to as well. */
  readonly suspect: (key: string) => void
  readonly leave: () => Promise<unknown>
}

export const createPresence = (link: RedisLink, { instances: key, installation, check }: KeyNames, instanceId: string): Presence => {
  const run = scriptRunner(link, presenceScript)
  let instances = 1
  let suspected: string | undefined
  return {
    announce: async () => {
      const count = Number(await run([key], [instanceId]))
      if (suspected !== undefined && link.isCluster) await link.command(suspected, ['SET', `${suspected}-probe`, '', 'PX', '1'])
      // A server that came back empty must again know whose counters it holds.
      await link.command(installation, ['SET', installation, check, 'NX'])
      suspected = undefined
      instances = Math.max(1, count)
    },
    instances: () => instances,
    suspect: (failed) => {
      suspected = failed
    },
    leave: () => link.command(key, ['ZREM', key, instanceId]),
  }
}
