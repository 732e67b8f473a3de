import assert from 'node:assert/strict'
import { createHash, hkdfSync } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'

import { openMasterKey } from './master-key.ts'

let folder = ''
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'filmgate-master-'))))
afterEach(() => rmSync(folder, { recursive: true }))

const path = (): string => join(folder, 'master.key')

describe('the master key of an installation', () => {
  test('is made at the first start: 256 random bits that only the owner can read', () => {
    openMasterKey(folder, '')
    assert.match(readFileSync(path(), 'utf8'), /^[\w-]{43}\n$/)
    assert.equal(statSync(path()).mode & 0o777, 0o600)
    assert.deepEqual(readdirSync(folder), ['master.key'])
  })

  test('is made once: later starts derive the same keys from the same file', () => {
    const first = openMasterKey(folder, '').derive('voter')
    const { ino, mtimeMs } = statSync(path())
    assert.deepEqual(openMasterKey(folder, '').derive('voter'), first)
    const again = statSync(path())
    assert.deepEqual([again.ino, again.mtimeMs], [ino, mtimeMs])
  })

  test('is another one in every installation', () => {
    const one = openMasterKey(folder, '').derive('voter')
    rmSync(path())
    assert.notDeepEqual(openMasterKey(folder, '').derive('voter'), one)
  })

  test('that is emptied or cut off stops the start: a short key would make every voter id guessable', () => {
    for (const damaged of ['', '\n', ' \n\n', 'x', 'x'.repeat(42), `${'x'.repeat(42)}\n`]) {
      writeFileSync(path(), damaged)
      assert.throws(() => openMasterKey(folder, ''), /master\.key is damaged/, JSON.stringify(damaged))
      assert.equal(readFileSync(path(), 'utf8'), damaged, 'it is left for the operator to restore')
    }
  })

  test('that cannot be read stops the start instead of being made anew', () => {
    assert.throws(() => openMasterKey(join(folder, 'none'), ''))
  })
})

describe('a configured key', () => {
  const configured = 'k'.repeat(43)

  test('wins over the file and leaves none', () => {
    const fromFile = openMasterKey(folder, '').derive('voter')
    assert.notDeepEqual(openMasterKey(folder, configured).derive('voter'), fromFile)
    rmSync(path())
    openMasterKey(folder, configured)
    assert.deepEqual(readdirSync(folder), [])
  })

  test('derives 32 bytes with HKDF-SHA-256, always the same ones: votes stay those of their voters', () => {
    const derived = openMasterKey(folder, configured).derive('voter')
    const material = createHash('sha256').update(configured).digest()
    assert.deepEqual(derived, Buffer.from(hkdfSync('sha256', material, 'filmgate', 'voter', 32)))
    assert.notDeepEqual(openMasterKey(folder, `${configured}x`).derive('voter'), derived)
  })
})
