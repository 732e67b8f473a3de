import type { MasterKey } from '../credentials/master-key.ts'
import { type Database, DatabaseError } from '../db/open.ts'
import { statement } from '../db/unit.ts'
import { written } from './written.ts'

/**
 * Holds this instance's master key against the one that the database was first used with. With another key the same client would be another
 * voter, and API keys that instances share would not be. Throws a `DatabaseError` where they differ.
 */
export const agreeOnKey = async ({ reader, commit }: Database, masterKey: MasterKey, url: string): Promise<void> => {
  const check = masterKey.derive('check').toString('base64url')
  const first = reader
    .insertInto('installation')
    .values({ id: 1, key_check: check })
    .onConflict((conflict) => conflict.doNothing())
  written(await commit([statement(first.compile())]))
  const { key_check: agreed } = await reader.selectFrom('installation').select('key_check').executeTakeFirstOrThrow()
  if (agreed === check) return
  throw new DatabaseError(
    { url },
    'belongs to instances with another secrets.key: give this one the same, or it would count their voters anew',
  )
}
