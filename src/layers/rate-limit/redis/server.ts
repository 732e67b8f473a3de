import type { KeyNames } from './keys.ts'
import type { RedisLink } from './link.ts'

export interface RedisServerFacts {
  /** Such as `Redis 7.0.15` or `Valkey 8.1.1`; without the number where it may not be asked. */
  readonly name: string
  readonly isCluster: boolean
  readonly warnings: readonly string[]
}

const oldestVersion = 7

/** What the server says of itself, as far as it may be asked. Throws where it could not count for us. */
export const examine = async (link: RedisLink, key: string): Promise<RedisServerFacts> => {
  const facts = await infoOf(link, key)
  const version = facts.get('redis_version')
  if (version !== undefined && Number.parseInt(version, 10) < oldestVersion)
    throw new Error(`it is version ${version}, and ${oldestVersion}.0 or newer is needed`)
  const isCluster = facts.get('cluster_enabled') === '1'
  // In a cluster the client finds the masters by itself.
  if (!isCluster && facts.get('role') === 'slave') throw new Error('it is a replica, which can only be read from; name its master')
  return { name: nameOf(facts), isCluster, warnings: warningsAbout(facts.get('maxmemory_policy')) }
}

/** Valkey says of itself which Redis it stands for, too. */
const nameOf = (facts: ReadonlyMap<string, string>): string => {
  const valkey = facts.get('valkey_version')
  return valkey === undefined ? `Redis ${facts.get('redis_version') ?? ''}`.trimEnd() : `Valkey ${valkey}`
}

const infoOf = async (link: RedisLink, key: string): Promise<ReadonlyMap<string, string>> => {
  let text: string
  try {
    text = String(await link.command(key, ['INFO']))
  } catch (error) {
    // Its name and password are good, it just may not ask that.
    if (error instanceof Error && error.message.startsWith('NOPERM')) return new Map()
    throw error
  }
  const pairs = text.split('\r\n').map((line) => line.split(':'))
  return new Map(pairs.filter(({ length }) => length > 1).map(([name, ...rest]) => [name!, rest.join(':')]))
}

const warningsAbout = (policy: string | undefined): readonly string[] => {
  if (policy === undefined || policy === 'noeviction') return []
  return [
    `Redis may forget counters when its memory is full (maxmemory-policy ${policy}): set it to noeviction, or a limit can be exceeded`,
  ]
}

/**
 * Who comes first leaves a check value made of the secret; whoever has another secret would count the same clients under other names.
 * Also finds out whether the server lets us write.
 */
export const joinInstallation = async (link: RedisLink, { installation, check }: KeyNames): Promise<void> => {
  await link.command(installation, ['SET', installation, check, 'NX'])
  const found = String(await link.command(installation, ['GET', installation]))
  if (found !== check)
    throw new Error('it holds the counters of another installation (another secret key); give this one another database or prefix')
}
