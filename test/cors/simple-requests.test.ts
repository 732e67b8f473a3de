import assert from 'node:assert/strict'
import { test } from 'node:test'

import { ask } from '../support/attack.ts'
import { raisedLimits, startServer } from '../support/server.ts'

const app = 'https://app.example'

test('[ASVS 3.5.2] what changes something cannot be sent without a preflight: not as a form, not as text, not as nothing', async () => {
  // Even where the page may do it, with a preflight.
  await using server = await startServer({ toml: `${raisedLimits}[cors]\norigins = ["${app}"]\n`, env: { FILMGATE_PAGE_ENABLED: 'false' } })
  const { paths } = (await ask(server, { target: '/openapi.json' })).json() as { readonly paths: Readonly<Record<string, object>> }
  const targets = Object.keys(paths).filter((path) => 'post' in paths[path]!)
  assert.ok(targets.length > 10)
  const safe = [
    'text/plain',
    'text/plain;charset=utf-8',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'text/plain; application/json',
    'text/plain, application/json',
    null,
  ]
  for (const [i, target] of targets.entries()) {
    for (const [j, type] of safe.entries()) {
      const fields = { Origin: app, 'Sec-Fetch-Site': 'cross-site', ...(type === null ? {} : { 'Content-Type': type }) }
      const answer = await ask(server, {
        method: 'POST',
        target,
        from: `127.0.${50 + i}.${j + 1}`,
        fields,
        body: '{"username":"x","password":"y","code":"z"}',
      })
      // Without the field Authorization, which asks for a preflight too, nobody is known.
      assert.ok([401, 415].includes(answer.status), `${target} as ${type}: ${answer.status} ${answer.body}`)
    }
  }
})
