import assert from 'node:assert/strict'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'

import type { Protocol } from '../fuzz/case.ts'
import { writeCase } from '../fuzz/report.ts'
import { createRequests, describeOwn } from '../fuzz/requests.ts'
import { run } from '../fuzz/run.ts'
import { openUnderTest } from '../fuzz/under-test.ts'

/** The same cases each time: longer and other ones by hand, see docs/fuzzing.md. */
const seed = 20_261_122

const runs: readonly (readonly [protocol: Protocol, cases: number, what: string])[] = [
  ['http1', 2000, 'HTTP/1.1'],
  ['tls', 500, 'HTTP/1.1 over TLS'],
  ['http2', 800, 'HTTP/2'],
]

// Node's clean-up at the natural end of a process turns for ever behind some of the broken connections that are made here.
process.on('exit', (code) => process.exit(code))

const draw = createRequests(await describeOwn())

describe('whatever a client sends: a whole answer, one log line for each, no crash, nothing left behind', () => {
  for (const [protocol, cases, what] of runs) {
    test(`${cases} connections of ${what} [ASVS 4.2.1] [ASVS 4.2.2] [ASVS 13.4.2]`, async (t) => {
      await using underTest = await openUnderTest({ tls: protocol !== 'http1' })
      const failures: string[] = []
      const summary = await run({
        underTest,
        protocol,
        seed,
        draw,
        atOnce: 48,
        evolves: false,
        numbers: Array(cases).keys(),
        onFailure: (failure) => {
          const file = writeCase(join(tmpdir(), 'filmgate-fuzz'), seed, failure, underTest.secrets)
          failures.push(`seed ${seed} case ${failure.one.number}: ${failure.faults.join('; ')}\n${file}`)
        },
      })
      t.diagnostic(
        `${summary.answers} answers of ${summary.signatures} kinds, ${summary.strict} of ${cases} connections with a clear framing`,
      )
      assert.deepEqual([...failures, ...summary.faults], [])
      assert.equal(summary.cases, cases)
      assert.ok(summary.strict > cases / 5 && summary.answers > cases / 2, 'much of it can be judged')
    })
  }
})
