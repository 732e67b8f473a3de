import assert from 'node:assert/strict'
import { Agent, request } from 'node:http'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'

import { ask, assertSafe } from '../support/attack.ts'
import { eventually, within } from '../support/deadline.ts'
import { type LogRecord, startServer, type TestServer } from '../support/server.ts'

interface Timed {
  readonly status: number
  readonly retryAfter: string | undefined
  readonly tookMs: number
}

const quantile = (values: readonly number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? 0

/** A server in a worker whose every request is work. */
const startBusy = async () => {
  const worker = new Worker(new URL('../support/busy-server.ts', import.meta.url))
  const events: Record<string, unknown>[] = []
  const { promise, resolve } = Promise.withResolvers<number>()
  worker.on('message', (message: Record<string, unknown>) => {
    if (typeof message['port'] === 'number') resolve(message['port'])
    else events.push(message)
  })
  const port = await promise
  const agent = new Agent({ keepAlive: true })
  const get = (path = '/'): Promise<Timed & { readonly body: string }> =>
    new Promise((answered, failed) => {
      const startedMs = performance.now()
      const sent = request({ port, host: '127.0.0.1', path, agent }, (answer) => {
        let body = ''
        answer.setEncoding('utf8').on('data', (text: string) => (body += text))
        answer.on('end', () => {
          const { statusCode: status = 0, headers } = answer
          answered({ status, retryAfter: headers['retry-after'], tookMs: performance.now() - startedMs, body })
        })
      })
      sent.on('error', failed).end()
    })
  const stop = async (): Promise<void> => {
    agent.destroy()
    await worker.terminate()
  }
  return { get, events, [Symbol.asyncDispose]: stop }
}

const settlingMs = 4000
const loadMs = 8000

/** So many clients that ask again as soon as they are answered, refusals included; what they got when things had settled. */
const besiege = async ({ get }: Pick<Awaited<ReturnType<typeof startBusy>>, 'get'>, clients: number) => {
  const beganMs = performance.now()
  const seen: Timed[] = []
  const asking = async (): Promise<void> => {
    for (let atMs = 0; atMs < loadMs; atMs = performance.now() - beganMs) {
      const answer = await get()
      if (atMs > settlingMs) seen.push(answer)
    }
  }
  await Promise.all(Array.from({ length: clients }, asking))
  const took = (wanted: number): number[] => seen.filter(({ status }) => status === wanted).map(({ tookMs }) => tookMs)
  const refused = seen.filter(({ status }) => status === 503)
  assert.equal(took(200).length + refused.length, seen.length, 'nothing else comes')
  return {
    good: took(200),
    refused,
    text: `${took(200).length} answered, p50 ${at(took(200), 0.5)} ms, p99 ${at(took(200), 0.99)} ms; ${refused.length} refused, p99 ${at(took(503), 0.99)} ms`,
  }
}

const at = (values: readonly number[], share: number): number => Math.round(quantile(values, share))

test('600 clients that ask again at once, though they are told to wait: some are refused, the others answered, and afterwards all is as before', async (t) => {
  await using shedding = await startBusy()
  const { good, refused, text } = await within(120_000, 'all answers', besiege(shedding, 600))
  t.diagnostic(text)
  assert.ok(refused.length > 0 && good.length > 0, text)
  const waits = new Set(refused.map(({ retryAfter }) => Number(retryAfter)))
  assert.ok(waits.size >= 3 && [...waits].every((wait) => Number.isInteger(wait) && wait >= 1 && wait <= 10), [...waits].join())

  // One event a second, whatever the number of refusals.
  const { events } = shedding
  assert.ok(events.length >= 1 && events.length <= loadMs / 1000 + 10, `${events.length} events`)
  for (const event of events) assert.deepEqual([event['event'], event['reason']], ['abnormal_performance', 'event_loop'])

  await eventually(20_000, 'nothing is shed', async () => {
    const answer = await shedding.get('/warnings')
    return answer.status === 200 && answer.body === '[]'
  })
  for (let i = 0; i < 50; i++) assert.equal((await shedding.get()).status, 200)
})

/** Lets the process run only now and then: to its event loop that is a machine with more to do than it can. */
const starve = ({ process: child }: TestServer) => {
  const [stoppedMs, runningMs] = [500, 100]
  let timer: NodeJS.Timeout
  const stop = (): void => {
    child.kill('SIGSTOP')
    timer = setTimeout(go, stoppedMs)
  }
  const go = (): void => {
    child.kill('SIGCONT')
    timer = setTimeout(stop, runningMs)
  }
  stop()
  return {
    [Symbol.dispose]: () => {
      clearTimeout(timer)
      child.kill('SIGCONT')
    },
  }
}

const isEvent = (record: LogRecord): boolean => record['event'] === 'abnormal_performance'

test('a machine with more to do than it can: refusals that explain themselves, health stays green and tells, and all is well afterwards', async (t) => {
  await using server = await startServer({ env: { FILMGATE_PAGE_ENABLED: 'false' } })
  const health = async () => {
    const answer = await fetch(`${server.opsUrl}/readyz`)
    return { status: answer.status, warnings: ((await answer.json()) as { warnings: string[] }).warnings.join() }
  }
  assert.doesNotMatch((await health()).warnings, /overload/)

  let good = 0
  let refusal: Awaited<ReturnType<typeof ask>> | undefined
  let warned = ''
  {
    using _ = starve(server)
    await eventually(120_000, 'a refusal, a warning and 3 good answers', async () => {
      const answers = await Promise.all(Array.from({ length: 5 }, () => ask(server, { timeoutMs: 60_000 })))
      good += answers.filter(({ status }) => status === 200).length
      refusal ??= answers.find(({ status }) => status === 503)
      assert.ok(answers.every(({ status }) => status === 200 || status === 503))
      const { status, warnings } = await health()
      assert.equal(status, 200, 'an overloaded instance is ready: taken out, its load would fall on the others')
      if (/overloaded: \d+ of 100 requests are refused/.test(warnings)) warned = warnings
      return refusal !== undefined && warned !== '' && good >= 3
    })
  }
  t.diagnostic(warned)
  assert.ok(refusal)
  assert.equal(refusal.json()['type'], 'https://iana.org/assignments/http-problem-types#temporary-reduced-capacity')
  assert.equal(refusal.json()['code'], 'temporary_reduced_capacity')
  assertSafe(refusal)
  const wait = Number(refusal.field('retry-after'))
  assert.ok(wait >= 1 && wait <= 10)
  assert.equal(refusal.field('cache-control'), 'no-store')
  assert.ok(refusal.field('ratelimit'), 'total counted it: who is refused for want of time spends of it all the same')

  await eventually(60_000, 'the warning goes', async () => !/overload/.test((await health()).warnings))
  for (let i = 0; i < 20; i++) assert.equal((await ask(server)).status, 200)
  await server.logged(isEvent)
  const events = server.log().filter(isEvent)
  const times = events.map((record) => Date.parse(String(record['time'])))
  assert.ok(events.length > 0)
  // The program may be stopped between the decision and the line.
  const spanMs = (times.at(-1) ?? 0) - (times[0] ?? 0) + 600
  assert.ok(events.length - 1 <= spanMs / 1000, `more than one a second: ${times.join()}`)
  assert.ok(events.every((record) => Number(record['refused']) > 0))
})
