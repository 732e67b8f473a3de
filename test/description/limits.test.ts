import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { claimAdmin } from '../support/accounts.ts'
import { ask } from '../support/attack.ts'
import { operationsOf, ownerOf, policyOf, readDocument, targetOf } from '../support/openapi.ts'
import { asOperator } from '../support/operator.ts'
import { raisedLimits, startServer } from '../support/server.ts'

const customLimits = `
[limits]
default = "70 per day; 30 per hour"
authenticated = "900 per day"
total = "500 per minute"
[limits.routes]
"GET /" = { only = "40 per 10 minutes" }
"GET /v1/films/:id" = "3 per second"
"POST /add_film" = "exempt"
`

describe('x-rate-limit is what RateLimit-Policy says', () => {
  for (const [title, toml] of [
    ['by default', ''],
    ['with limits raised', raisedLimits],
    ['with limits of one’s own', customLimits],
  ] as const) {
    test(title, async () => {
      await using limited = await startServer({ toml })
      const limitedDocument = await readDocument(limited)
      const who = await claimAdmin(limited)
      for (const [i, [name, operation]] of [...operationsOf(limitedDocument)].entries()) {
        const { anonymous, authenticated, total } = operation['x-rate-limit']
        const [method = ''] = name.split(' ')
        // Without a body: it is refused for that, but not before it was counted.
        const request = { method, target: targetOf(limitedDocument, name), from: `127.0.2.${i + 1}` }
        const owner = ownerOf(limitedDocument, name, { films: who.fields, operator: asOperator(limited), account: who.fields })
        const known = await ask(limited, { ...request, fields: owner ?? who.fields })
        assert.equal(known.field('ratelimit-policy'), policyOf(authenticated.length === 0 ? total : authenticated), name)
        const unknown = await ask(limited, request)
        // Who is refused for want of a key has met `total` alone.
        const asked = unknown.status === 401 || anonymous.length === 0 ? total : anonymous
        assert.equal(unknown.field('ratelimit-policy'), policyOf(asked), name)
      }
    })
  }
})
