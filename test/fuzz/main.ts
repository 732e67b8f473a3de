import { randomInt } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { type Protocol, protocols } from './case.ts'
import { readCase, writeCase } from './report.ts'
import { createRequests, describeOwn } from './requests.ts'
import { type Failure, replay, run, type Summary } from './run.ts'
import { openUnderTest } from './under-test.ts'

/** `npm run fuzz`: docs/fuzzing.md says what of. */
const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    seed: { type: 'string', default: String(randomInt(2 ** 32)) },
    protocol: { type: 'string', default: 'http1' },
    case: { type: 'string' },
    replay: { type: 'string' },
    'at-once': { type: 'string', default: '48' },
    out: { type: 'string', default: join(tmpdir(), 'filmgate-fuzz') },
    'no-evolution': { type: 'boolean', default: false },
  },
})

const print = (text: string): void => void process.stdout.write(`${text}\n`)

function* untilTime(endMs: number): Generator<number> {
  for (let number = 0; performance.now() < endMs; number++) yield number
}

const known = values.replay === undefined ? undefined : readCase(values.replay)
const seed = known?.seed ?? Number(values.seed)
const protocol = protocols.find((one) => one === (known?.one.protocol ?? values.protocol)) as Protocol
if (protocol === undefined || !Number.isInteger(seed)) throw new Error(`--protocol is one of ${protocols.join(', ')}, --seed a number`)

const megabytes = (bytes: number | undefined): string => `${Math.round((bytes ?? 0) / 1e6)} MB`

const tell = ({ cases, answers, strict, signatures, before, after, faults }: Summary): void => {
  print(
    `${cases} cases, ${answers} answers, ${Math.round((100 * strict) / Math.max(cases, 1))} % with a clear framing, ${signatures} kinds`,
  )
  print(
    `live heap ${megabytes(before.liveHeapBytes)} -> ${megabytes(after?.liveHeapBytes)}, resident ${megabytes(before.residentBytes)} -> ${megabytes(after?.residentBytes)}`,
  )
  print(`descriptors ${before.descriptors} -> ${after?.descriptors}, sockets ${before.sockets} -> ${after?.sockets}`)
  for (const fault of faults) print(`FAULT ${fault}`)
}

await using underTest = await openUnderTest({ tls: protocol !== 'http1' })
print(`seed ${seed}, ${protocol}, process ${underTest.server.process.pid}`)
const report = (failure: Failure): void => {
  print(`FAULT seed ${seed} case ${failure.one.number} (${failure.one.origin}): ${failure.faults.join('; ').slice(0, 600)}`)
  print(`      ${writeCase(values.out, seed, failure, underTest.secrets)}`)
}
const draw = createRequests(await describeOwn())
const options = { underTest, protocol, seed, draw, atOnce: Number(values['at-once']), onFailure: report }
const endMs = performance.now() + Number(values.minutes) * 60_000
const summary =
  known === undefined
    ? await run({
        ...options,
        evolves: !values['no-evolution'] && values.case === undefined,
        numbers: values.case === undefined ? untilTime(endMs) : [Number(values.case)],
      })
    : await replay(options, [known.one])
tell(summary)
process.exitCode = summary.failures === 0 && summary.faults.length === 0 ? 0 : 1
// Node's clean-up at the natural end of a process turns for ever behind some of the broken connections that are made here.
process.on('exit', (code) => process.exit(code))
