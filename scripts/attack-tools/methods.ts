import { connect } from 'node:net'
import { text } from 'node:stream/consumers'

import type { ApiDescription } from '../../src/api/site/document.ts'
import type { Finding } from './finding.ts'
import type { Tool } from './target.ts'

type Heard = Omit<Finding, 'tool'>

/** What nobody needs: TRACE shows a page the fields that it may not read, the rest is WebDAV, caches and debuggers. */
const unwanted = [
  'TRACE',
  'TRACK',
  'DEBUG',
  'CONNECT',
  'PROPFIND',
  'MKCOL',
  'MOVE',
  'COPY',
  'LOCK',
  'PURGE',
  'SEARCH',
  'PATCH',
  'NONSENSE',
] as const

const secret = 'a-value-that-nobody-else-sends'

/** A whole exchange on a connection of its own. */
const exchange = async (port: number, method: string, target: string): Promise<string> => {
  const socket = connect(port, '127.0.0.1')
  socket.setTimeout(10_000, () => socket.destroy())
  socket.write(`${method} ${target} HTTP/1.1\r\nHost: localhost:${port}\r\nX-Secret: ${secret}\r\nConnection: close\r\n\r\n`)
  return await text(socket)
}

/** `allowed`: the methods of this path that there are. */
export const judgeMethod = (method: string, target: string, answer: string, allowed: readonly string[]): Heard[] => {
  const where = `${method} ${target}`
  const [, status = ''] = /^HTTP\/1\.1 (\d{3}) /.exec(answer) ?? []
  const field = /^allow: (.*)$/im.exec(answer.split('\r\n\r\n')[0] ?? '')?.[1]?.trim()
  const found: Heard[] = []
  if (answer.includes(secret)) found.push({ id: 'echo', where, text: 'the request comes back in the answer' })
  if (method === 'OPTIONS') {
    const listed = field?.split(/,\s*/).toSorted().join(', ')
    if (!status.startsWith('2')) found.push({ id: `status ${status}`, where, text: answer.slice(0, 200) })
    if (target !== '*' && listed !== [...allowed].toSorted().join(', '))
      found.push({ id: 'Allow', where, text: `${listed}, not ${allowed.join(', ')}` })
  } else if (!['400', '404', '405', '501'].includes(status))
    found.push({ id: `status ${status || 'none'}`, where, text: answer.slice(0, 200) })
  return found
}

const methodsOf = (description: ApiDescription, path: string): string[] =>
  Object.keys(description.paths[path] ?? {}).map((method) => method.toUpperCase())

/** Methods by hand: no tool of Debian says more about them. */
export const methods: Tool = {
  name: 'methods',
  program: '',
  debian: '',
  plants: [/^echo$/, /^status 200$/],
  check: async ({ start }) => {
    await using target = await start({ scheme: 'http', limits: 'raised' })
    const paths = Object.keys(target.description.paths).filter((path) => !path.includes('{'))
    const findings: Heard[] = []
    let sent = 0
    for (const path of paths) {
      const there = methodsOf(target.description, path)
      const withHead = [...new Set([...there, ...(there.includes('GET') ? ['HEAD'] : []), 'OPTIONS'])]
      for (const method of [...unwanted.filter((one) => !there.includes(one)), 'OPTIONS']) {
        findings.push(...judgeMethod(method, path, await exchange(target.port, method, path), withHead))
        sent++
      }
    }
    findings.push(...judgeMethod('OPTIONS', '*', await exchange(target.port, 'OPTIONS', '*'), []))
    return { findings: [...findings, ...target.ownWords()], summary: `${sent + 1} requests on ${paths.length} paths` }
  },
}
