import type { Finding } from './finding.ts'
import { runTool } from './run-tool.ts'
import type { Target, Tool } from './target.ts'

type Heard = Omit<Finding, 'tool'>

export interface H2load {
  readonly protocol: string
  readonly tls: string
  readonly total: number
  readonly done: number
  readonly failed: number
  readonly errored: number
  readonly timeouts: number
  readonly perSecond: number
  /** 2xx, 3xx, 4xx, 5xx. */
  readonly statuses: readonly [number, number, number, number]
}

const numbers = (text: string, pattern: RegExp): number[] => {
  const [, ...found] = pattern.exec(text) ?? []
  if (found.length === 0) throw new Error(`h2load did not say ${pattern.source}:\n${text.slice(-1000)}`)
  return found.map(Number)
}

export const parseH2load = (text: string): H2load => {
  const [total = 0, done = 0, failed = 0, errored = 0, timeouts = 0] = numbers(
    text,
    /^requests: (\d+) total, \d+ started, (\d+) done, \d+ succeeded, (\d+) failed, (\d+) errored, (\d+) timeout$/m,
  )
  const [s2 = 0, s3 = 0, s4 = 0, s5 = 0] = numbers(text, /^status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx$/m)
  const [perSecond = 0] = numbers(text, /^finished in \S+, ([\d.]+) req\/s/m)
  const protocol = /^Application protocol: (\S+)$/m.exec(text)?.[1] ?? 'none'
  const tls = /^TLS Protocol: (\S+)$/m.exec(text)?.[1] ?? 'none'
  return { protocol, tls, total, done, failed, errored, timeouts, perSecond, statuses: [s2, s3, s4, s5] }
}

/** `most2xx`: under limits no more than so many may succeed, and the rest must be refused properly. */
export const judgeH2load = (run: H2load, where: string, most2xx?: number): Heard[] => {
  const found: Heard[] = []
  const text = JSON.stringify(run)
  const [s2, s3, s4, s5] = run.statuses
  if (run.protocol !== 'h2') found.push({ id: 'no HTTP/2', where, text })
  // h2load counts answers of 4xx and 5xx as failed: `errored` are those that never got one.
  if (run.done !== run.total || run.errored > 0 || run.timeouts > 0 || s2 + s3 + s4 + s5 !== run.total)
    found.push({ id: 'failed requests', where, text })
  if (s5 > 0 || s3 > 0) found.push({ id: 'unexpected statuses', where, text })
  if (most2xx === undefined ? s2 !== run.total : s2 > most2xx) found.push({ id: 'wrong number of 2xx', where, text })
  return found
}

/** What nghttp shows of one connection: the frames of a conversation that ends in good order (RFC 9113 section 5.4). */
export const parseNghttp = (text: string): Heard[] => {
  const found: Heard[] = []
  const say = (id: string): void => void found.push({ id, where: 'nghttp', text: text.slice(-500) })
  if (!text.includes('The negotiated protocol: h2')) say('no HTTP/2')
  if (!/recv SETTINGS frame <length=[1-9]/.test(text)) say('no settings of the server')
  if (!/recv \(stream_id=\d+\) :status: 200/.test(text)) say('no answer 200')
  for (const field of ['content-security-policy', 'x-content-type-options', 'strict-transport-security'])
    if (!text.includes(`) ${field}: `)) say(`no ${field}`)
  if (/recv (RST_STREAM|GOAWAY|PUSH_PROMISE) frame/.test(text)) say('a stream broken off, or pushed')
  return found
}

const load = async (target: Target, folder: string, path: string, requests: number): Promise<H2load> => {
  const command = ['h2load', '-n', String(requests), '-c', '10', '-m', '20', `${target.origin}${path}`]
  const run = await runTool(command, { cwd: folder, timeoutS: 120 })
  return parseH2load(run.stdout)
}

export const h2load: Tool = {
  name: 'h2load',
  program: 'h2load',
  debian: 'nghttp2-client',
  plants: [/^failed requests$/],
  check: async ({ folder, start, selfCheck }) => {
    const found: Heard[] = []
    const runs: H2load[] = []
    {
      await using target = await start({ scheme: 'https', limits: 'raised' })
      for (const [path, requests] of selfCheck
        ? ([['/', 500]] as const)
        : ([
            ['/', 20_000],
            ['/index.html', 5000],
            ['/openapi.json', 1000],
          ] as const)) {
        const run = await load(target, folder, path, requests)
        runs.push(run)
        found.push(...judgeH2load(run, path))
      }
      const { stdout } = await runTool(['nghttp', '-nv', `${target.origin}/`], { cwd: folder, timeoutS: 20 })
      found.push(...parseNghttp(stdout), ...target.ownWords())
    }
    if (!selfCheck) {
      await using limited = await start({ scheme: 'https', limits: 'default' })
      const run = await load(limited, folder, '/', 2000)
      runs.push(run)
      // 1 per second on this route: as many as seconds could begin during the run.
      found.push(...judgeH2load(run, '/ under the default limits', Math.ceil(run.total / run.perSecond) + 1), ...limited.ownWords())
    }
    const summary = runs
      .map(({ total, statuses, perSecond }) => `${statuses[0]} of ${total} were 2xx, ${Math.round(perSecond)} a second`)
      .join('; ')
    return { findings: found, summary: `${summary}; ${runs[0]?.tls}` }
  },
}
