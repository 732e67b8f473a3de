import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'

import fc from 'fast-check'

import { createVoterIds } from './voter-id.ts'

const key = randomBytes(32)
const voterId = createVoterIds(key)
const anonymous = (clientPrefix: string) => ({ subject: null, clientPrefix })

test('the same client has the same id after every restart, because the key is the same', () => {
  fc.assert(
    fc.property(fc.string(), (prefix) => assert.equal(createVoterIds(Buffer.from(key))(anonymous(prefix)), voterId(anonymous(prefix)))),
  )
})

test('without the key nobody can say which address voted: another key, another id', () => {
  const other = createVoterIds(randomBytes(32))
  fc.assert(fc.property(fc.string(), (prefix) => assert.notEqual(other(anonymous(prefix)), voterId(anonymous(prefix)))))
})

test('two clients never share a vote, and the id shows nothing of the address', () => {
  const prefixes = Array.from({ length: 10_000 }, (_, i) => `203.0.${i >> 8}.${i & 255}`)
  const ids = prefixes.map((prefix) => voterId(anonymous(prefix)))
  assert.equal(new Set(ids).size, ids.length)
  for (const id of ids) assert.match(id, /^c:[\w-]{22}$/)
})

test('a subject votes as itself from wherever it comes, and can be no anonymous client', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), fc.string(), (subject, here, there) => {
      assert.equal(voterId({ subject, clientPrefix: here }), voterId({ subject, clientPrefix: there }))
      assert.notEqual(voterId({ subject, clientPrefix: here }), voterId(anonymous(here)))
      assert.notEqual(voterId({ subject: voterId(anonymous(here)), clientPrefix: here }), voterId(anonymous(here)))
    }),
  )
  assert.equal(voterId({ subject: 'starter', clientPrefix: '::/64' }), 's:starter')
})
