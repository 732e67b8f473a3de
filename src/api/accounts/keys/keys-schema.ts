import Type, { type Static } from 'typebox'

import { allPermissions } from '../../../core/access.ts'
import { visibleText } from '../../films/schema.ts'
import { Next } from '../../pages.ts'
import { NullableTimestamp, Timestamp } from '../../timestamp.ts'

const KeyId = Type.String({ pattern: '^[0-9A-Za-z]{12}$', description: 'The id of a key; no secret.', examples: ['4fGh7Kq2LmZx'] })

export const KeyPath = Type.Object({ id: KeyId }, { additionalProperties: false })

const Name = Type.String({
  minLength: 1,
  maxLength: 60,
  pattern: visibleText,
  description: 'What it is for.',
  examples: ['nightly import'],
})

const Scopes = Type.Array(Type.Enum([...allPermissions]), {
  minItems: 1,
  maxItems: allPermissions.length,
  uniqueItems: true,
  description: 'What the key may do, as long as its owner may.',
  examples: [['films:read', 'films:write']],
})

export const NewKeyBody = Type.Object(
  { name: Name, scopes: Scopes, expires_at: Type.Optional(Timestamp('When it ends by itself; without, it does not.')) },
  {
    additionalProperties: false,
    examples: [{ name: 'nightly import', scopes: ['films:write'], expires_at: '2099-12-31T00:00:00Z' }],
  },
)
export type NewKeyBody = Static<typeof NewKeyBody>

const members = {
  id: KeyId,
  name: Type.String(),
  scopes: Type.Array(Type.String()),
  created_at: Timestamp('When it was made.'),
  expires_at: NullableTimestamp('When it ends by itself; null: never.'),
  last_used_at: NullableTimestamp('When it was last used, to the hour; null: not yet.'),
}

const example = {
  id: '4fGh7Kq2LmZx',
  name: 'nightly import',
  scopes: ['films:write'],
  created_at: '2027-01-31T12:00:00.000Z',
  expires_at: null,
  last_used_at: null,
}

export const Key = Type.Object(members, { additionalProperties: false, description: 'An API key without its secret.', examples: [example] })
export type Key = Static<typeof Key>

export const KeyList = Type.Object(
  { items: Type.Array(Key), next: Next },
  { additionalProperties: false, examples: [{ items: [example], next: null }] },
)

export const MadeKey = Type.Object(
  {
    ...members,
    key: Type.String({ description: 'The key itself. It is shown this once: only its hash is stored.', examples: ['fg_…'] }),
  },
  {
    additionalProperties: false,
    examples: [{ ...example, key: 'fg_4fGh7Kq2LmZx_ThisIsAnExampleAndOpensNothingAtAll00000000lI2mv0' }],
  },
)
export type MadeKey = Static<typeof MadeKey>
