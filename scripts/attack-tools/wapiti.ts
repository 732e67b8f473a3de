import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'

import type { ApiDescription } from '../../src/api/site/document.ts'
import type { Finding } from './finding.ts'
import { markedRequests } from './injection-places.ts'
import { runTool } from './run-tool.ts'
import type { Surroundings, Target, Tool } from './target.ts'

type Heard = Omit<Finding, 'tool'>

interface Entry {
  readonly method: string
  readonly path: string
  readonly info: string
  readonly parameter: string
}

type Section = Readonly<Record<string, readonly Entry[]>>

/** Wapiti's JSON: vulnerabilities, anomalies (errors of the server, time-outs) and additional remarks alike. */
export const parseWapiti = (json: string): Heard[] => {
  const { vulnerabilities, anomalies, additionals } = JSON.parse(json) as Readonly<
    Record<'vulnerabilities' | 'anomalies' | 'additionals', Section>
  >
  return [vulnerabilities, anomalies, additionals].flatMap((section) =>
    Object.entries(section).flatMap(([category, entries]) =>
      entries.map(({ method, path, info, parameter }) => ({
        id: category,
        where: `${method} ${path}${parameter === '' ? '' : ` ${parameter}`}`,
        text: info,
      })),
    ),
  )
}

/** What it says beside its report: where it could not reach the server, or had no time, its silence means nothing. */
export const parseProgress = (stdout: string, modules: readonly string[]): Heard[] => {
  const found: Heard[] = []
  const launched = new Set([...stdout.matchAll(/^\[\*\] Launching module (\w+)$/gm)].map(([, name = '']) => name))
  for (const name of modules) if (!launched.has(name)) found.push({ id: 'not tested', where: name, text: 'the module was not launched' })
  for (const [line] of stdout.matchAll(/^Max attack time was reached for module .*$/gm))
    found.push({ id: 'not tested', where: '', text: line })
  for (const [line] of stdout.matchAll(/^\d+ requests were skipped due to network issues$/gm))
    found.push({ id: 'not tested', where: '', text: line })
  for (const [line] of stdout.matchAll(/^error: .*$/gm)) found.push({ id: 'not tested', where: '', text: line })
  return found
}

/** All but those that fetch lists from the network (nikto, wapp), brute_login_form, which wants a form, and buster, which does what ffuf does. */
const modules =
  'backup blindsql cookieflags crlf csp csrf exec file htaccess http_headers methods permanentxss redirect shellshock sql ssrf xss xxe'.split(
    ' ',
  )
const modulesForWeak = ['csp', 'http_headers', 'redirect', 'sql', 'xss']

/** Whom a server would call that fetches what a client names: wapiti's own stands on the internet, this one here. */
const openListener = async () => {
  const calls: string[] = []
  const server = createServer((request, response) => {
    const url = request.url ?? ''
    // By these wapiti itself asks what came.
    if (!/^\/(get_ssrf|get_xxe)\.php/.test(url) && url !== '/') calls.push(url)
    response.writeHead(200, { 'Content-Type': 'application/json' }).end('{}')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  return { url, calls, [Symbol.dispose]: () => server.close().closeAllConnections() }
}

/** Every GET route with its examples: wapiti finds no links in JSON. */
const startUrls = (description: ApiDescription, origin: string): string[] =>
  markedRequests(description)
    .filter(({ method }) => method === 'GET')
    .flatMap(({ target }) => ['-s', `${origin}${target.replaceAll('*', '')}`])

const scan = async (surroundings: Surroundings, target: Target, token: string | undefined): Promise<{ heard: Heard[]; links: string }> => {
  const { folder, selfCheck } = surroundings
  using listener = await openListener()
  const output = join(folder, `wapiti-${token === undefined ? 'anonymous' : 'admin'}.json`)
  const chosen = selfCheck ? modulesForWeak : modules
  const session = join(folder, `session-${token === undefined ? 'anonymous' : 'admin'}`)
  const bounds = '-t 10 --max-scan-time 60 --max-attack-time 90 --max-files-per-dir 100'
  const command = [
    ...`wapiti -u ${target.origin}/ --scope domain --flush-session --no-bugreport --verify-ssl 0 -v 1 -f json ${bounds}`.split(' '),
    ...startUrls(target.description, target.origin),
    ...(token === undefined ? [] : ['-H', `Authorization: Bearer ${token}`]),
    '-m',
    chosen.join(','),
    '--endpoint',
    listener.url,
    '--store-session',
    session,
    '-o',
    output,
  ]
  const run = await runTool(command, { cwd: folder, timeoutS: 900 })
  if (run.code !== 0) throw new Error(`wapiti ended with ${run.code}: ${run.stderr || run.stdout.slice(-1000)}`)
  const called = listener.calls.map((url) => ({ id: 'the server called out', where: url, text: 'SSRF or XXE' }))
  const links = /Wapiti found (\d+) URLs/.exec(run.stdout)?.[1] ?? '?'
  return { heard: [...parseWapiti(readFileSync(output, 'utf8')), ...parseProgress(run.stdout, chosen), ...called], links }
}

export const wapiti: Tool = {
  name: 'wapiti',
  program: 'wapiti',
  debian: 'wapiti',
  plants: [/SQL Injection/, /Cross Site Scripting/, /Open Redirect/, /HTTP Secure Headers/],
  check: async (surroundings) => {
    await using target = await surroundings.start({ scheme: surroundings.selfCheck ? 'http' : 'https', limits: 'raised' })
    const anonymous = await scan(surroundings, target, undefined)
    const admin = surroundings.selfCheck ? undefined : await scan(surroundings, target, await target.accessToken())
    const summary = `${modules.length} modules, ${anonymous.links} addresses anonymously${admin === undefined ? '' : `, ${admin.links} as an admin`}, ${target.requests()} requests`
    return { findings: [...anonymous.heard, ...(admin?.heard ?? []), ...target.ownWords()], summary }
  },
}
