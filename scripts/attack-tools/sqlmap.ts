import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

import type { Finding } from './finding.ts'
import { type MarkedRequest, markedRequests } from './injection-places.ts'
import { runTool } from './run-tool.ts'
import type { Target, Tool } from './target.ts'

type Heard = Omit<Finding, 'tool'>

/** What sqlmap says of one request; each place must have been tried to its end. */
export const parseSqlmap = (output: string, route: string, places: number): Heard[] => {
  const found: Heard[] = []
  const say = (id: string, text: string): void => void found.push({ id, where: route, text })
  for (const [, place = ''] of output.matchAll(/^Parameter: (.+)$/gm)) say('injectable', place)
  for (const [, dbms = ''] of output.matchAll(/^back-end DBMS: (.+)$/gm)) say('DBMS known', dbms)
  for (const [line, kind] of output.matchAll(/^.*heuristic \((\w+)\) test shows that .*(?:might|could) be .*$/gm))
    say(`heuristic ${kind}`, line.replace(/^\[[\d:]+\] /, ''))
  for (const [, text = ''] of output.matchAll(/^\[[\d:]+\] \[(?:CRITICAL|ERROR)\] (.*)$/gm))
    if (!text.startsWith('all tested parameters do not appear to be injectable')) say('stopped', text)
  const tried = output.match(/ does not seem to be injectable$/gm)?.length ?? 0
  const injectable = found.filter(({ id }) => id === 'injectable').length
  if (tried + injectable !== places) say('not tested', `${tried + injectable} of ${places} places were tried to the end`)
  return found
}

/** Requests by sqlmap's `-r`. */
export const requestText = ({ method, target, fields, body }: MarkedRequest, host: string, token: string | undefined): string => {
  const lines = [
    `${method} ${target} HTTP/1.1`,
    `Host: ${host}`,
    ...(token === undefined ? [] : [`Authorization: Bearer ${token}`]),
    ...(body === undefined ? [] : ['Content-Type: application/json']),
    ...fields.map(([name, value]) => `${name}: ${value}`),
  ]
  return `${lines.join('\r\n')}\r\n\r\n${body ?? ''}`
}

const options = [
  ...['--batch', '--ignore-stdin', '--flush-session', '--disable-coloring', '--skip-waf', '--timeout', '10', '--retries', '0'],
  // Refusals are answers here, and a place that was found must not hide the next one.
  ...['--ignore-code', '*', '--answers', 'keep testing=Y,quit=N'],
]

const bounds = { level: 2, risk: 2, secondsPerRequest: 240 } as const

const attack = async (request: MarkedRequest, target: Target, folder: string): Promise<Heard[]> => {
  const file = join(folder, 'request.txt')
  const token = request.needsToken ? await target.accessToken() : undefined
  writeFileSync(file, requestText(request, `localhost:${target.port}`, token))
  const depth = ['--level', String(bounds.level), '--risk', String(bounds.risk), '--output-dir', join(folder, 'output')]
  const run = await runTool(['sqlmap', '-r', file, ...options, ...depth], { cwd: folder, timeoutS: bounds.secondsPerRequest })
  const cut = run.cut ? [{ id: 'not tested', where: request.route, text: `cut after ${bounds.secondsPerRequest} s` }] : []
  return [...cut, ...parseSqlmap(run.stdout, request.route, request.places)]
}

export const sqlmap: Tool = {
  name: 'sqlmap',
  program: 'sqlmap',
  debian: 'sqlmap',
  plants: [/^injectable$/, /^DBMS known$/],
  check: async ({ folder, start, selfCheck }) => {
    await using target = await start({ scheme: 'http', limits: 'raised' })
    const all = markedRequests(target.description)
    const marked = all.filter(({ places }) => places > 0)
    const requests = selfCheck ? marked.filter(({ route }) => route === 'GET /film?id') : marked
    const findings: Heard[] = []
    for (const request of requests) findings.push(...(await attack(request, target, folder)))
    const places = requests.reduce((sum, request) => sum + request.places, 0)
    const summary = `${requests.length} requests with ${places} places, ${target.requests()} sent, level ${bounds.level}, risk ${bounds.risk}`
    return { findings: [...findings, ...target.ownWords()], summary }
  },
}
