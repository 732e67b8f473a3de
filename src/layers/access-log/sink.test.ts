import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'

import fc from 'fast-check'

import { openLogSink } from './sink.ts'

const folder = mkdtempSync(join(tmpdir(), 'filmgate-sink-'))
after(() => rmSync(folder, { recursive: true }))

// Each sink listens for the end of the process.
process.setMaxListeners(1000)

let count = 0
const openFile = (): { path: string; descriptor: number } => {
  const path = join(folder, `${++count}.log`)
  return { path, descriptor: openSync(path, 'w') }
}

describe('a file', () => {
  test('holds everything in order after flush, whatever was still on its way', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.nat({ max: 40_000 }).map((length) => 'x'.repeat(length)),
    )
    fc.assert(
      fc.property(fc.array(text, { maxLength: 4 }), (texts) => {
        const { path, descriptor } = openFile()
        const sink = openLogSink(descriptor)
        for (const one of texts) sink.write(`${one}\n`)
        sink.flush()
        const found = readFileSync(path, 'utf8')
        const expected = texts.map((one) => `${one}\n`).join('')
        assert.ok(found === expected, `${found.length} of ${expected.length} characters, or another order`)
      }),
      { numRuns: 200 },
    )
  })

  test('that is not there any more breaks nothing', () => {
    const { descriptor } = openFile()
    const sink = openLogSink(descriptor)
    closeSync(descriptor)
    sink.write('lost\n')
  })
})

const sinkModule = new URL('./sink.ts', import.meta.url).href

/** A process with a sink on its standard output; it is ended by force after 10 s, which shows as code null. */
const run = (script: string) => {
  const source = `import { openLogSink } from ${JSON.stringify(sinkModule)}; const sink = openLogSink(1); ${script}`
  return spawn(process.execPath, ['--input-type=module', '--eval', source], { timeout: 10_000, killSignal: 'SIGKILL' })
}

const expectedLines = Array.from({ length: 2000 }, (_, i) => `${i} ${'x'.repeat(50)}\n`).join('')
const writeAll = "for (let i = 0; i < 2000; i++) sink.write(i + ' ' + 'x'.repeat(50) + '\\n');"

describe('at the end of the process nothing is lost', () => {
  const endings: Readonly<Record<string, readonly [script: string, code: number]>> = {
    'when it has nothing left to do': ['', 0],
    'by process.exit': ['process.exit(3)', 3],
    'by an error that nobody caught': ["throw new Error('bug')", 1],
    'by process.exit after the blocks were passed on': ['setImmediate(() => setImmediate(() => process.exit(3)))', 3],
  }
  for (const [name, [script, code]] of Object.entries(endings)) {
    test(name, async () => {
      const child = run(`${writeAll} ${script}`)
      let written = ''
      child.stdout.setEncoding('utf8').on('data', (text: string) => (written += text))
      assert.deepEqual(await once(child, 'close'), [code, null])
      assert.ok(written === expectedLines, `${written.length} of ${expectedLines.length} characters, or another order`)
    })
  }
})

describe('when the reader of the log is gone', () => {
  test('the process goes on', async () => {
    const child = run(`
      process.stdin.on('data', (ping) => {
        sink.write('x'.repeat(20_000) + '\\n')
        process.stderr.write(ping)
      })
      process.stdin.on('end', () => sink.flush())`)
    child.stdout.destroy()
    for (let i = 0; i < 50; i++) {
      child.stdin.write('.')
      await once(child.stderr, 'data')
    }
    child.stdin.end()
    assert.deepEqual(await once(child, 'exit'), [0, null])
  })

  test('a process that has lines left still ends', async () => {
    const child = run(`
      process.stdin.resume()
      process.stdin.on('end', () => {
        for (let i = 0; i < 10; i++) sink.write('x'.repeat(20_000) + '\\n')
        sink.flush()
        process.exit(0)
      })`)
    child.stdout.destroy()
    child.stdin.end()
    assert.deepEqual(await once(child, 'exit'), [0, null])
  })
})
