/* oxlint-disable no-await-in-loop -- one after the other is the point: what runs side by side measures each other */
/** What it costs to be known: GET / with an access token and with an API key beside nobody's, and logins beside GET /. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { headings, row } from './limits-part.ts'
import { type CpuMeasurement, type Loaded, measureRounds, ratiosOf } from './limits-cpu.ts'
import type { Machine } from './machine.ts'
import type { Options } from './options.ts'
import { disturbance, watchOthers } from './others.ts'
import { filmgate, newDataDir, raisedLimits, startFilmgate } from './peers/filmgate.ts'
import { goal, type Outcome, whole } from './report.ts'
import { median } from './stats.ts'
import { marginSeconds, probe, probesPerSecond } from './votes.ts'
import { connections, refuseFailures } from './wrk.ts'

const loginsPerSecond = 10
const admin = { username: 'bench', password: 'a long phrase for measuring' }

/** Longer than any run; failures and logins are counted and never refused. */
const settings = `${raisedLimits}
[auth]
access_token_ttl = "1h"
login_failures = "1000000 per hour"
account_failures = "1000000 per hour"
`.replace('[concurrency]', '"POST /v1/auth/login" = { only = "1000000 per hour" }\n\n[concurrency]')

const ways = ['nobody', 'access token', 'API key'] as const

async function post(port: number, path: string, body: object, token?: string): Promise<Record<string, unknown>> {
  const headers = { 'content-type': 'application/json', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) }
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
  const text = await answer.text()
  if (!answer.ok) throw new Error(`POST ${path}: ${answer.status} ${text}`)
  return JSON.parse(text) as Record<string, unknown>
}

/** Claims the admin; resolves with an API key of it. */
async function claim(port: number, dataDir: string): Promise<string> {
  const code = readFileSync(join(dataDir, 'claim.code'), 'utf8').trim()
  const { access_token: token } = (await post(port, '/v1/auth/claim', { code, ...admin })) as { access_token: string }
  const { key } = (await post(port, '/v1/keys', { name: 'bench', scopes: ['films:write'] }, token)) as { key: string }
  return key
}

/** Logins at their pace, whatever becomes of those before; resolves with how many were answered well. */
async function logIn(port: number, seconds: number): Promise<number> {
  const startMs = performance.now()
  const answers: Promise<boolean>[] = []
  for (let i = 0; i < loginsPerSecond * seconds; i++) {
    await pause(Math.max(0, startMs + (i * 1000) / loginsPerSecond - performance.now()))
    const answer = post(port, '/v1/auth/login', admin).then(
      () => true,
      () => false,
    )
    answers.push(answer)
  }
  return (await Promise.all(answers)).filter(Boolean).length
}

interface LoginRound {
  readonly round: number
  readonly quietP99Ms: number
  readonly p99Ms: number
  readonly logins: number
  readonly othersCores: number
}

async function measureLogins(machine: Machine, port: number, round: number, seconds: number): Promise<LoginRound> {
  const others = watchOthers()
  const quiet = await probe(machine, port, seconds)
  const total = seconds + 2 * marginSeconds
  const [logins, loaded] = await Promise.all([logIn(port, total), pause(marginSeconds * 1000).then(() => probe(machine, port, seconds))])
  if (logins < loginsPerSecond * total) throw new Error(`INVALID RUN: ${logins} of ${loginsPerSecond * total} logins were answered well`)
  return { round, quietP99Ms: quiet.p99Ms, p99Ms: loaded.p99Ms, logins, othersCores: others() }
}

function tableRows(measurements: readonly CpuMeasurement[], logins: readonly LoginRound[]): string[][] {
  const of = (what: string, pick: (one: CpuMeasurement) => number): number[] => measurements.filter((one) => one.what === what).map(pick)
  const quiet = logins.map(({ quietP99Ms }) => quietP99Ms)
  const loaded = logins.map(({ p99Ms }) => p99Ms)
  const speeds = (what: string): number[] => of(what, ({ requestsPerSecond }) => requestsPerSecond)
  const costs = (what: string): number[] => of(what, ({ cpuUs }) => cpuUs)
  return [
    ...ways.map((what) => row(what, speeds(what), 'requests/s', 0)),
    ...ways.map((what) => row(what, costs(what), 'µs of CPU/request')),
    ...ways.slice(1).map((what) => row(what, speedRatios(measurements, what), '/ nobody')),
    row('p99 of GET /, quiet', quiet, 'ms'),
    row(`p99 of GET /, ${loginsPerSecond} logins/s`, loaded, 'ms'),
    row('p99, with logins / quiet', loginRatios(logins), ''),
  ]
}

const speedRatios = (measurements: readonly CpuMeasurement[], what: string): number[] =>
  ratiosOf(measurements, what, 'nobody', (one) => one.requestsPerSecond)

const loginRatios = (logins: readonly LoginRound[]): number[] => logins.map(({ p99Ms, quietP99Ms }) => p99Ms / quietP99Ms)

export async function auth(machine: Machine, { rounds, seconds }: Options): Promise<Outcome> {
  const dataDir = newDataDir()
  const running = await startFilmgate(machine, { limits: settings, dataDir })
  const key = await claim(running.port, dataDir)
  const logins: LoginRound[] = []
  for (let round = 1; round <= rounds; round++) {
    const one = await measureLogins(machine, running.port, round, seconds)
    logins.push(one)
    console.error(`round ${round}/${rounds}  p99 of GET / ${one.quietP99Ms.toFixed(2)} ms quiet, ${one.p99Ms.toFixed(2)} ms with logins`)
  }
  // Of so many sessions the first ones have ended.
  const { access_token: token } = (await post(running.port, '/v1/auth/login', admin)) as { access_token: string }
  const credentials = { nobody: undefined, 'access token': token, 'API key': key }
  const all = ways.map((what): Loaded => {
    const credential = credentials[what]
    const headers = credential === undefined ? {} : { Authorization: `Bearer ${credential}` }
    return { what, running, headers, check: (run) => refuseFailures(what, run) }
  })
  const measurements = await measureRounds(
    machine,
    all,
    { rounds, seconds },
    (one) => `${whole(one.requestsPerSecond).padStart(8)} requests/s`,
  )
  return {
    headings,
    rows: tableRows(measurements, logins),
    notes: [
      ...disturbance([...measurements, ...logins].map((one) => one.othersCores)),
      `GET /, ${rounds} rounds of ${seconds} s, interleaved, ${connections} connections, keep-alive; ratios within a round. ` +
        `With logins: GET / at ${probesPerSecond}/s, timed from the moment it was due, every login answered with tokens.`,
    ],
    goals: [
      ...ways.slice(1).map((what) => goal(`${what} / nobody`, median(speedRatios(measurements, what)), '>=', 0.85)),
      goal(`p99 of GET /, ${loginsPerSecond} logins/s / quiet`, median(loginRatios(logins)), '<=', 2),
    ],
    versions: filmgate.versions(),
    settings: { rounds, seconds, connections, loginsPerSecond },
    rounds: [...measurements, ...logins],
  }
}
