import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import fc from 'fast-check'

import { maxLineBytes, readLines } from './import-lines.ts'

const folder = mkdtempSync(join(tmpdir(), 'filmgate-lines-'))
after(() => rmSync(folder, { recursive: true }))

interface Seen {
  readonly number: number
  readonly text: string | undefined
  readonly ended: boolean
}

const linesOf = async (bytes: Buffer): Promise<Seen[]> => {
  const path = join(folder, 'file')
  writeFileSync(path, bytes)
  await using file = await open(path)
  const seen: Seen[] = []
  for await (const lines of readLines(file)) {
    assert.ok(lines.length > 0)
    for (const { number, bytes: line, ended } of lines) seen.push({ number, text: line?.toString('latin1'), ended })
  }
  return seen
}

/** The same without blocks, with the whole file at hand. */
const expectedOf = (bytes: Buffer): Seen[] => {
  const hasMark = bytes.subarray(0, 3).equals(Buffer.from([0xef, 0xbb, 0xbf]))
  const texts = bytes
    .subarray(hasMark ? 3 : 0)
    .toString('latin1')
    .split('\n')
  return texts
    .map((text, i) => ({ number: i + 1, text: text.length > maxLineBytes ? undefined : text, ended: i < texts.length - 1 }))
    .filter(({ text }) => text === undefined || /[^ \t\r]/.test(text))
}

const blockBytes = 1_048_576
/** Whole lines, as many as fit into that many bytes. */
const shortLines = (bytes: number): Buffer => Buffer.from(`${'a'.repeat(999)}\n`.repeat(Math.floor(bytes / 1000)))
const filler = (length: number): Buffer => Buffer.alloc(length, 'x')

test('any bytes: the same lines as of the whole file at once', async () => {
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 50 }).map((bytes) => Buffer.from(bytes)),
    fc.constantFrom('\n', '\r\n', '\n\n', ' ', '\t', '{}', '\u{feff}').map((text) => Buffer.from(text)),
    fc.integer({ min: maxLineBytes - 2, max: maxLineBytes + 2 }).map(filler),
    fc.integer({ min: blockBytes - 70_000, max: blockBytes + 10 }).map(filler),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 12 }), async (pieces) => {
      const bytes = Buffer.concat(pieces)
      assert.deepEqual(await linesOf(bytes), expectedOf(bytes))
    }),
    { numRuns: 150 },
  )
})

test('a line that ends just before, at and just behind the end of a block', async () => {
  for (const distance of [-2, -1, 0, 1, 2]) {
    // Short lines up to the last one, whose place is what matters.
    const before = shortLines(blockBytes - 2000)
    const last = filler(blockBytes + distance - before.length)
    const bytes = Buffer.concat([before, last, Buffer.from('\n{"next":1}\ncut')])
    assert.deepEqual(await linesOf(bytes), expectedOf(bytes))
  }
})

test('a long line may be of 65,536 bytes and not one more, wherever it lies', async () => {
  for (const before of [0, blockBytes - 65_536, blockBytes - 65_000, blockBytes - 1]) {
    const start = Buffer.concat([shortLines(before), Buffer.from('\n')])
    for (const length of [maxLineBytes, maxLineBytes + 1]) {
      for (const end of ['', '\n', '\nnext']) {
        const bytes = Buffer.concat([start, filler(length), Buffer.from(end)])
        assert.deepEqual(await linesOf(bytes), expectedOf(bytes))
      }
    }
  }
})
