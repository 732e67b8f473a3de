import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

import type { Finding } from './finding.ts'
import { type MarkedRequest, markedRequests } from './injection-places.ts'
import { runTool } from './run-tool.ts'
import type { Target, Tool } from './target.ts'

type Heard = Omit<Finding, 'tool'>

/** The good end; and an honest request whose answer has no body, after which it goes on. */
const harmless =
  /^all tested parameters do not appear to be injectable|^there was an error checking the stability of page because of lack of content/

/** What sqlmap says of one request; each place must have been tried to its end. */
export const parseSqlmap = (output: string, { route, target, places }: Pick<MarkedRequest, 'route' | 'target' | 'places'>): Heard[] => {
  const found: Heard[] = []
  const say = (id: string, text: string): void => void found.push({ id, where: route, text })
  for (const [, place = ''] of output.matchAll(/^Parameter: (.+)$/gm)) say('injectable', place)
  for (const [, dbms = ''] of output.matchAll(/^back-end DBMS: (.+)$/gm)) say('DBMS known', dbms)
  for (const [line, kind] of output.matchAll(/^.*heuristic \((\w+)\) test shows that .*(?:might|could) be .*$/gm))
    say(`heuristic ${kind}`, line.replace(/^\[[\d:]+\] /, ''))
  for (const [, text = ''] of output.matchAll(/^\[[\d:]+\] \[(?:CRITICAL|ERROR)\] (.*)$/gm)) if (!harmless.test(text)) say('stopped', text)
  // At level 3 it tries places of its own beside: those with a mark are ours, but one at the end of a target that has none.
  const tried = [...output.matchAll(/ parameter '([^'\n]*\*)' does not seem to be injectable$/gm)].map(([, place]) => place)
  const injectable = [...output.matchAll(/^Parameter: (.*\*) \(/gm)].map(([, place]) => place)
  const ours = new Set([...tried, ...injectable].filter((place) => target.includes('*') || place !== '#1*')).size
  if (ours !== places) say('not tested', `${ours} of ${places} places were tried to the end`)
  return found
}

/** Requests by sqlmap's `-r`. */
export const requestText = (
  { method, target, fields, body, mediaType }: MarkedRequest,
  host: string,
  token: string | undefined,
): string => {
  const lines = [
    `${method} ${target} HTTP/1.1`,
    `Host: ${host}`,
    ...(token === undefined ? [] : [`Authorization: Bearer ${token}`]),
    ...(body === undefined ? [] : [`Content-Type: ${mediaType}`]),
    ...fields.map(([name, value]) => `${name}: ${value}`),
  ]
  return `${lines.join('\r\n')}\r\n\r\n${body ?? ''}`
}

/** Refusals are answers here, and a place that was found must not hide the next one. */
const options = [
  ...'--batch --ignore-stdin --flush-session --disable-coloring --skip-waf --timeout 10 --retries 0 --ignore-code * --answers'.split(' '),
  'keep testing=Y,quit=N',
]

/** Of the database that the target has, deeper: about 200 requests a place. For all databases that sqlmap knows it would be 1000. */
const bounds = { level: 3, risk: 2, dbms: 'sqlite', secondsPerRequest: 240 } as const

const attack = async (request: MarkedRequest, target: Target, folder: string): Promise<Heard[]> => {
  const file = join(folder, 'request.txt')
  const token = request.needsToken ? await target.accessToken() : undefined
  writeFileSync(file, requestText(request, `localhost:${target.port}`, token))
  const depth = [
    '--level',
    String(bounds.level),
    '--risk',
    String(bounds.risk),
    '--dbms',
    bounds.dbms,
    '--output-dir',
    join(folder, 'output'),
  ]
  const run = await runTool(['sqlmap', '-r', file, ...options, ...depth], { cwd: folder, timeoutS: bounds.secondsPerRequest })
  const cut = run.cut ? [{ id: 'not tested', where: request.route, text: `cut after ${bounds.secondsPerRequest} s` }] : []
  return [...cut, ...parseSqlmap(run.stdout, request)]
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
    const summary = `${requests.length} requests with ${places} places, ${target.requests()} sent, level ${bounds.level}, risk ${bounds.risk}, ${bounds.dbms}`
    return { findings: [...findings, ...target.ownWords()], summary }
  },
}
