import { Film, NewFilm, RandomFilm, VoteReceipt } from '../films/schema.ts'
import { FieldProblem, ProblemSchema } from './problem-schema.ts'

/** What stands under a name in the description, and by reference wherever it occurs. The rest stands where it is used. */
const named = { Film, NewFilm, RandomFilm, VoteReceipt, Problem: ProblemSchema, FieldProblem }

const namesByText: ReadonlyMap<string, string> = new Map(Object.entries(named).map(([name, schema]) => [JSON.stringify(schema), name]))

export const reference = (section: 'schemas' | 'headers' | 'responses', name: string): { readonly $ref: string } => ({
  $ref: `#/components/${section}/${name}`,
})

/** A schema of a route as clients see it: JSON Schema as it is, without what only the log reads, shared ones by reference. */
export const publicSchema = (schema: unknown): unknown => {
  if (Array.isArray(schema)) return schema.map(publicSchema)
  if (typeof schema !== 'object' || schema === null) return schema
  const name = namesByText.get(JSON.stringify(schema))
  return name === undefined ? publicMembers(schema) : reference('schemas', name)
}

const publicMembers = (schema: object): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(schema)
      .filter(([keyword]) => keyword !== 'x-public')
      .map(([keyword, value]) => [keyword, publicSchema(value)]),
  )

export const namedSchemas: Readonly<Record<string, unknown>> = Object.fromEntries(
  Object.entries(named).map(([name, schema]) => [name, publicMembers(schema)]),
)
