import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs'
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
    sink.flush()
    assert.deepEqual([sink.droppedLines, sink.droppedBytes, sink.isFailing], [1, 5, true])
  })
})

test('a disk without room (/dev/full): what is written waits, nothing is lost as yet, and the end does not wait for ever', () => {
  const sink = openLogSink(openSync('/dev/full', 'w'))
  sink.write('waits\n')
  const startedMs = performance.now()
  sink.flush()
  assert.ok(performance.now() - startedMs >= 990)
  assert.deepEqual([sink.droppedLines, sink.isFailing], [0, true])
})

/** A pipe whose other end is open and never read until `read` is called. */
const openPipe = () => {
  const path = join(folder, `${++count}.pipe`)
  execFileSync('mkfifo', [path])
  const end = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const descriptor = openSync(path, constants.O_WRONLY)
  const block = Buffer.alloc(1024 * 1024)
  const read = (): string => {
    try {
      return block.toString('utf8', 0, readSync(end, block))
    } catch {
      return ''
    }
  }
  return { path, end, descriptor, read }
}

describe('a pipe that nobody reads', () => {
  const line = `${'x'.repeat(1023)}\n`

  test('holds up nobody; memory is bounded, what has no room is counted, and the log tells of it when there is some again', () => {
    const { descriptor, read } = openPipe()
    const sink = openLogSink(descriptor)
    const before = process.memoryUsage().arrayBuffers
    const sent = 40_000
    for (let i = 0; i < sent; i++) sink.write(line)
    sink.passOn()
    assert.ok(sink.droppedLines > 20_000 && sink.droppedLines < sent, `${sink.droppedLines}`)
    assert.equal(sink.droppedBytes, sink.droppedLines * line.length)
    assert.equal(sink.isFailing, true)
    const held = process.memoryUsage().arrayBuffers - before
    assert.ok(held < 20 * 1024 * 1024, `${held} bytes are held`)

    let text = ''
    for (let i = 0; i < 1000 && sink.isFailing; i++) {
      text += read()
      sink.passOn()
    }
    sink.write('behind\n')
    sink.flush()
    text += read()
    const lines = text.split('\n')
    assert.equal(lines.pop(), '')
    assert.equal(lines.pop(), 'behind')
    const { lines: toldLines, bytes, msg } = JSON.parse(lines.pop() ?? '') as Record<string, unknown>
    assert.deepEqual([msg, toldLines, bytes], ['log lines were dropped', sink.droppedLines, sink.droppedBytes])
    assert.equal(lines.length, sent - sink.droppedLines, 'every line is there or counted')
    assert.ok(
      lines.every((one) => one.length === 1023),
      'no line is torn',
    )
    assert.equal(sink.isFailing, false)
    assert.equal(sink.droppedLines, toldLines, 'a counter is never set back')
  })

  test('whose reader goes and comes back: what was lost meanwhile is told to the next one', () => {
    const { path, end, descriptor } = openPipe()
    const sink = openLogSink(descriptor)
    sink.write('before\n')
    sink.passOn()
    closeSync(end)
    for (let i = 0; i < 3; i++) {
      sink.write('lost\n')
      sink.passOn()
      assert.deepEqual([sink.droppedLines, sink.droppedBytes, sink.isFailing], [i + 1, 5 * (i + 1), true])
    }
    const next = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    sink.passOn()
    sink.write('after\n')
    sink.flush()
    const block = Buffer.alloc(65_536)
    const lines = block.toString('utf8', 0, readSync(next, block)).trimEnd().split('\n')
    const told = JSON.parse(lines.at(-2) ?? '') as Record<string, unknown>
    assert.deepEqual([told['msg'], told['lines'], told['bytes'], lines.at(-1)], ['log lines were dropped', 3, 15, 'after'])
    assert.deepEqual([sink.isFailing, sink.droppedLines], [false, 3])
    closeSync(next)
  })
})

const sinkModule = new URL('./sink.ts', import.meta.url).href

/** A process with a sink on its standard output; it is ended by force after 10 s, which shows as code null. */
const run = (script: string, output?: string) => {
  const source = `import fs from 'node:fs'; import { openLogSink } from ${JSON.stringify(sinkModule)}; const sink = openLogSink(${output === undefined ? 1 : `fs.openSync('${output}', 'w')`}); ${script}`
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

test('while a disk is full the process that waits for room takes no time', async () => {
  const child = run(
    `
    sink.write('waits\\n')
    const before = process.cpuUsage()
    setTimeout(() => {
      const { user, system } = process.cpuUsage(before)
      process.stderr.write(String((user + system) / 1000))
      process.exit(0)
    }, 1000)`,
    '/dev/full',
  )
  let spent = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (spent += text))
  await once(child, 'close')
  assert.ok(Number(spent) < 500, `${spent} ms of CPU in a second of waiting`)
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
