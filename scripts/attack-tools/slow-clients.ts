import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'

import type { FixedRateSummary } from '../../bench/fixed-rate.ts'
import type { Finding } from './finding.ts'
import { runTool } from './run-tool.ts'
import type { Surroundings, Target, Tool } from './target.ts'

type Heard = Omit<Finding, 'tool'>

/** How slowhttptest ended, and each second of it. */
export interface SlowRun {
  /** "No open connections left": the server has closed all of them. */
  readonly status: string
  readonly seconds: number
  readonly mostConnected: number
  /** Seconds after which its own probe got no answer. */
  readonly unavailable: readonly number[]
}

/** `output` is what it prints, `csv` what -g -o writes: second, closed, pending, connected, and the probe's success (0 for none). */
export const parseSlowhttptest = (output: string, csv: string): SlowRun => {
  // oxlint-disable-next-line no-control-regex -- it colours its words
  const plain = output.replaceAll(/\x1b\[[\d;]*[A-Za-z]/g, '')
  const status = /^Exit status:\s*(.+)$/m.exec(plain)?.[1]?.trim()
  const [head = '', ...lines] = csv.trim().split('\n')
  if (status === undefined || head !== 'Seconds,Closed,Pending,Connected,Service Available' || lines.length === 0)
    throw new Error(`slowhttptest did not say how it ended:\n${plain.slice(-500)}\n${csv.slice(0, 200)}`)
  const rows = lines.map((line) => line.split(',').map(Number) as [number, number, number, number, number])
  return {
    status,
    seconds: rows.at(-1)?.[0] ?? 0,
    mostConnected: Math.max(...rows.map(([, , , connected]) => connected)),
    unavailable: rows.filter(([, , , , available]) => available === 0).map(([second]) => second),
  }
}

export interface SlowAttack {
  readonly name: string
  readonly options: readonly string[]
  readonly target: 'front' | 'slowBody' | 'longAnswer'
  readonly connections: number
  /** New ones; default 200. */
  readonly perSecond?: number
  /** Of slowhttptest; by then the server must have ended every connection. */
  readonly seconds: number
  /** The caps on connections as they are by default. */
  readonly capped?: true
}

export interface Measured {
  readonly attack: SlowAttack
  readonly slow: SlowRun
  readonly quiet: FixedRateSummary
  readonly beside: FixedRateSummary
  /** Connections that the server itself still holds when the attacker has been there all the time. */
  readonly heldAtEnd: number
  readonly mostHeld: number
}

/** A timer of Node may be a millisecond late, and so may the client: three times less than this is noise. */
const leastP99Ms = 3

export const judgeSlow = ({ attack, slow, quiet, beside, heldAtEnd, mostHeld }: Measured): Heard[] => {
  const found: Heard[] = []
  const say = (id: string, said: string): void => void found.push({ id, where: attack.name, text: said })
  if (quiet.failed > 0) say('not served', `${quiet.failed} requests failed before anything began`)
  if (beside.failed > 0) say('not served', `${beside.failed} requests beside the attack failed`)
  if (slow.unavailable.length > 0 && attack.capped === undefined)
    say('not available', `to the probe, in the seconds ${slow.unavailable.join(', ')}`)
  const most = 3 * Math.max(quiet.p99Ms, leastP99Ms)
  if (beside.p99Ms > most) say('slow beside', `p99 ${beside.p99Ms.toFixed(1)} ms, ${quiet.p99Ms.toFixed(1)} ms when it was quiet`)
  if (slow.status !== 'No open connections left' && heldAtEnd > 0)
    say('held', `after ${slow.seconds} s the server still holds ${heldAtEnd} connections; slowhttptest: ${slow.status}`)
  // An attack that did not take place shows nothing.
  if (mostHeld < (attack.capped ? 200 : attack.connections / 4)) say('not tested', `only ${mostHeld} connections were held at once`)
  return found
}

/** Open connections to a port of this machine, as the server's side has them (proc_net_tcp(5)): 01 is ESTABLISHED. */
const established = (port: number): number => {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const lines = readFileSync('/proc/net/tcp', 'utf8').split('\n')
  return lines.filter((line) => {
    const [, address = '', , state] = line.trim().split(/\s+/)
    return address.endsWith(local) && state === '01'
  }).length
}

const perSecond = 100
const fixedRate = join(import.meta.dirname, '../../bench/fixed-rate.ts')

/** Somebody else, from an address of his own. */
const askAtFixedRate = async (port: number, seconds: number): Promise<FixedRateSummary> => {
  const args = [fixedRate, String(port), String(perSecond), String(seconds), '127.0.0.2']
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'], timeout: (seconds + 60) * 1000 })
  return JSON.parse(await text(child.stdout)) as FixedRateSummary
}

const attacks: readonly SlowAttack[] = [
  { name: 'slow headers', options: ['-H', '-x', '8'], target: 'front', connections: 3000, seconds: 40 },
  {
    name: 'slow headers, under the default caps',
    options: ['-H', '-x', '8'],
    target: 'front',
    connections: 3000,
    seconds: 40,
    capped: true,
  },
  {
    name: 'slow body',
    options: ['-B', '-x', '8', '-s', '4096', '-f', 'application/json'],
    target: 'slowBody',
    connections: 3000,
    seconds: 45,
  },
  {
    name: 'slow read',
    options: ['-X', '-k', '1', '-n', '1', '-w', '1', '-y', '512', '-z', '5'],
    target: 'longAnswer',
    connections: 1000,
    // Each costs a long answer: faster, it would be a flood, which `total` refuses and which is raised here.
    perSecond: 50,
    seconds: 100,
  },
]

const planted: readonly SlowAttack[] = [
  { name: 'slow headers', options: ['-H', '-x', '8'], target: 'front', connections: 300, seconds: 15 },
]

const urlOf = (attack: SlowAttack, target: Target): string => {
  const path = { front: '/', slowBody: target.slowBodyPath, longAnswer: target.longAnswerPath }[attack.target]
  return `http://127.0.0.1:${target.port}${path}`
}

const run = async (attack: SlowAttack, { folder, start }: Surroundings): Promise<{ measured: Measured; words: readonly Heard[] }> => {
  await using target = await start({ scheme: 'http', limits: 'raised', ...(attack.capped ? {} : { manyConnections: true }) })
  const quiet = await askAtFixedRate(target.port, 10)
  const files = join(folder, attack.name.replaceAll(/\W+/g, '-'))
  const common = [
    '-c',
    String(attack.connections),
    '-r',
    String(attack.perSecond ?? 200),
    '-i',
    '1',
    '-l',
    String(attack.seconds),
    '-p',
    '3',
    '-g',
    '-o',
    files,
  ]
  const looks: { readonly atMs: number; readonly held: number }[] = []
  const look = setInterval(() => looks.push({ atMs: performance.now(), held: established(target.port) }), 250)
  try {
    const attacking = runTool(['slowhttptest', ...attack.options, ...common, '-u', urlOf(attack, target)], {
      cwd: folder,
      timeoutS: attack.seconds + 30,
    })
    const beside = await askAtFixedRate(target.port, 12)
    const { stdout } = await attacking
    // When the attacker goes all its connections do: what counts is what was there a second before.
    const untilMs = performance.now() - 1000
    const mostHeld = Math.max(0, ...looks.map(({ held }) => held))
    const heldAtEnd = looks.findLast(({ atMs }) => atMs < untilMs)?.held ?? 0
    const slow = parseSlowhttptest(stdout, readFileSync(`${files}.csv`, 'utf8'))
    return { measured: { attack, slow, quiet, beside, heldAtEnd, mostHeld }, words: target.ownWords() }
  } finally {
    clearInterval(look)
  }
}

const ms = (value: number): string => value.toFixed(1)

export const slowhttptest: Tool = {
  name: 'slowhttptest',
  program: 'slowhttptest',
  debian: 'slowhttptest',
  plants: [/^not served$/, /^held$/],
  check: async (surroundings) => {
    const findings: Heard[] = []
    const lines: string[] = []
    for (const attack of surroundings.selfCheck ? planted : attacks) {
      const { measured, words } = await run(attack, surroundings)
      findings.push(...judgeSlow(measured), ...words)
      const { quiet, beside, mostHeld, slow } = measured
      lines.push(`${attack.name}: ${mostHeld} held at once, over after ${slow.seconds} s, p99 ${ms(quiet.p99Ms)} -> ${ms(beside.p99Ms)} ms`)
    }
    return { findings, summary: lines.join('; ') }
  },
}
