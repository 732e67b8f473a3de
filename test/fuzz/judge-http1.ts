import type { LogRecord } from '../support/server.ts'
import { readAnswers } from './answers.ts'
import type { Case } from './case.ts'
import { type FramedRequest, type Framing, framingOf } from './framing.ts'
import { type Answer, faultsOfAnswer, faultsOfLog, requestIdOf, saysClose } from './judge.ts'
import type { Heard } from './wire.ts'

/** What a case came to: its faults, and what tells its kind from others. */
export interface Verdict {
  readonly faults: readonly string[]
  readonly signature: string
  readonly answers: number
  /** It was clear where each request begins and ends, so that everything could be asked of the answers. */
  readonly isStrict: boolean
}

/**
 * Whether an answer may have been lost: the client did not wait for it, or was still sending when the server had refused it and closed, so
 * that the kernel threw away with the connection what lay there to be read (RFC 9112 section 9.6).
 */
const isCutOff = (one: Case, heard: Heard): boolean =>
  one.ending !== 'wait' || heard.end === 'late' || (heard.end === 'reset' && one.cuts.length > 0)

/** When a client that waits has all that it can wait for; the server ends what is not a whole number of requests. */
export const isAnswered = ({ bytes }: Pick<Case, 'bytes'>): ((received: Buffer) => boolean) => {
  const { requests, end } = framingOf(bytes)
  if (end !== 'idle') return () => false
  return (received) => readAnswers(received, (i) => requests[i]?.method === 'HEAD', true).answers.length >= requests.length
}

/** Of those that the server under test has. */
const leastDeadlineMs = 900

/** Holds what was sent on one connection against what came back and what the log says. */
export const judgeHttp1 = (one: Case, heard: Heard, lines: readonly LogRecord[]): Verdict => {
  const framing = framingOf(one.bytes)
  const isCut = isCutOff(one, heard)
  // Where the framing is anybody's guess the log knows what was seen.
  const methodOf = (id: string): unknown => lines.find((line) => line['request_id'] === id)?.['method']
  const isHead = (i: number, id: string): boolean => (framing.requests[i]?.method ?? methodOf(id)) === 'HEAD'
  const { answers, continues, faults: broken } = readAnswers(heard.received, isHead, isCut)
  const faults = [...broken]
  if (heard.end === 'late') faults.push('neither answered nor ended')
  if (continues > 0 && !/expect/i.test(one.bytes.toString('latin1'))) faults.push('a 100 that nobody waits for')
  for (const answer of answers) faults.push(...faultsOfAnswer(answer))
  faults.push(...faultsOfLog({ answers, lines, isGone: isCut }))
  faults.push(...faultsOfRouting(framing, lines))
  // A client on a machine that is too busy may itself be the slow one.
  const isSlow = heard.tookMs > leastDeadlineMs && answers.some(({ status }) => status === 408)
  if (!isSlow) faults.push(...faultsOfOrder(answers, framing, lines))
  if (!isCut && !isSlow && broken.length === 0 && framing.end !== 'open') faults.push(...faultsOfCount(answers, framing))
  const signature = `${framing.end} ${heard.end} ${answers.map(({ status, body }) => `${status}/${Math.round(Math.log2(body.length + 1))}`).join(' ')}`
  return { faults, signature, answers: answers.length, isStrict: framing.end !== 'open' }
}

const faultsOfCount = (answers: readonly Answer[], { requests, end, isBlank }: Framing): readonly string[] => {
  const faults: string[] = []
  const last = answers.at(-1)
  const closed = answers.findIndex(saysClose)
  if (closed !== -1 && closed < answers.length - 1) faults.push('an answer behind one that says close')
  // What is no whole request gets one answer of its own, as far as its head goes.
  const most = requests.length + (end === 'head broken' || end === 'head cut' || (end === 'idle' && isBlank) ? 1 : 0)
  if (answers.length > most) faults.push(`${answers.length} answers to ${most} requests (${end})`)
  if (answers.length < requests.length && !(last !== undefined && saysClose(last)))
    faults.push(`${answers.length} answers to ${requests.length} requests (${end}), and nothing says why`)
  const wantsRefusal = end === 'head broken' || end === 'head cut'
  if (wantsRefusal && answers.length === requests.length && !(last !== undefined && saysClose(last))) faults.push(`no answer to a ${end}`)
  if (wantsRefusal && answers.length === most && last !== undefined && !(last.status >= 400 && last.status < 500 && saysClose(last)))
    faults.push(`a ${end} is answered ${last.status}, connection: ${last.fields.get('connection') ?? ''}`)
  return faults
}

/** Up to where the log shows a target as it came. */
const plainStart = (target: string): string => (/[@%]|fg|eyJ/i.test(target) ? '' : (target.split(/[?#]/, 1)[0] ?? '')).slice(0, 900)

const isOf = (line: LogRecord, request: FramedRequest): boolean =>
  line['method'] === request.method && String(line['path']).startsWith(plainStart(request.target))

const shownLine = ({ method, path }: LogRecord): string => [method, path].join(' ')

/** Answers come in the order of the requests (RFC 9112 section 9.3.2): the log knows what each was an answer to. */
const faultsOfOrder = (answers: readonly Answer[], { requests }: Framing, lines: readonly LogRecord[]): readonly string[] =>
  answers.flatMap((answer, i) => {
    const line = lines.find((known) => known['request_id'] === requestIdOf(answer))
    const request = requests[i]
    if (line === undefined || request === undefined) return []
    // Refused by the parser: there was no request yet. Of a whole one that is a refusal without a reason.
    if (line['method'] === null) return request.complete ? [`request ${i} is good, and was refused as broken`] : []
    return isOf(line, request) ? [] : [`answer ${i} is one to ${shownLine(line)}`]
  })

/** Whatever was routed must be a request that stands there: everything else was hidden in another one. */
const faultsOfRouting = ({ requests, end }: Framing, lines: readonly LogRecord[]): readonly string[] => {
  if (end === 'open') return []
  return lines
    .filter((line) => line['method'] !== null && !requests.some((request) => isOf(line, request)))
    .map((line) => `smuggled: ${shownLine(line)}`)
}
