import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { maxPlaces } from '../../src/api/accounts/sessions/known-places.ts'
import { maxSessions } from '../../src/api/accounts/sessions/session-statements.ts'
import { loadConfig } from '../../src/config.ts'
import { checkLimits } from '../../src/serve.ts'

const folder = mkdtempSync(join(tmpdir(), 'filmgate-docs-'))
after(() => rmSync(folder, { recursive: true }))
const { auth } = loadConfig({ env: {}, cwd: folder, checkLimits })
const page = readFileSync(join(import.meta.dirname, '../../docs/login.md'), 'utf8')

/** Each is said of the setting, in one sentence or row, with the value that the program has. */
const said: readonly (readonly [title: string, pattern: RegExp])[] = [
  ['the life of an access token', new RegExp(`5 minutes \\(\`auth\\.access_token_ttl\`\\)`)],
  ['[ASVS 7.1.1] the absolute lifetime', new RegExp(`auth\\.session_max_age\`[^.|]*\\(default ${auth.sessionMaxAge}\\)`)],
  ['[ASVS 7.1.1] the idle lifetime', new RegExp(`auth\\.session_idle\`[^.|]*\\(default ${auth.sessionIdle}\\)`)],
  [
    '[ASVS 7.1.2] how many sessions at once, and which one goes',
    new RegExp(`at most ${maxSessions} sessions at once[^|]*not used for longest ends`),
  ],
  ['[ASVS 6.1.1] guesses of a client', new RegExp(`auth\\.login_failures\`, default ${auth.loginFailures} `)],
  ['[ASVS 6.1.1] guesses at an account', new RegExp(`auth\\.account_failures\`, default ${auth.accountFailures} `)],
  ['[ASVS 6.1.1] why its owner is not locked out', new RegExp(`the ${maxPlaces} places from which the account was last`)],
]

test('the life of an access token is the one in the examples', () => assert.equal(auth.accessTokenTtl, '5m'))

for (const [title, pattern] of said) test(`${title} is documented as it is`, () => assert.match(page.replaceAll('\n', ' '), pattern))
