import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'

import { temporaryFolder } from '../../test/support/command.ts'
import { createTestAuthority, writePair } from '../../test/support/tls-material.ts'
import { keyModeMistake, loadPair, type PairPaths, stampOf } from './pair-files.ts'

const authority = await createTestAuthority()

const placed = async () => {
  const folder = temporaryFolder()
  return { ...writePair(folder.path, await authority.issue()), path: folder.path, [Symbol.dispose]: () => folder[Symbol.dispose]() }
}

const mistakesOf = async (paths: PairPaths): Promise<string> => {
  const loaded = await loadPair(paths, { names: [], nowMs: Date.now() })
  return 'mistakes' in loaded ? loaded.mistakes.map(({ key, message }) => `${key} ${message}`).join('; ') : ''
}

describe('what is no pair of files', () => {
  const cases: readonly (readonly [name: string, damage: (place: PairPaths) => void, told: RegExp])[] = [
    ['nothing wrong', () => undefined, /^$/],
    ['no certificate', ({ cert }) => rmSync(cert), /^tls\.cert names no file$/],
    ['a link into nowhere', ({ key }) => (rmSync(key), symlinkSync('nowhere', key)), /^tls\.key names no file$/],
    ['a link to itself', ({ key }) => (rmSync(key), symlinkSync(key, key)), /^tls\.key leads in a circle of symbolic links$/],
    ['a folder', ({ cert }) => (rmSync(cert), mkdirSync(cert)), /^tls\.cert names something that is no file$/],
    [
      'a pipe that nobody writes: the start does not wait for it',
      ({ key }) => (rmSync(key), execFileSync('mkfifo', [key])),
      /^tls\.key names something that is no file$/,
    ],
    ['a device without end', ({ cert }) => (rmSync(cert), symlinkSync('/dev/zero', cert)), /^tls\.cert names something that is no file$/],
    ['more than a chain can have', ({ cert }) => writeFileSync(cert, 'x'.repeat(2_000_000)), /^tls\.cert names a file of more than 1 MiB$/],
    ['no PEM', ({ cert }) => writeFileSync(cert, 'x'), /^tls\.cert holds no certificate in PEM/],
    ['a key that everybody can read', ({ key }) => chmodSync(key, 0o644), /^tls\.key names a file that others .*\(mode 0644\): chmod 600$/],
    [
      'a key that the group can write',
      ({ key }) => chmodSync(key, 0o620),
      /^tls\.key names a file that others .*\(mode 0620\): chmod 600$/,
    ],
    [
      'several things at once',
      ({ cert, key }) => (chmodSync(key, 0o644), writeFileSync(key, 'x'), writeFileSync(cert, 'x')),
      /^tls\.key names a file that others .*; tls\.cert holds no certificate in PEM.*; tls\.key holds no private key in PEM$/,
    ],
  ]
  for (const [name, damage, told] of cases)
    test(name, async () => {
      using place = await placed()
      damage(place)
      assert.match(await mistakesOf(place), told)
    })
})

test('the stamp is that of the files behind the links, and changes with content, mode and target', async () => {
  using place = await placed()
  const links = { cert: join(place.path, 'cert'), key: join(place.path, 'key') }
  symlinkSync(place.cert, links.cert)
  symlinkSync(place.key, links.key)
  const seen = new Set([await stampOf(place)])
  assert.ok(seen.has(await stampOf(links)))
  assert.ok(seen.has((await loadPair(links, { names: [], nowMs: Date.now() })).stamp), 'that of what was read')
  const changes = [
    () => chmodSync(place.key, 0o640),
    () => utimesSync(place.cert, 1, 1),
    () => writeFileSync(place.cert, 'other'),
    () => (writeFileSync(`${place.key}2`, 'k'), renameSync(`${place.key}2`, place.key)),
    () => (rmSync(links.key), symlinkSync('nowhere', links.key)),
    () => (rmSync(links.key), symlinkSync(place.cert, links.key)),
  ]
  for (const [i, change] of changes.entries()) {
    change()
    const stamp = await stampOf(links)
    assert.ok(!seen.has(stamp), `change ${i}`)
    seen.add(stamp)
    assert.equal(await stampOf(links), stamp)
  }
})

test('the key file is for its owner alone; one of root is for this user by its group', () => {
  for (const [mode, uid, own, isRefused] of [
    [0o100600, 1000, 1000, false],
    [0o100400, 1000, 1000, false],
    [0o100640, 1000, 1000, true],
    [0o100604, 1000, 1000, true],
    [0o100620, 1000, 1000, true],
    [0o100602, 1000, 1000, true],
    [0o100601, 1000, 1000, true],
    [0o100666, 1000, 1000, true],
    [0o100600, 0, 0, false],
    [0o100640, 0, 0, true],
    [0o100640, 0, 1000, false],
    [0o100440, 0, 1000, false],
    [0o100660, 0, 1000, true],
    [0o100644, 0, 1000, true],
  ] as const)
    assert.equal(keyModeMistake({ mode, uid }, own) !== undefined, isRefused, `${mode.toString(8)} of ${uid} for ${own}`)
})
