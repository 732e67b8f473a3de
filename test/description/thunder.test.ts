import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, describe, test } from 'node:test'

import { keyPlaceholder } from '../../scripts/collections/thunder.ts'
import { ask, assertQuietLog } from '../support/attack.ts'
import { startServer } from '../support/server.ts'

const file = new URL('../../collections/filmgate.thunder-collection.json', import.meta.url)
/** Nobody is its admin, so that the starter key is good. */
const server = await startServer()
after(() => server[Symbol.asyncDispose]())

interface ThunderCollection {
  readonly clientName: string
  readonly version: string
  readonly requests: readonly {
    readonly _id: string
    readonly name: string
    readonly url: string
    readonly method: string
    readonly params: readonly { readonly name: string; readonly value: string }[]
    readonly body?: { readonly type: string; readonly raw: string }
    readonly auth?: { readonly type: string; readonly bearer: string }
    readonly tests: readonly { readonly type: string; readonly value: string }[]
  }[]
}

describe('the Thunder Client collection', () => {
  const { clientName, version, requests } = JSON.parse(readFileSync(file, 'utf8')) as ThunderCollection

  test('is what the free edition takes: at most 15 requests, whole addresses, no variables', () => {
    assert.deepEqual([clientName, version], ['Thunder Client', '1.2'])
    assert.ok(requests.length <= 15, String(requests.length))
    assert.equal(new Set(requests.map(({ _id }) => _id)).size, requests.length)
    assert.doesNotMatch(JSON.stringify(requests), /\{\{/)
    for (const { url } of requests) {
      assert.equal(new URL(url).origin, 'http://127.0.0.1:3000')
      assert.doesNotMatch(url, /limits|audit|\/v1\/(auth|me|keys|users)/, 'calls for operators, and those that need a token of minutes')
    }
  })

  test('asks for a key where one is needed, and holds none', () => {
    const authorized = requests.filter(({ auth }) => auth !== undefined)
    assert.ok(authorized.length > 0)
    for (const { auth } of authorized) assert.deepEqual(auth, { type: 'bearer', bearer: keyPlaceholder })
  })

  test('each request gets what its test says, refusals included', async () => {
    for (const { url, method, params, body, auth, tests } of requests) {
      const { pathname, search, searchParams } = new URL(url)
      assert.deepEqual(
        params.map(({ name, value }) => [name, value]),
        [...searchParams],
      )
      const fields = {
        ...(body ? { 'Content-Type': 'application/json' } : {}),
        ...(auth ? { Authorization: `Bearer ${server.key()}` } : {}),
      }
      const expected = tests.length === 0 ? [200, 404] : tests.map(({ value }) => Number(value))
      const answer = await ask(server, { method, target: pathname + search, fields, ...(body ? { body: body.raw } : {}) })
      assert.ok(expected.includes(answer.status), `${method} ${url}: ${answer.status} ${answer.body}`)
    }
    const statuses = new Set(requests.flatMap(({ tests }) => tests.map(({ value }) => value)))
    for (const status of ['200', '201', '400', '401', '404', '405']) assert.ok(statuses.has(status), status)
  })
})

test('nothing of this made the server stumble', () => assertQuietLog(server))
