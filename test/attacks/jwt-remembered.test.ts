import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'

import { createApiKey, formatApiKey, hashSecret } from '../../src/credentials/api-key.ts'
import type { Database } from '../../src/db/open.ts'
import { statement, type Unit } from '../../src/db/unit.ts'
import { databases, openAt } from '../support/databases.ts'
import { eventually } from '../support/deadline.ts'
import { assertAccepted, assertRefused, present } from '../support/token-attacks.ts'
import { decode } from '../support/token-forge.ts'
import { type Person, startTokenListener, type TokenListener } from '../support/token-listener.ts'
import { openTokenListener } from '../support/token-scene.ts'

const ended = { reason: 'speaks for nobody' }
const entry = { actor: 'cli', action: 'session.revoke', target: 'x' }

const commit = async (listener: Pick<TokenListener, 'changes'>, unit: Unit): Promise<void> => {
  const outcome = await listener.changes.commit(unit, [entry])
  assert.equal(outcome.result, 'committed')
}

const revokeSession = ({ reader }: Database, { sid }: Person): Unit => [
  statement(reader.updateTable('session').set({ revoked_at: 1 }).where('id', '=', sid).compile(), 1),
]

const addKey = async (database: Database, subject: string): Promise<{ readonly id: string; readonly text: string }> => {
  const key = createApiKey()
  const values = { id: key.id, subject, name: 'k', secret_hash: hashSecret(key.secret), scopes: 'films:write', created_at: 1 }
  const insertion = database.reader.insertInto('api_key').values({ ...values, revoked_at: null, expires_at: null, last_used_at: null })
  assert.equal((await database.commit([statement(insertion.compile(), 1)])).result, 'committed')
  return { id: key.id, text: formatApiKey(key) }
}

const revokeKey = ({ reader }: Database, id: string): Unit => [
  statement(reader.updateTable('api_key').set({ revoked_at: 1 }).where('id', '=', id).compile(), 1),
]

for (const kind of databases) {
  describe(`what is remembered of credentials (${kind.name})`, { skip: kind.missing }, () => {
    test('a token is verified once, and whom it speaks for is asked once, until something changes', async () => {
      await using opened = await kind.open()
      await using listener = await startTokenListener(opened.database)
      const person = await listener.addPerson('mary')
      const token = await person.token()
      const before = { ...listener.asked }
      for (let i = 0; i < 5; i++) await assertAccepted(listener, token, person.subject)
      assert.deepEqual([listener.asked.keys - before.keys, listener.asked.principals - before.principals], [2, 1])
      await listener.addPerson('eve')
      await assertAccepted(listener, token, person.subject)
      // The key once more, whether it is still one of ours; the signature not.
      assert.deepEqual([listener.asked.keys - before.keys, listener.asked.principals - before.principals], [3, 2])
    })

    const ends: Readonly<Record<string, (listener: TokenListener, database: Database, person: Person) => Unit>> = {
      '[ASVS 7.4.1] its session is revoked': (_listener, database, person) => revokeSession(database, person),
      '[ASVS 7.4.2] its account is disabled': ({ statements }, _database, { subject }) => [statements.setDisabled(subject, true)],
      '[ASVS 7.4.2] its account is deleted': ({ statements }, _database, { subject }) => [statements.remove(subject)],
      '[ASVS 7.4.3] its password is changed': ({ statements }, _database, { subject }) => [statements.setPassword(subject, null, '$x')],
      '[ASVS 8.3.2] its role is changed': ({ statements }, _database, { subject }) => [statements.setRole(subject, 'viewer')],
    }
    for (const [name, end] of Object.entries(ends)) {
      test(`${name} while the token is remembered: the next request is refused, here at once, on another instance within a second`, async () => {
        await using opened = await kind.open()
        const other = await opened.another()
        const sealingKey = randomBytes(32)
        await using here = await startTokenListener(opened.database, { sealingKey })
        await using there = await startTokenListener(other, { sealingKey })
        const person = await here.addPerson('mary')
        const bystander = await here.addPerson('bob')
        const [token, others] = [await person.token(), await bystander.token()]
        for (const listener of [here, there]) {
          await assertAccepted(listener, token, person.subject)
          await assertAccepted(listener, others, bystander.subject)
        }
        const generation = there.changes.generation()
        await commit(here, end(here, opened.database, person))
        await assertRefused(here, `Bearer ${token}`, ended)
        // The channel's own tests say how soon it is heard.
        await eventually(10_000, 'the other instance has heard', () => there.changes.generation() !== generation)
        await assertRefused(there, `Bearer ${token}`, ended)
        for (const listener of [here, there]) await assertAccepted(listener, others, bystander.subject)
      })
    }

    test('an API key is remembered, and refused as soon as it is revoked', async () => {
      await using opened = await kind.open()
      await using listener = await startTokenListener(opened.database)
      const person = await listener.addPerson('mary')
      const key = await addKey(opened.database, person.subject)
      for (let i = 0; i < 5; i++) await assertAccepted(listener, key.text, person.subject)
      assert.equal(listener.asked.apiKeys, 1)
      await commit(listener, revokeKey(opened.database, key.id))
      await assertRefused(listener, `Bearer ${key.text}`, ended)
    })

    test('the database cannot be read: 503 for whoever must be asked for, never 401 and never nobody', async () => {
      await using place = await kind.place()
      await using opened = await openAt(place)
      await using listener = await startTokenListener(opened.database)
      const person = await listener.addPerson('mary')
      const [known, unknown] = [await person.token(), await person.token()]
      const forge = await listener.forge()
      const otherKey = forge.sign({ alg: 'ES256', typ: 'at+jwt', kid: 'A'.repeat(43) }, decode(unknown, 1))
      const key = await addKey(opened.database, person.subject)
      await assertAccepted(listener, known, person.subject)
      for (const table of ['session', 'api_key', 'signing_key']) await kind.change(place, `alter table ${table} rename to gone_${table}`)
      await assertAccepted(listener, known, person.subject)
      listener.clock.advance(61_000)
      const events = listener.events.length
      for (const credential of [known, unknown, key.text, otherKey, otherKey]) {
        const answer = await present(listener, `Bearer ${credential}`)
        assert.deepEqual([answer.status, answer.json()['code']], [503, 'store_unavailable'], credential)
      }
      assert.equal(listener.events.length, events, 'nobody failed to log in')
      for (const table of ['session', 'api_key', 'signing_key']) await kind.change(place, `alter table gone_${table} rename to ${table}`)
      listener.clock.advance(1000)
      for (const credential of [known, unknown, key.text]) await assertAccepted(listener, credential, person.subject)
      await assertRefused(listener, `Bearer ${otherKey}`, { reason: 'unknown signing key' })
    })
  })
}

describe('what is remembered and the time', () => {
  test('[ASVS 9.2.1] a remembered token expires to the second', async () => {
    await using at = await openTokenListener()
    const { listener } = at
    const person = await listener.addPerson('mary')
    const token = await person.token()
    for (const ms of [0, 299_000, 999]) {
      listener.clock.advance(ms)
      await assertAccepted(listener, token, person.subject)
    }
    listener.clock.advance(1)
    await assertRefused(listener, `Bearer ${token}`, { reason: 'expired' })
  })

  test('an API key that expires while it is remembered', async () => {
    await using at = await openTokenListener()
    const { listener, database } = at
    const person = await listener.addPerson('mary')
    const key = await addKey(database, person.subject)
    const expiry = database.reader
      .updateTable('api_key')
      .set({ expires_at: listener.clock.epochMs() + 5000 })
      .where('id', '=', key.id)
    assert.equal((await database.commit([statement(expiry.compile(), 1)])).result, 'committed')
    listener.clock.advance(4999)
    await assertAccepted(listener, key.text, person.subject)
    listener.clock.advance(1)
    await assertRefused(listener, `Bearer ${key.text}`, ended)
  })

  test('what nobody announced is noticed within a minute', async () => {
    await using at = await openTokenListener()
    const { listener, database } = at
    const person = await listener.addPerson('mary')
    const token = await person.token()
    await assertAccepted(listener, token, person.subject)
    // Past `changes`: a restored backup, a hand in the database.
    assert.equal((await database.commit(revokeSession(database, person))).result, 'committed')
    await assertAccepted(listener, token, person.subject)
    listener.clock.advance(60_000)
    await assertRefused(listener, `Bearer ${token}`, ended)
  })

  test('a wrong secret is refused while the right one is remembered, and asks each time', async () => {
    await using at = await openTokenListener()
    const { listener, database } = at
    const person = await listener.addPerson('mary')
    const key = await addKey(database, person.subject)
    await assertAccepted(listener, key.text, person.subject)
    const wrong = formatApiKey({ id: key.id, secret: createApiKey().secret })
    await assertRefused(listener, `Bearer ${wrong}`, ended)
    await assertAccepted(listener, key.text, person.subject)
    assert.equal(listener.asked.apiKeys, 3)
  })

  test('more credentials than are remembered: the oldest is asked for again, nobody is refused', async () => {
    await using at = await openTokenListener({ maxRemembered: 3 })
    const { listener } = at
    const person = await listener.addPerson('mary')
    const tokens = await Promise.all(Array.from({ length: 4 }, () => person.token()))
    for (const token of tokens) await assertAccepted(listener, token, person.subject)
    const before = listener.asked.principals
    for (const token of tokens.slice(1)) await assertAccepted(listener, token, person.subject)
    assert.equal(listener.asked.principals, before, 'the three youngest are known')
    await assertAccepted(listener, tokens[0] ?? '', person.subject)
    assert.equal(listener.asked.principals, before + 1)
  })

  test('refused credentials take nobody’s place', async () => {
    await using at = await openTokenListener({ maxRemembered: 1 })
    const { listener } = at
    const person = await listener.addPerson('mary')
    const token = await person.token()
    await assertAccepted(listener, token, person.subject)
    const before = listener.asked.principals
    for (let i = 0; i < 10; i++) {
      await present(listener, `Bearer ${formatApiKey(createApiKey())}`)
      await present(listener, `Bearer ${token.slice(0, -8)}${randomBytes(6).toString('base64url')}`)
    }
    await assertAccepted(listener, token, person.subject)
    assert.equal(listener.asked.principals, before)
  })

  test('fifty first uses of one token at once verify it once', async () => {
    await using at = await openTokenListener()
    const { listener } = at
    const person = await listener.addPerson('mary')
    const token = await person.token()
    const before = { ...listener.asked }
    await Promise.all(Array.from({ length: 50 }, () => assertAccepted(listener, token, person.subject)))
    // One for the signature; whom it speaks for may be asked again by whoever came when the first answer was on its way.
    assert.ok(listener.asked.keys - before.keys <= 4, `${listener.asked.keys - before.keys}`)
    assert.ok(listener.asked.principals - before.principals <= 3)
  })

  test('a client that goes away before it is known who it is breaks nothing', async () => {
    await using at = await openTokenListener()
    const { listener } = at
    const person = await listener.addPerson('mary')
    const tokens = await Promise.all(Array.from({ length: 20 }, () => person.token()))
    const gone = tokens.map((token) => {
      const controller = new AbortController()
      const request = fetch(`http://127.0.0.1:${listener.port}/`, {
        headers: { authorization: `Bearer ${token}` },
        signal: controller.signal,
      })
      setImmediate(() => controller.abort())
      return request.then(
        () => undefined,
        () => undefined,
      )
    })
    await Promise.all(gone)
    await assertAccepted(listener, tokens[0] ?? '', person.subject)
  })
})
