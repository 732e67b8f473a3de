import type { CompiledQuery } from 'kysely'

export type Dialect = 'sqlite' | 'postgres'

export type Parameter = string | number | null

/** One compiled statement and how many rows it must touch (return, for RETURNING); any other number undoes the whole unit. */
export interface Statement {
  readonly sql: string
  readonly parameters: readonly Parameter[]
  readonly rows?: number
}

/**
 * What is written together or not at all. A list of statements, never a callback: what a unit depends on stands in its SQL and its row
 * counts, so compare-and-swap is the natural way to write, and one thread can commit many units at once.
 */
export type Unit = readonly Statement[]

export type Row = Readonly<Record<string, Parameter>>

/**
 * `committed`: durable now; `rows[i]` are the rows that statement i returned. `conflict`: statement `statement` touched another number of
 * rows or broke a constraint; nothing of the unit is stored. `unavailable`: the store could not write, so nothing of the unit is stored; only where the writer ended in
 * the middle of a commit is that unknown.
 */
export type Outcome =
  | { readonly result: 'committed'; readonly rows: readonly (readonly Row[])[] }
  | { readonly result: 'conflict'; readonly statement: number }
  | { readonly result: 'unavailable'; readonly reason: string }

export type Commit = (unit: Unit) => Promise<Outcome>

/** A compiled Kysely query as a statement of a unit. */
export const statement = (query: CompiledQuery, rows?: number): Statement => ({
  sql: query.sql,
  parameters: query.parameters as readonly Parameter[],
  ...(rows === undefined ? {} : { rows }),
})

interface Compilable {
  compile(): CompiledQuery
}

/**
 * Compiles a query once for many parameter sets: `build` receives a stand-in for each named argument and may place it anywhere a value may
 * stand, also several times; the result fills in the real values. So hot queries cost no query building, and no value ever becomes SQL.
 */
export const template = <Args extends Record<string, Parameter>>(
  names: readonly (keyof Args & string)[],
  build: (args: Args) => Compilable,
): ((args: Args) => CompiledQuery) => {
  const markers = new Map<string, string>(names.map((name) => [`\0template:${name}`, name]))
  const standIns = Object.fromEntries([...markers].map(([marker, name]) => [name, marker])) as Args
  const compiled = build(standIns).compile()
  const slots = compiled.parameters.map((value) => (typeof value === 'string' ? markers.get(value) : undefined))
  return (args) => ({
    ...compiled,
    parameters: compiled.parameters.map((value, i) => {
      const name = slots[i]
      return name === undefined ? value : args[name]
    }),
  })
}
