import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'

import { runCommand, temporaryFolder } from '../support/command.ts'
import { databases } from '../support/databases.ts'
import { filmLine } from '../support/film-file.ts'
import { importBytes, type ImportReport, lines } from '../support/importing.ts'
import { startServer } from '../support/server.ts'
import { describeUnless } from '../support/services.ts'
import { assertConsistent, storedInFolder } from '../support/stored.ts'

const good = '{"name":"Moana","studio":"Disney","year":2016}'

const taken: Readonly<Record<string, { readonly bytes: string | Uint8Array; readonly names: readonly string[] }>> = {
  'an empty file': { bytes: '', names: [] },
  'blank lines alone': { bytes: '\n\r\n  \t\n', names: [] },
  'no end of the last line': { bytes: lines(good) + '{"name":"Frozen"}', names: ['Moana', 'Frozen'] },
  CRLF: { bytes: '{"name":"A"}\r\n\r\n{"name":"B"}\r\n', names: ['A', 'B'] },
  'a byte order mark at the beginning': { bytes: `\u{feff}${lines('{"name":"A"}', '{"name":"B"}')}`, names: ['A', 'B'] },
  'a byte order mark alone': { bytes: '\u{feff}', names: [] },
  'a film twice': { bytes: lines(good, good), names: ['Moana', 'Moana'] },
  'white space in a line': { bytes: '  { "name" :\t"A" } \n', names: ['A'] },
  'a decomposed name': { bytes: lines('{"name":"Ame\u0301lie"}'), names: ['Amélie'] },
  'line separators in a string': { bytes: lines('{"name":"A B", "studio": "\u{85b}C"}'), names: ['A B'] },
  'a line of just 64 KiB': { bytes: lines(`{"name":"A"${' '.repeat(65_536 - 12)}}`), names: ['A'] },
}

describe('what is taken', () => {
  for (const [i, [name, { bytes, names }]] of Object.entries(taken).entries()) {
    // One half as a file, the other as standard input, which becomes a file first.
    const stdin = i % 2 === 1
    test(`${name}${stdin ? ', on standard input' : ''}`, async () => {
      const imported = await importBytes(bytes, { stdin })
      assert.equal(imported.code, 0, imported.stderr)
      assert.deepEqual(imported.names, names)
      assert.deepEqual(
        { imported: imported.report?.imported, stopped: imported.report?.stopped },
        { imported: names.length, stopped: null },
      )
    })
  }

  test('lines that lie across the blocks of reading, and several batches, in their order', async () => {
    const expected = Array.from({ length: 12_345 }, (_, i) => filmLine(i + 1))
    const { code, names } = await importBytes(lines(...expected))
    assert.equal(code, 0)
    assert.deepEqual(
      names,
      expected.map((line) => (JSON.parse(line) as { name: string }).name.normalize('NFC')),
    )
  })

  test('the members that the program sets itself are ignored, and that is said', async () => {
    const { code, report } = await importBytes(lines('{"id":77,"name":"A","likes":5,"dislikes":2}'))
    assert.equal(code, 0)
    assert.deepEqual(report?.ignored, ['id', 'likes', 'dislikes'])
    using folder = temporaryFolder()
    writeFileSync(join(folder.path, 'films.ndjson'), lines('{"id":77,"name":"A","likes":5,"dislikes":2}'))
    const { stdout, stderr } = await runCommand(['films', 'import', 'films.ndjson'], { cwd: folder.path })
    assert.match(stdout, /^1 films imported in /)
    assert.match(stderr, /The members id, likes, dislikes were ignored/)
    const stored = await storedInFolder(join(folder.path, 'data')).query('select id, likes, dislikes from film')
    assert.deepEqual(stored, [{ id: 1, likes: 0, dislikes: 0 }])
  })

  test('--dry-run says the same and stores nothing', async () => {
    for (const stdin of [false, true]) {
      const fine = await importBytes(lines(good, good), { stdin, args: ['--dry-run'] })
      assert.deepEqual([fine.code, fine.report?.checked, fine.report?.imported, fine.names], [0, 2, 0, []])
      assert.equal(fine.report?.dryRun, true)
      const bad = await importBytes(lines(good, 'x'), { stdin, args: ['--dry-run'] })
      assert.deepEqual([bad.code, bad.report?.mistakes.length], [1, 1])
    }
  })

  test('--from-line leaves out what stands before it, mistakes too; line numbers stay those of the file', async () => {
    const bytes = lines('broken', '{"name":"A"}', '', '{"name":"B"}', '{"name":"C"}')
    assert.deepEqual((await importBytes(bytes, { args: ['--from-line', '3'] })).names, ['B', 'C'])
    assert.deepEqual((await importBytes(bytes, { args: ['--from-line=6'] })).names, [])
    const { report } = await importBytes(lines('broken', good, 'broken'), { args: ['--from-line', '2'] })
    assert.deepEqual(
      report?.mistakes.map(({ line }) => line),
      [3],
    )
  })

  test('a pipe is a file like any other', async () => {
    using folder = temporaryFolder()
    const script = `mkfifo pipe; (printf '%s\\n' '${good}' > pipe) & exec "$@"`
    const { code, stdout } = await runCommand(['films', 'import', 'pipe'], {
      cwd: folder.path,
      wrap: (command) => ['sh', '-c', script, 'sh', ...command],
    })
    assert.equal(code, 0)
    assert.match(stdout, /^1 films imported/)
  })

  test('a catalogue that was filled by an import keeps to it: the starter films do not come', async () => {
    using folder = temporaryFolder()
    const dataDir = join(folder.path, 'data')
    await runCommand(['films', 'import', '-'], { dataDir, input: lines(good) })
    await using server = await startServer({ dataDir })
    assert.doesNotMatch(server.stderr(), /First start/)
    const answer = await fetch(server.url)
    assert.equal(((await answer.json()) as { name: string }).name, 'Moana')
  })
})

for (const database of databases) {
  describeUnless(database.missing, `on ${database.name}`, () => {
    test('an import behind films that are there: ids go on, slots have no hole, every member arrives', async () => {
      await using place = await database.filledPlace(10)
      const films = [
        { name: 'Full', studio: 'S', year: 1999, genre: 'G', director: 'D', runtime_min: 91, rating: 7.25 },
        { name: 'Bare', studio: null, year: null, genre: null, director: null, runtime_min: null, rating: null },
      ]
      const input = lines(JSON.stringify(films[0]), '{"name":"Bare"}')
      const { code, stderr } = await runCommand(['films', 'import', '-'], { dataDir: place.dataDir, env: place.env, input })
      assert.equal(code, 0, stderr)
      await assertConsistent(place)
      const stored = await place.query(
        'select name, studio, year, genre, director, runtime_min, rating from film where id > 10 order by id',
      )
      assert.deepEqual(
        stored.map((row) => ({ ...row })),
        films,
      )
    })

    test('7,001 films: whole batches, a rest, and a rest of one', async () => {
      await using place = await database.place()
      const input = lines(...Array.from({ length: 7001 }, (_, i) => filmLine(i)))
      const { code, stdout, stderr } = await runCommand(['films', 'import', '-', '--json'], {
        dataDir: place.dataDir,
        env: place.env,
        input,
      })
      assert.equal(code, 0, stderr)
      assert.equal((JSON.parse(stdout) as ImportReport).imported, 7001)
      await assertConsistent(place)
      assert.deepEqual(
        (await place.query('select films from catalogue')).map((row) => row['films']),
        [7001],
      )
    })
  })
}
