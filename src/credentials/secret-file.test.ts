import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'

import { readSecretFile, writeSecretFile } from './secret-file.ts'

let folder = ''
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'filmgate-secret-'))))
afterEach(() => rmSync(folder, { recursive: true }))

const modeOf = (path: string): number => statSync(path).mode & 0o777

describe('a secret file', () => {
  test('is read as it was written, without its line end', () => {
    const path = join(folder, 'x.key')
    writeSecretFile(path, 'hunter2')
    assert.deepEqual([readSecretFile(path), readFileSync(path, 'utf8')], ['hunter2', 'hunter2\n'])
  })

  test('that is not there is undefined; one that cannot be read is an error, not "not there"', () => {
    assert.equal(readSecretFile(join(folder, 'none.key')), undefined)
    assert.throws(() => readSecretFile(folder), /EISDIR/)
  })

  test('is for its owner alone, whatever the umask says and whatever mode the old file had', () => {
    for (const umask of [0o000, 0o022, 0o277]) {
      const path = join(folder, `${umask}.key`)
      writeFileSync(path, 'old')
      chmodSync(path, 0o666)
      const before = process.umask(umask)
      try {
        writeSecretFile(path, 'hunter2')
      } finally {
        process.umask(before)
      }
      assert.equal(modeOf(path), 0o600, umask.toString(8))
    }
  })

  test('replaces the old one as a whole: who has it open keeps reading the old secret, never half of both', () => {
    const path = join(folder, 'x.key')
    writeSecretFile(path, 'old'.repeat(1000))
    const { ino } = statSync(path)
    writeSecretFile(path, 'new')
    assert.notEqual(statSync(path).ino, ino)
    assert.deepEqual([readSecretFile(path), readdirSync(folder)], ['new', ['x.key']])
  })

  test('planted link: the secret does not go where somebody else pointed', () => {
    const [path, elsewhere] = [join(folder, 'x.key'), join(folder, 'elsewhere')]
    writeFileSync(elsewhere, 'theirs')
    symlinkSync(elsewhere, path)
    writeSecretFile(path, 'hunter2')
    assert.deepEqual([readFileSync(elsewhere, 'utf8'), readSecretFile(path)], ['theirs', 'hunter2'])
  })

  test('a write that fails leaves the old secret, and no draft with the new one', () => {
    const path = join(folder, 'x.key')
    mkdirSync(path)
    assert.throws(() => writeSecretFile(path, 'hunter2'))
    assert.deepEqual(readdirSync(folder), ['x.key'])
  })

  test('a crash at any moment leaves the old file or the new one', () => {
    const path = join(folder, 'x.key')
    const module = new URL('./secret-file.ts', import.meta.url).href
    const script = `import { writeSecretFile } from ${JSON.stringify(module)}
      for (let i = 0; ; i++) { writeSecretFile(${JSON.stringify(path)}, String(i % 10).repeat(5000)); if (i === 3) process.kill(process.pid, 'SIGKILL') }`
    assert.throws(() => execFileSync(process.execPath, ['--input-type=module', '--eval', script]))
    assert.match(readFileSync(path, 'utf8'), /^(\d)\1{4999}\n$/)
  })
})
