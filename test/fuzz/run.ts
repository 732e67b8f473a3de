import type { LogRecord } from '../support/server.ts'
import { addressOf, type Case, filled, type Protocol, randomOfCase } from './case.ts'
import { drawHttp1 } from './http1.ts'
import { drawHttp2 } from './http2.ts'
import { isAnswered, judgeHttp1 } from './judge-http1.ts'
import { isAnsweredHttp2, judgeHttp2 } from './judge-http2.ts'
import { hasEnded } from './process.ts'
import type { DrawRequest } from './requests.ts'
import type { Footprint, UnderTest } from './under-test.ts'
import { type Heard, talk } from './wire.ts'

export interface RunOptions {
  readonly underTest: UnderTest
  readonly protocol: Protocol
  readonly seed: number
  readonly draw: DrawRequest
  /** How many connections at once. */
  readonly atOnce: number
  /** Takes what proved interesting as a base for further cases; then a case does not follow from its seed and number alone. */
  readonly evolves: boolean
  /** Numbers of cases, until there are enough of them. */
  readonly numbers: Iterable<number>
  readonly onFailure: (failure: Failure) => void
}

export interface Failure {
  readonly one: Case
  readonly heard: Buffer
  readonly faults: readonly string[]
  readonly lines: readonly LogRecord[]
}

export interface Summary {
  /** How many cases. */
  readonly failures: number
  /** Of the process: it ended, it stumbled, it keeps what it should not. */
  readonly faults: readonly string[]
  readonly cases: number
  readonly answers: number
  readonly strict: number
  readonly signatures: number
  readonly before: Footprint
  readonly after: Footprint | undefined
}

/** So many cases are judged together: when all of them are over, and their lines written. */
const batchSize = 256
/** Of bytes that led to something new; the oldest make room. */
const mostInteresting = 500

/** Makes case after case and sends them to a running server. */
export const run = (options: RunOptions): Promise<Summary> => {
  const { seed, protocol, draw, evolves } = options
  const interesting: Buffer[] = []
  const onNew = (bytes: Buffer): void => {
    if (evolves) interesting.push(bytes)
    if (interesting.length > mostInteresting) interesting.shift()
  }
  const from = { draw, interesting, secrets: options.underTest.secrets }
  const drawOne = (number: number): Case => {
    const random = randomOfCase(seed, number)
    return protocol === 'http2' ? drawHttp2(random, number, from) : drawHttp1(random, number, protocol, from)
  }
  return drive({ ...options, drawOne, onNew })
}

/** Cases as they were kept. */
export const replay = (options: Pick<RunOptions, 'underTest' | 'onFailure'>, cases: readonly Case[]): Promise<Summary> =>
  drive({ ...options, atOnce: 8, numbers: cases.keys(), drawOne: (i) => cases[i] as Case, onNew: () => undefined })

interface DriveOptions extends Pick<RunOptions, 'underTest' | 'atOnce' | 'numbers' | 'onFailure'> {
  readonly drawOne: (number: number) => Case
  /** Hears of bytes that led to something that no others led to. */
  readonly onNew: (bytes: Buffer) => void
}

/** Sends each case, and holds it against what came of it. */
const drive = async (options: DriveOptions): Promise<Summary> => {
  const { underTest, numbers, atOnce, drawOne } = options
  await underTest.settled()
  const before = await underTest.footprint()
  const signatures = new Set<string>()
  const totals = { cases: 0, answers: 0, strict: 0, failures: 0 }
  const faults: string[] = []

  const judge = ({ one, heard }: Told): void => {
    const lines = underTest.takeLines(addressOf(one))
    const verdict = (one.protocol === 'http2' ? judgeHttp2 : judgeHttp1)(one, heard, lines)
    totals.cases++
    // A handshake that a busy machine did not finish in time.
    if (!heard.isOpen && lines.length === 0) return
    totals.answers += verdict.answers
    if (verdict.isStrict) totals.strict++
    if (!signatures.has(verdict.signature)) {
      signatures.add(verdict.signature)
      options.onNew(one.bytes)
    }
    if (verdict.faults.length === 0) return
    totals.failures++
    options.onFailure({ one, heard: heard.received, faults: verdict.faults, lines })
  }

  for (const batch of inBatches(numbers)) {
    const told = await talkAll(batch, atOnce, (number) => tell(filled(drawOne(number), underTest.secrets), underTest))
    const unsettled = await underTest.settled().then(() => undefined, String)
    told.forEach(judge)
    if (unsettled !== undefined) faults.push(`${unsettled} (cases ${batch[0]} to ${batch.at(-1)})`)
    if (unsettled !== undefined || hasEnded(underTest.server)) break
  }
  const after = hasEnded(underTest.server) ? undefined : await underTest.footprint()
  faults.push(...faultsOfProcess(underTest, before, after))
  return { faults, ...totals, signatures: signatures.size, before, after }
}

interface Told {
  readonly one: Case
  readonly heard: Heard
}

/** One case that has its credentials. */
const tell = async (one: Case, { place, patienceMs }: Pick<UnderTest, 'place' | 'patienceMs'>): Promise<Told> => {
  const alpn = one.protocol === 'http2' ? 'h2' : 'http/1.1'
  return {
    one,
    heard: await talk(
      { ...one, from: addressOf(one), alpn, patienceMs, isDone: one.protocol === 'http2' ? isAnsweredHttp2(one) : isAnswered(one) },
      place,
    ),
  }
}

function* inBatches(numbers: Iterable<number>): Generator<number[]> {
  let batch: number[] = []
  for (const number of numbers) {
    batch.push(number)
    if (batch.length < batchSize) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}

const talkAll = async <T>(numbers: readonly number[], atOnce: number, hearOne: (number: number) => Promise<T>): Promise<T[]> => {
  const told: T[] = []
  const left = numbers.values()
  const work = async (): Promise<void> => {
    for (const number of left) told.push(await hearOne(number))
  }
  await Promise.all(Array.from({ length: atOnce }, work))
  return told
}

/** What remembers clients and tokens may have grown: both are bounded. */
const mostGrownBytes = 40_000_000
const mostResidentBytes = 500_000_000

const faultsOfProcess = ({ server }: UnderTest, before: Footprint, after: Footprint | undefined): readonly string[] => {
  const faults: string[] = []
  if (after === undefined)
    faults.push(`the process ended (${server.process.exitCode ?? server.process.signalCode}):\n${server.stderr().slice(-3000)}`)
  // A refusal for want of capacity is told aloud, and is no fault.
  const loud = server
    .log()
    .filter((line) => ['error', 'fatal'].includes(String(line['level'])) && line['verdict'] !== 'temporary_reduced_capacity')
  faults.push(...loud.map((line) => `the log says ${JSON.stringify(line)}`))
  if (after === undefined) return faults
  if (after.sockets > before.sockets) faults.push(`${after.sockets - before.sockets} connections are left`)
  // Files of the database may be opened late.
  if (after.descriptors > before.descriptors + 3) faults.push(`${after.descriptors - before.descriptors} descriptors are left`)
  const grown = after.liveHeapBytes - before.liveHeapBytes
  if (grown > mostGrownBytes) faults.push(`${Math.round(grown / 1e6)} MB more live on the heap`)
  if (after.residentBytes > mostResidentBytes) faults.push(`${Math.round(after.residentBytes / 1e6)} MB resident`)
  return faults
}
