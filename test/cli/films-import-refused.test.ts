import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'

import { runCommand, temporaryFolder } from '../support/command.ts'
import { importBytes, lines } from '../support/importing.ts'
import { startServer } from '../support/server.ts'

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

test('the words are those of POST /add_film', async () => {
  await using server = await startServer()
  const headers = { authorization: `Bearer ${server.key()}`, 'content-type': 'application/json' }
  const alone = Object.values(refusedLines).flatMap(({ bytes, line }) => {
    const text = Buffer.from(bytes).toString('latin1').split('\n')[line - 1] ?? ''
    // An id is no mistake in a file, and a body has a limit of its own.
    return text.length > 10_000 || text.includes('"id"') ? [] : [Buffer.from(text, 'latin1')]
  })
  assert.ok(alone.length > 20)
  const { report } = await importBytes(Buffer.concat(alone.slice(0, 18).flatMap((line) => [line, Buffer.from('\n')])))
  for (const [i, body] of alone.slice(0, 18).entries()) {
    const answer = await fetch(`${server.url}/add_film`, { method: 'POST', headers, body })
    assert.equal(answer.status, 400)
    const { errors, detail } = (await answer.json()) as { detail: string; errors?: readonly { pointer: string; detail: string }[] }
    const found = (report?.mistakes ?? []).filter(({ line }) => line === i + 1)
    const where = `line ${i + 1}: ${body.toString()}`
    if (errors === undefined) assert.ok(found[0]?.detail.startsWith(detail.replace('The body', 'The line')), where)
    else
      assert.deepEqual(
        found.map(({ pointer, detail: text }) => ({ pointer, detail: text })),
        errors,
        where,
      )
  }
})
