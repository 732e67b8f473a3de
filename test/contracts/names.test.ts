import assert from 'node:assert/strict'
import { test } from 'node:test'

import { startServer } from '../support/server.ts'

/** NFC takes these apart (composition exclusions, UAX #15 section 5): a text may grow to twice its length and more when it is stored. */
const growing = { '\u0958': 2, '\ufb2c': 3, '\ud834\udd60': 3 }

test("a name that NFC makes longer than 200 is the client's mistake, not a failure of the storage", async () => {
  await using server = await startServer()
  const headers = { authorization: `Bearer ${server.key()}`, 'content-type': 'application/json' }
  const add = (body: object): Promise<Response> => fetch(`${server.url}/add_film`, { method: 'POST', headers, body: JSON.stringify(body) })
  for (const [character, factor] of Object.entries(growing)) {
    for (const field of ['name', 'studio', 'genre', 'director'] as const) {
      const fits = await add({ name: 'Any', [field]: character.repeat(Math.floor(200 / factor)) })
      assert.equal(fits.status, 201, `${field}: fits`)
      const tooLong = await add({ name: 'Any', [field]: character.repeat(Math.floor(200 / factor) + 1) })
      assert.equal(tooLong.status, 400, `${field}: longer than 200 when stored`)
      const problem = (await tooLong.json()) as { code: string; errors: { pointer: string }[] }
      assert.equal(problem.code, 'validation_failed')
      assert.deepEqual(
        problem.errors.map(({ pointer }) => pointer),
        [`/${field}`],
      )
    }
  }
  await server.kill('SIGTERM')
  assert.deepEqual(
    server.log().filter(({ event }) => event === 'sys_store_failure'),
    [],
  )
})
