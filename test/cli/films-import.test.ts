import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'

import { type CommandOptions, runCommand, temporaryFolder } from '../support/command.ts'
import { databases } from '../support/databases.ts'
import { filmLine } from '../support/film-file.ts'
import { startServer } from '../support/server.ts'
import { describeUnless } from '../support/services.ts'
import { assertConsistent, storedInFolder } from '../support/stored.ts'

interface Report {
  readonly dryRun: boolean
  readonly checked: number
  readonly mistakes: readonly { readonly line: number; readonly pointer: string; readonly detail: string }[]
  readonly ignored: readonly string[]
  readonly imported: number
  readonly stopped: string | null
  readonly nextLine: number | null
}

interface Imported {
  readonly code: number | null
  readonly stderr: string
  readonly report: Report | undefined
  readonly names: readonly unknown[]
}

/** Imports what is given as a file, or as standard input, into an empty catalogue, and looks what is there then. */
const importBytes = async (
  bytes: string | Uint8Array,
  { args = [], stdin = false }: { args?: readonly string[]; stdin?: boolean } = {},
): Promise<Imported> => {
  using folder = temporaryFolder()
  const dataDir = join(folder.path, 'data')
  const options: CommandOptions & { cwd: string } = { dataDir, cwd: folder.path, ...(stdin ? { input: bytes } : {}) }
  if (!stdin) writeFileSync(join(folder.path, 'films.ndjson'), bytes)
  const { code, stdout, stderr } = await runCommand(['films', 'import', stdin ? '-' : 'films.ndjson', '--json', ...args], options)
  assert.doesNotMatch(stderr, /\n\s+at |node:|\.ts:/, 'no stack')
  if (existsSync(dataDir))
    assert.deepEqual(
      readdirSync(dataDir).filter((name) => name.startsWith('.import')),
      [],
      'no spool file is left',
    )
  const stored = storedInFolder(dataDir)
  const isThere = existsSync(join(dataDir, 'filmgate.db'))
  if (isThere) await assertConsistent(stored)
  const names = isThere ? (await stored.query('select name from film order by id')).map(({ name }) => name) : []
  return { code, stderr, report: stdout === '' ? undefined : (JSON.parse(stdout) as Report), names }
}

const lines = (...texts: readonly string[]): string => texts.map((text) => `${text}\n`).join('')
const good = '{"name":"Moana","studio":"Disney","year":2016}'
const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1')
const utf16 = (text: string): Buffer => Buffer.from(text, 'utf16le')

interface Refused {
  readonly bytes: string | Uint8Array
  readonly line: number
  readonly pointer?: string
  readonly detail: RegExp
}

const refusedLines: Readonly<Record<string, Refused>> = {
  'not JSON': { bytes: lines(good, 'Frozen'), line: 2, detail: /not valid JSON/ },
  'a trailing comma': { bytes: lines(good, '{"name":"A",}'), line: 2, detail: /not valid JSON. See character 13\./ },
  'two objects on a line': { bytes: lines(good + good), line: 1, detail: /not valid JSON/ },
  'a last line that is cut in half': {
    bytes: `${lines(good, good)}{"name":"Fro`,
    line: 3,
    detail: /not valid JSON.* the file may be cut off/,
  },
  'a last line that is cut in a character': {
    bytes: Buffer.from(`${lines(good)}{"name":"é`).subarray(0, -1),
    line: 2,
    detail: /not valid UTF-8.* cut off/,
  },
  'a member twice': { bytes: lines('{"name":"A","name":"B"}'), line: 1, detail: /the same member twice/ },
  'a member twice, escaped': { bytes: lines(String.raw`{"name":"A","n\u0061me":"B"}`), line: 1, detail: /the same member twice/ },
  'a member __proto__': { bytes: lines('{"name":"A","__proto__":{}}'), line: 1, detail: /cannot be called __proto__/ },
  depth: { bytes: lines(`{"name":${'['.repeat(40)}${']'.repeat(40)}}`), line: 1, detail: /nested more than 32 levels/ },
  'half a surrogate pair': { bytes: lines(String.raw`{"name":"\ud83c"}`), line: 1, detail: /half of a surrogate pair/ },
  'a byte that is no UTF-8': {
    bytes: Buffer.concat([latin1(lines(good)), latin1('{"name":"Amélie"}\n')]),
    line: 2,
    detail: /not valid UTF-8. See character 12; .*LATIN1/,
  },
  'a byte order mark in the middle': { bytes: lines(good, `\u{feff}${good}`), line: 2, detail: /byte order mark/ },
  'no name': { bytes: lines('{"year":2016}'), line: 1, pointer: '/name', detail: /required/ },
  'an unknown member': { bytes: lines('{"name":"A","titel":"B"}'), line: 1, pointer: '/titel', detail: /not known/ },
  'a wrong type': { bytes: lines(good, '', '{"name":"A","year":"2016"}'), line: 3, pointer: '/year', detail: /integer/ },
  'a year of the future': { bytes: lines('{"name":"A","year":9999}'), line: 1, pointer: '/year', detail: /2200/ },
  'a name of spaces': { bytes: lines('{"name":"   "}'), line: 1, pointer: '/name', detail: /pattern/ },
  'a name that turns the reading direction': {
    bytes: lines(String.raw`{"name":"A\u202eB"}`),
    line: 1,
    pointer: '/name',
    detail: /pattern/,
  },
  'a control character in a name': { bytes: lines(String.raw`{"name":"A\u001b[31m"}`), line: 1, pointer: '/name', detail: /pattern/ },
  'a name of 201 characters': { bytes: lines(JSON.stringify({ name: 'a'.repeat(201) })), line: 1, pointer: '/name', detail: /200/ },
  'a name that is longer in NFC': {
    bytes: lines(JSON.stringify({ name: '\u{fb2c}'.repeat(100) })),
    line: 1,
    pointer: '/name',
    detail: /normal form C/,
  },
  'an id of the wrong type': { bytes: lines('{"name":"A","id":"1"}'), line: 1, pointer: '/id', detail: /integer/ },
  'an array as a line': { bytes: lines(good, '[1]'), line: 2, detail: /object/ },
  'a line that is too long': {
    bytes: lines(good, JSON.stringify({ name: 'a'.repeat(70_000) }), good),
    line: 2,
    detail: /longer than 65536 bytes/,
  },
  'a line of 3 MB, then a wrong one': { bytes: lines(good, 'x'.repeat(3_000_000)), line: 2, detail: /longer than 65536 bytes/ },
  'a NUL byte': { bytes: lines(good, '{"name":"A\0"}'), line: 2, detail: /not valid JSON/ },
  CSV: { bytes: lines('name,year', 'Frozen,2013'), line: 1, detail: /not valid JSON/ },
  'pretty-printed JSON': { bytes: JSON.stringify({ name: 'Frozen' }, null, 2), line: 1, detail: /not valid JSON/ },
}

describe('a line that is refused: its number and the reason, and nothing is imported', () => {
  for (const [name, { bytes, line, pointer = '', detail }] of Object.entries(refusedLines)) {
    test(name, async () => {
      const { code, report, names } = await importBytes(bytes)
      assert.equal(code, 1)
      assert.equal(report?.imported, 0)
      assert.deepEqual(names, [])
      const [mistake] = report?.mistakes ?? []
      assert.deepEqual({ line: mistake?.line, pointer: mistake?.pointer }, { line, pointer }, JSON.stringify(report))
      assert.match(mistake?.detail ?? '', detail)
    })
  }
})

const foreign: Readonly<Record<string, { readonly bytes: Uint8Array | string; readonly message: RegExp }>> = {
  gzip: { bytes: gzipSync(lines(good)), message: /it is gzip; unpack it first/ },
  zip: { bytes: Buffer.from('PK\u0003\u0004....'), message: /it is a zip archive/ },
  'UTF-16 with a byte order mark': { bytes: utf16(`\u{feff}${lines(good)}`), message: /it is UTF-16, not UTF-8/ },
  'UTF-16 without': { bytes: utf16(lines(good)), message: /it is UTF-16, not UTF-8/ },
  'UTF-16, big end first': { bytes: utf16(`\u{feff}${lines(good)}`).swap16(), message: /it is UTF-16, not UTF-8/ },
  'a JSON array': { bytes: `[${good}]`, message: /it is a JSON array; .*jq/ },
}

describe('a file of another kind is named', () => {
  for (const [name, { bytes, message }] of Object.entries(foreign)) {
    for (const stdin of [false, true]) {
      test(`${name}${stdin ? ', on standard input' : ''}`, async () => {
        const { code, report, stderr, names } = await importBytes(bytes, { stdin })
        assert.deepEqual([code, report, names], [1, undefined, []])
        assert.match(stderr, message)
        assert.match(stderr, /nothing was imported/)
      })
    }
  }
})

describe('a file that cannot be read: the reason, exit 1', () => {
  test('there is none', async () => {
    const { code, stdout, stderr } = await runCommand(['films', 'import', 'nowhere.ndjson'])
    assert.deepEqual([code, stdout], [1, ''])
    assert.equal(stderr, 'filmgate: cannot read "nowhere.ndjson": no such file\n')
  })

  test('a folder', async () => {
    using folder = temporaryFolder()
    mkdirSync(join(folder.path, 'films'))
    const { code, stderr } = await runCommand(['films', 'import', 'films'], { cwd: folder.path })
    assert.deepEqual([code, stderr], [1, 'filmgate: cannot read "films": it is a folder\n'])
  })

  test('a line number that is none', async () => {
    for (const line of ['0', '-1', 'x', '1.5', '']) {
      const { code, stderr } = await runCommand(['films', 'import', 'x', `--from-line=${line}`])
      assert.equal(code, 2)
      assert.match(stderr, /--from-line needs/)
    }
  })
})

test('mistakes are listed in the order of the file, the first 20 of them, for people too', async () => {
  const many = Array.from({ length: 50 }, (_, i) => `{"name":"Film ${i}","year":${i % 2 === 0 ? 2000 : 1}}`)
  const { report } = await importBytes(lines(...many))
  assert.deepEqual(
    report?.mistakes.map(({ line }) => line),
    Array.from({ length: 20 }, (_, i) => 2 * (i + 1)),
  )
  using folder = temporaryFolder()
  const name = String.raw`odd\u001b[31m\u202e`
  writeFileSync(join(folder.path, 'films.ndjson'), lines(good, `{"name":"A","${name}":1}`, 'x'))
  const { code, stdout, stderr } = await runCommand(['films', 'import', 'films.ndjson'], { cwd: folder.path })
  assert.deepEqual([code, stdout], [1, ''])
  assert.match(
    stderr,
    /Nothing was imported\. "films\.ndjson" has these mistakes:\n {2}line 2, \/odd.*: is not known here\n {2}line 3: The line is not valid JSON\./,
  )
  // oxlint-disable-next-line no-control-regex
  assert.doesNotMatch(stderr, /[\u001b\u202e]/, 'what the file holds does not reach the terminal as it is')
})

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
    execFileSync('mkfifo', [join(folder.path, 'pipe')])
    const script = `(printf '%s\\n' '${good}' > pipe) & exec "$@"`
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
      assert.equal((JSON.parse(stdout) as Report).imported, 7001)
      await assertConsistent(place)
      assert.deepEqual(
        (await place.query('select films from catalogue')).map((row) => row['films']),
        [7001],
      )
    })
  })
}
