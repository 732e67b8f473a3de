import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { describe, test } from 'node:test'

import fc from 'fast-check'

import { curlCommand, shellQuoted } from './curl.ts'

/** What a shell makes of a command: its words, with `curl` replaced by something that prints them. */
const wordsOf = (command: string): string[] =>
  execFileSync('sh', ['-c', `curl() { printf '%s\\0' "$@"; }; cat() { printf 'fg_the-key'; }; ${command}`], { encoding: 'utf8' })
    .split('\0')
    .slice(0, -1)

describe('shell quoting', () => {
  test('any text is one word, unchanged', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (raw) => {
        const text = raw.toWellFormed().replaceAll('\0', '\uFFFD')
        assert.deepEqual(wordsOf(`curl ${shellQuoted(raw.toWellFormed())}`), [text])
      }),
      { numRuns: 200 },
    )
  })

  test('what shells are broken with', () => {
    for (const text of [
      "'",
      "''",
      "'; rm -rf /; '",
      '$(id)',
      '`id`',
      '\\',
      "\\'",
      '!!',
      '-x',
      '@file',
      '\n',
      '* ?',
      '~',
      '#',
      '',
      '"',
      'a\\\nb',
    ])
      assert.deepEqual(wordsOf(`curl ${shellQuoted(text)}`), [text])
  })
})

describe('the command', () => {
  const url = 'http://localhost:3000/'

  test('each method', () => {
    const call = { url, body: undefined, withKey: false }
    assert.equal(curlCommand({ ...call, method: 'GET' }), 'curl --include http://localhost:3000/')
    assert.equal(curlCommand({ ...call, method: 'HEAD' }), 'curl --head http://localhost:3000/')
    assert.equal(curlCommand({ ...call, method: 'POST' }), 'curl --include --request POST http://localhost:3000/')
  })

  test('a body, a key that is only read when the command runs, and an address that curl would expand', () => {
    const command = curlCommand({ method: 'POST', url: `${url}?a={b}[1-9]&like='1'`, body: `@it's`, withKey: true })
    assert.deepEqual(wordsOf(command), [
      '--include',
      '--globoff',
      '--request',
      'POST',
      `${url}?a={b}[1-9]&like='1'`,
      '--header',
      'Authorization: Bearer fg_the-key',
      '--header',
      'Content-Type: application/json',
      '--data-raw',
      `@it's`,
    ])
  })

  test('half a surrogate pair goes as fetch sends it', () => {
    assert.equal(wordsOf(curlCommand({ method: 'POST', url, body: 'a\ud800', withKey: false })).at(-1), 'a\ufffd')
  })
})
