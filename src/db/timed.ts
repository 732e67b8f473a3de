import type { OnQuery } from './database.ts'

/** Puts a clock around what is asked of the database; where nobody wants to know, nothing is put around. */
export interface Timed {
  /** A read that answers at once; `sql` is looked at here, not when it is run. */
  readonly sync: <Args extends unknown[], T>(sql: string, read: (...args: Args) => T) => (...args: Args) => T
  readonly async: <Args extends unknown[], T>(query: string, work: (...args: Args) => Promise<T>) => (...args: Args) => Promise<T>
}

const untimed: Timed = { sync: (_sql, read) => read, async: (_query, work) => work }

/** What is measured ends with an answer or an error: a database that hangs is seen when it is given up. */
export const createTimed = (onQuery: OnQuery | undefined): Timed => {
  if (onQuery === undefined) return untimed
  const tell = (query: string, startMs: number): void => onQuery(query, (performance.now() - startMs) / 1000)
  return {
    sync: (sql, read) => {
      const query = queryName(sql)
      return (...args) => {
        const startMs = performance.now()
        try {
          return read(...args)
        } finally {
          tell(query, startMs)
        }
      }
    },
    async:
      (query, work) =>
      async (...args) => {
        const startMs = performance.now()
        try {
          return await work(...args)
        } finally {
          tell(query, startMs)
        }
      },
  }
}

const known = new Map<string, string>()
/** All SQL is ours, so there are few; yet nothing grows without a bound. */
const mostTexts = 1000
const mostNames = 50
const names = new Set<string>()

/** `select film` for all that reads that table first: the texts are many, and would be labels that nobody reads. */
export const queryName = (sql: string): string => {
  const remembered = known.get(sql)
  if (remembered !== undefined) return remembered
  const table = /^\s*(?:with|select)\b.*?\bfrom "([a-z_]{1,40})"/is.exec(sql)?.[1]
  const name = table === undefined || (names.size >= mostNames && !names.has(table)) ? 'other' : `select ${table}`
  if (table !== undefined && name !== 'other') names.add(table)
  if (known.size >= mostTexts) known.clear()
  known.set(sql, name)
  return name
}
