import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, test } from 'node:test'

import { type Answer, ask } from './support/attack.ts'
import { within } from './support/deadline.ts'

const app = 'https://app.example.com'
const evil = 'https://app.example.com.evil.test'

/** The example as somebody runs it, on a free port. */
const startExample = async () => {
  const env = { PATH: process.env['PATH'] ?? '', PAGES: `${app},https://*.films.example` }
  const child = spawn(process.execPath, [join(import.meta.dirname, '../examples/cors.ts')], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  const lines: string[] = []
  const port = new Promise<number>((resolve, reject) => {
    createInterface(child.stdout).on('line', (line) => {
      lines.push(line)
      const url = /^listens on (\S+)$/.exec(line)?.[1]
      if (url !== undefined) resolve(Number(new URL(url).port))
    })
    child.once('exit', () => reject(new Error('the example ended before it listened')))
  })
  const end = async (): Promise<number | null> => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM')
      await once(child, 'close')
    }
    return child.exitCode
  }
  return { port: await within(20_000, 'the example starts', port), lines, end }
}

const example = await startExample()
after(() => example.end())

const send = (method: string, target: string, origin: string, from = '127.0.0.31'): Promise<Answer> =>
  ask(example, { method, target, from, fields: { Origin: origin, ...(method === 'POST' ? { 'Content-Length': '0' } : {}) } })
const announce = (method: string, target: string, origin: string, headers = ''): Promise<Answer> =>
  ask(example, {
    method: 'OPTIONS',
    target,
    from: '127.0.0.32',
    fields: {
      Origin: origin,
      'Access-Control-Request-Method': method,
      ...(headers === '' ? {} : { 'Access-Control-Request-Headers': headers }),
    },
  })
const allowed = (answer: Answer): string | undefined => answer.field('access-control-allow-origin')

test('examples/cors.ts: everybody reads the list; what is written only the named pages learn of', async () => {
  for (const origin of [app, 'https://a.films.example', evil, 'null']) {
    const answer = await send('GET', '/films', origin)
    assert.deepEqual([answer.status, allowed(answer), answer.field('vary')], [200, '*', undefined])
  }
  const written = await send('POST', '/films', app)
  assert.deepEqual([written.status, allowed(written), written.field('vary')], [201, app, 'Origin'])
  assert.match(written.field('access-control-expose-headers') ?? '', /Location/)
  for (const origin of [evil, 'null', 'http://app.example.com', 'https://films.example'])
    assert.equal(allowed(await send('POST', '/films', origin)), undefined)
})

test('examples/cors.ts: preflights for what the page may do, and for nothing else', async () => {
  const good = await announce('POST', '/films', app, 'authorization,content-type')
  assert.deepEqual([good.status, allowed(good), good.field('access-control-allow-methods')], [204, app, 'GET, HEAD, OPTIONS, POST'])
  for (const [status, answer] of [
    [403, await announce('POST', '/films', evil)],
    [403, await announce('POST', '/films', app, 'x-other')],
    [403, await announce('DELETE', '/films/1', app)],
    [405, await announce('PUT', '/films', app)],
    [404, await announce('POST', '/nothing', app)],
  ] as const) {
    assert.equal(answer.status, status)
    assert.equal(allowed(answer), undefined)
  }
})

test('examples/cors.ts: a page reads its 401 and its 429, and preflights count in total', async () => {
  const from = '127.0.0.33'
  const refused = await ask(example, { method: 'POST', target: '/films', from, fields: { Origin: app, Authorization: 'Bearer x' } })
  assert.deepEqual([refused.status, allowed(refused), refused.field('vary')], [401, app, 'Origin, Authorization'])
  const fields = { Origin: app, 'Access-Control-Request-Method': 'POST' }
  for (let i = 0; i < 29; i++) assert.equal((await ask(example, { method: 'OPTIONS', target: '/films', from, fields })).status, 204)
  const over = await ask(example, { method: 'OPTIONS', target: '/films', from, fields })
  assert.deepEqual([over.status, allowed(over)], [429, app])
  const write = await send('POST', '/films', app, from)
  assert.deepEqual([write.status, allowed(write)], [429, app])
  assert.match(write.field('access-control-expose-headers') ?? '', /Retry-After/)
})

test('examples/cors.ts: foreign pages were told of, and it ends when it is told to', async () => {
  assert.equal(await example.end(), 0)
  const events = example.lines
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as { readonly event: string; readonly origin?: string })
  const origins = events.filter(({ event }) => event === 'malicious_cors').map(({ origin }) => origin)
  assert.deepEqual(new Set(origins), new Set([evil, 'http://app.example.com', 'https://films.example', 'null', app]))
})
