import Type from 'typebox'

import { problemKinds } from '../../core/errors.ts'

export const FieldProblem = Type.Object(
  {
    pointer: Type.String({ description: 'A JSON pointer (RFC 6901) into the body; /query, /path or /header in front names another part.' }),
    detail: Type.String({ description: 'What is wrong with it.' }),
  },
  { description: 'One thing that is wrong with the input.' },
)

/** The body of every refusal (RFC 9457). Nothing serialises with it: it only describes. */
export const ProblemSchema = Type.Object(
  {
    type: Type.String({ format: 'uri-reference', description: 'What kind of problem it is: an address that explains it.' }),
    title: Type.String({ description: 'The kind in a few words, the same for every problem of it.' }),
    status: Type.Integer({ description: 'The status of the answer.', minimum: 400, maximum: 599 }),
    detail: Type.String({ description: 'What the client should know or do.' }),
    code: Type.Enum(Object.keys(problemKinds), { description: 'The kind as a word that does not change.' }),
    request_id: Type.String({ description: 'The id of this request, as in X-Request-Id. It finds the request in the log.' }),
    errors: Type.Optional(Type.Array(FieldProblem, { description: 'Of validation_failed: what is wrong, field by field.' })),
    'violated-policies': Type.Optional(
      Type.Array(Type.String(), { description: 'Of quota_exceeded: the names of the quotas that are used up.' }),
    ),
  },
  { description: 'A problem document (RFC 9457).' },
)
