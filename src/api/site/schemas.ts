import { Assertion, Attestation, Descriptor, ListedPasskey, RecoveryCodes } from '../accounts/factors/factor-schema.ts'
import { Key } from '../accounts/keys/keys-schema.ts'
import { Me } from '../accounts/users/me-schema.ts'
import { Tokens } from '../accounts/schema.ts'
import { OpenSession, SecondFactorDue } from '../accounts/sessions/session-schema.ts'
import { ListedUser, User } from '../accounts/users/users-schema.ts'
import { Entry } from '../audit/schema.ts'
import { Film, NewFilm, RandomFilm, VoteReceipt } from '../films/schema.ts'
import { Event } from '../security/event-schema.ts'
import { Decision, ListedDecision } from '../security/schema.ts'
import type { Reference, Schema } from './document.ts'
import { FieldProblem, ProblemSchema } from './problem-schema.ts'

/** What stands under a name in the description, and by reference wherever it occurs. The rest stands where it is used. */
const named = {
  Film,
  NewFilm,
  RandomFilm,
  VoteReceipt,
  Tokens,
  SecondFactorDue,
  Session: OpenSession,
  Me,
  User,
  ListedUser,
  Key,
  RecoveryCodes,
  Passkey: ListedPasskey,
  PasskeyDescriptor: Descriptor,
  PasskeyAssertion: Assertion,
  PasskeyAttestation: Attestation,
  AuditEntry: Entry,
  SecurityEvent: Event,
  ListedDecision,
  Decision,
  Problem: ProblemSchema,
  FieldProblem,
}

const namesByText: ReadonlyMap<string, string> = new Map(Object.entries(named).map(([name, schema]) => [JSON.stringify(schema), name]))

export const reference = (section: 'schemas' | 'headers' | 'responses', name: string): Reference => ({
  $ref: `#/components/${section}/${name}`,
})

/** A schema of a route as clients see it: JSON Schema as it is, without what only the log reads, shared ones by reference. */
export const publicSchema = (schema: unknown): Schema | Reference => publicPart(schema) as Schema | Reference

const publicPart = (part: unknown): unknown => {
  if (Array.isArray(part)) return part.map(publicPart)
  if (typeof part !== 'object' || part === null) return part
  const name = namesByText.get(JSON.stringify(part))
  return name === undefined ? publicMembers(part) : reference('schemas', name)
}

const publicMembers = (schema: object): Schema =>
  Object.fromEntries(
    Object.entries(schema)
      .filter(([keyword]) => keyword !== 'x-public')
      .map(([keyword, value]) => [keyword, publicPart(value)]),
  )

export const namedSchemas: Readonly<Record<string, Schema>> = Object.fromEntries(
  Object.entries(named).map(([name, schema]) => [name, publicMembers(schema)]),
)
