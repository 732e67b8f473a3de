import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, test } from 'node:test'

import { type Finding, judge } from './finding.ts'
import { keptFindings } from './kept.ts'
import { judgeMethod } from './methods.ts'
import { report } from './report.ts'
import { runTool } from './run-tool.ts'
import { complaintsOf } from './targets.ts'
import { startWeakHttp } from './weak-server.ts'

const ids = (found: readonly { readonly id: string }[]): string[] => [...new Set(found.map(({ id }) => id))].toSorted()

const answer = (status: number, more = ''): string => `HTTP/1.1 ${status} X\r\n${more}\r\n`

describe('the judgement', () => {
  const finding: Finding = { tool: 'sslscan', id: 'cipher', where: 'TLSv1.2 X', text: 'weak' }

  test('what has no reason stays open', () => {
    assert.deepEqual(judge([finding], [], ['sslscan']), { open: [finding], kept: [], unused: [] })
    for (const other of [{ tool: 'testssl.sh' }, { id: /^group$/ }, { where: /^TLSv1\.3/ }]) {
      const { open } = judge([finding], [{ tool: 'sslscan', id: /^cipher$/, reason: 'because', ...other }], [])
      assert.deepEqual(open, [finding], 'the reason of something else')
    }
  })

  test('a reason that nothing asks for is told, but only of a tool that has run', () => {
    const kept = { tool: 'sslscan', id: /^cipher$/, reason: 'because' }
    assert.deepEqual(judge([finding], [kept], ['sslscan']), { open: [], kept: [{ finding, reason: 'because' }], unused: [] })
    assert.deepEqual(judge([], [kept], ['sslscan']).unused, [kept])
    assert.deepEqual(judge([], [kept], ['sqlmap']).unused, [])
    assert.deepEqual(judge([], [{ ...kept, sometimes: true }], ['sslscan']).unused, [])
  })

  test('every reason is a sentence, and in SECURITY.md', () => {
    const page = readFileSync(join(import.meta.dirname, '../../SECURITY.md'), 'utf8')
    for (const { reason } of keptFindings) {
      assert.match(reason, /^[A-Z].{20,}\.$/)
      assert.ok(page.includes(reason), reason)
    }
  })

  test('the report names what is open, and no text of a tool breaks its table', () => {
    const hostile = { ...finding, text: 'a | b\nc' }
    const ran = { tool: 'sslscan', version: '2', seconds: 1, summary: 'one', findings: [hostile] }
    const open = report([ran], judge([hostile], [], []), new Date(0))
    assert.match(open, /^Attack tools, 1970-01-01$/m)
    assert.match(open, /^\| sslscan \| cipher \| TLSv1\.2 X \| a \\\| b c \|$/m)
    const kept = report([ran], judge([hostile], [{ tool: 'sslscan', id: /./, reason: 'It must be.' }], []), new Date(0))
    assert.match(kept, /^\| sslscan \| cipher \| 1 \| It must be\. \|$/m)
    assert.match(kept, /^Nothing else was found\.$/m)
  })
})

describe('methods', () => {
  test('a server that answers TRACE is found on a real connection', async () => {
    await using weak = await startWeakHttp(false)
    const socket = connect(weak.port, '127.0.0.1')
    socket.write('TRACE / HTTP/1.1\r\nHost: localhost\r\nX-Secret: a-value-that-nobody-else-sends\r\nConnection: close\r\n\r\n')
    assert.deepEqual(ids(judgeMethod('TRACE', '/', await text(socket), [])), ['echo', 'status 200'])
  })

  test('OPTIONS tells the methods that there are', () => {
    assert.deepEqual(judgeMethod('OPTIONS', '/', answer(204, 'Allow: GET, HEAD, OPTIONS\r\n'), ['GET', 'HEAD', 'OPTIONS']), [])
    assert.deepEqual(ids(judgeMethod('OPTIONS', '/', answer(204, 'Allow: GET, DELETE\r\n'), ['GET'])), ['Allow'])
    assert.deepEqual(ids(judgeMethod('OPTIONS', '/', answer(500), ['GET'])), ['Allow', 'status 500'])
    assert.deepEqual(judgeMethod('TRACE', '/', answer(405), []), [])
    assert.deepEqual(ids(judgeMethod('TRACE', '/', '', [])), ['status none'])
  })
})

describe("the server's own log", () => {
  test('an error that the tool did not see is a finding, being busy is none', () => {
    const record = { msg: 'request', level: 'error', method: 'GET', route: '/', status: 500, verdict: 'internal' }
    assert.deepEqual(
      complaintsOf([record]).map(({ id, where }) => `${id}, ${where}`),
      ["the server's log: 500, GET /"],
    )
    assert.deepEqual(complaintsOf([{ ...record, status: 503, verdict: 'temporary_reduced_capacity' }]), [])
    assert.equal(complaintsOf([{ ...record, status: 503, verdict: 'store_unavailable' }]).length, 1)
    assert.equal(complaintsOf([{ msg: 'event', level: 'fatal' }]).length, 1)
    assert.deepEqual(complaintsOf([{ msg: 'request', level: 'warn', status: 404, verdict: 'not_found' }]), [])
  })
})

describe('running a tool', () => {
  test('one that does not end is ended with everything that it started', async () => {
    const run = await runTool(['sh', '-c', 'sleep 60 & echo $!; wait'], { cwd: '/tmp', timeoutS: 1 })
    assert.equal(run.cut, true)
    assert.equal(run.code, null)
    // A zombie is nobody's running process: only whoever may still be signalled counts.
    const state = (): string => {
      try {
        return /^State:\s+(\w)/m.exec(readFileSync(`/proc/${run.stdout.trim()}/status`, 'utf8'))?.[1] ?? 'gone'
      } catch {
        return 'gone'
      }
    }
    assert.match(state(), /^(gone|Z)$/)
  })

  test('it sees nothing of this environment', async () => {
    process.env['FILMGATE_TEST_PLANT'] = 'secret'
    const { stdout } = await runTool(['env'], { cwd: '/tmp', timeoutS: 10 })
    delete process.env['FILMGATE_TEST_PLANT']
    assert.doesNotMatch(stdout, /secret/)
    assert.match(stdout, /^HOME=\/tmp$/m)
  })
})
