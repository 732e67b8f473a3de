import { createHash } from 'node:crypto'

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

/** Runs a script by its hash; it is sent in full only to a server that says it does not know it, and so has done nothing. */
export const scriptRunner = (
  link: RedisLink,
  script: string,
): ((keys: readonly string[], args: readonly Argument[]) => Promise<unknown>) => {
  const hash = createHash('sha1').update(script).digest('hex')
  return (keys, args) => {
    const rest = [String(keys.length), ...keys, ...args]
    const key = keys[0]!
    return link.command(key, ['EVALSHA', hash, ...rest]).catch((error: unknown) => {
      if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error
      return link.command(key, ['EVAL', script, ...rest])
    })
  }
}

/** What a person can use of an error of the client; some of its errors have only a code, or only others inside. */
export const reasonOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error)
  if (error.message !== '') return error.message
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0])
  return 'code' in error ? String(error.code) : error.name
}
