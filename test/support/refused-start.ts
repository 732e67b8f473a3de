import assert from 'node:assert/strict'

import { runToEnd } from './server.ts'

const secretsKey = 'of tests only, and as long as the program asks for'

/** Starts must fail at once, not after minutes of hope; a busy machine takes a second to load the program. */
const limitMs = 10_000

/** A start on a database that cannot be used: exit 2, one line that names the place and the reason, and no word of the password. */
export const assertStartRefused = async (databaseUrl: string, said: readonly RegExp[]): Promise<void> => {
  const startedMs = performance.now()
  const { code, stdout, stderr } = await runToEnd({ env: { DATABASE_URL: databaseUrl, FILMGATE_SECRETS_KEY: secretsKey } })
  const tookMs = performance.now() - startedMs
  assert.equal(code, 2, stderr)
  for (const words of said) assert.match(stderr, words)
  assert.match(stderr, /DATABASE_URL: database\.url/)
  assert.doesNotMatch(stderr, /\n\s+at /, 'no stack')
  assert.doesNotMatch(stderr + stdout, /listens on|sys_startup/)
  const { password } = new URL(databaseUrl)
  if (password !== '') assert.ok(!(stderr + stdout).includes(decodeURIComponent(password)), 'the password is told')
  assert.ok(!(stderr + stdout).includes(secretsKey), 'the key is told')
  assert.ok(tookMs < limitMs, `took ${tookMs} ms`)
}
