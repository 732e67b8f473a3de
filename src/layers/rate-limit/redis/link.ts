import { createHash } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'

type Argument = string | Buffer

/** A connection to one server or to a cluster. */
export interface RedisLink {
  /** `key` chooses the node of a cluster. Rejects at once while there is no connection, and is never sent again by itself. */
  command(key: string, args: Argument[]): Promise<unknown>
  /** The server that holds a key, by any name. */
  nodeOf(key: string): string
  readonly isCluster: boolean
  close(): void
}

/** While a slot moves: how often, and how long after, what could not be done is tried again. */
const mostTries = 5
const tryAgainMs = 5

/** A cluster that moves a slot cannot carry out what needs two keys of it of which one is there. It has done nothing, and nothing is wrong. */
export const isBetweenNodes = (error: unknown): boolean => error instanceof Error && error.message.startsWith('TRYAGAIN')

/**
 * Runs a script by its hash. It is sent in full only to a server that says it does not know it, and again only to one that says it cannot
 * just now: both have done nothing.
 */
export const scriptRunner = (
  link: RedisLink,
  script: string,
): ((keys: readonly string[], args: readonly Argument[]) => Promise<unknown>) => {
  const hash = createHash('sha1').update(script).digest('hex')
  const send = (keys: readonly string[], args: readonly Argument[], triesLeft: number): Promise<unknown> => {
    const rest = [String(keys.length), ...keys, ...args]
    const key = keys[0]!
    return link.command(key, ['EVALSHA', hash, ...rest]).catch(async (error: unknown) => {
      if (error instanceof Error && error.message.startsWith('NOSCRIPT')) return link.command(key, ['EVAL', script, ...rest])
      if (!isBetweenNodes(error) || triesLeft === 0) throw error
      await pause(tryAgainMs)
      return send(keys, args, triesLeft - 1)
    })
  }
  return (keys, args) => send(keys, args, mostTries - 1)
}

/** What a person can use of an error of the client; some of its errors have only a code, or only others inside. */
export const reasonOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error)
  if (error.message !== '') return error.message
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0])
  return 'code' in error ? String(error.code) : error.name
}
