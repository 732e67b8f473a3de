import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'

import fc from 'fast-check'

import { commonPasswordsUrl, createCommonPasswords } from './common-passwords.ts'

const shipped = readFileSync(commonPasswordsUrl, 'utf8').trimEnd().split('\n')
const common = createCommonPasswords()

test('[ASVS 6.2.4] [ASVS 6.2.12] every password of the list is known, in whatever case; the list has tens of thousands of allowed length', async () => {
  assert.ok(shipped.length > 40_000)
  for (const password of shipped) assert.equal(await common.has(password), true, password)
  for (const password of ['PASSWORD1234', 'Qwertyuiop123', '1Q2W3E4R5T6Y', '123456789012'])
    assert.equal(await common.has(password), true, password)
})

test('what is not in it is not known: beginnings, ends, neighbours, several lines at once', async () => {
  const known = new Set(shipped)
  const [first = '', second = ''] = shipped
  const last = shipped.at(-1) ?? ''
  for (const password of [
    '',
    '\n',
    `${first}\n`,
    `${first}\n${second}`,
    `\n${first}`,
    `${last}z`,
    first.slice(0, -1),
    '\0',
    '\u{10ffff}'.repeat(12),
    ' ',
  ])
    assert.equal(await common.has(password), false, JSON.stringify(password))
  for (const password of shipped.filter((_, i) => i % 50 === 0))
    for (const near of [`${password}~`, password.slice(1), `!${password}`]) assert.equal(await common.has(near), known.has(near), near)
})

test('any sorted list, any question: as a set would answer', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'filmgate-list-'))
  try {
    const word = fc.string({ unit: fc.constantFrom('a', 'b', 'é', '\u{1f600}', '~'), minLength: 1, maxLength: 4 })
    let count = 0
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(word, { maxLength: 12 }), fc.array(word, { maxLength: 12 }), async (list, asked) => {
        const path = join(folder, `${count++}.txt`)
        writeFileSync(path, Buffer.concat(list.map((line) => Buffer.from(`${line}\n`)).toSorted((a, b) => a.compare(b))))
        const own = createCommonPasswords(pathToFileURL(path))
        for (const one of [...list, ...asked]) assert.equal(await own.has(one), list.includes(one))
      }),
      { numRuns: 60 },
    )
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test('a list that cannot be read lets nothing through, and is looked for again', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'filmgate-list-'))
  try {
    const path = join(folder, 'list.txt')
    const own = createCommonPasswords(pathToFileURL(path))
    await assert.rejects(own.has('seven kestrels'), { code: 'ENOENT' })
    writeFileSync(path, 'seven kestrels\n')
    assert.equal(await own.has('Seven Kestrels'), true)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
