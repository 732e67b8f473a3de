/* oxlint-disable no-await-in-loop -- one after the other is the point: what runs side by side measures each other */
import { request } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import type { Program } from './processes.ts'

interface Answer {
  readonly status: number
  readonly body: string
}

/** One GET / on a connection of its own. */
export function get(port: number, headers: Record<string, string> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: '127.0.0.1', port, path: '/', headers, agent: false, timeout: 5000 }, (incoming) => {
      let body = ''
      incoming.setEncoding('utf8').on('data', (text: string) => (body += text))
      incoming.on('end', () => resolve({ status: incoming.statusCode ?? 0, body }))
      incoming.on('error', reject)
    })
    outgoing.on('timeout', () => outgoing.destroy(new Error('no answer in 5 s')))
    outgoing.on('error', reject)
    outgoing.end()
  })
}

/** Waits for the first answer to GET /, which must be 200 and a film; gives it back. */
export async function firstAnswer(program: Program, port: number, withinMs: number): Promise<string> {
  const deadline = performance.now() + withinMs
  while (performance.now() < deadline) {
    if (!program.running()) throw new Error(`${program.name} ended before it answered:\n${program.complaint()}`)
    const answer = await get(port).catch(() => undefined)
    if (answer !== undefined) {
      if (answer.status === 200 && answer.body.includes('"studio"')) return answer.body
      throw new Error(`${program.name} answered ${answer.status}: ${answer.body.slice(0, 500)}`)
    }
    await pause(50)
  }
  throw new Error(`${program.name} did not answer within ${withinMs} ms:\n${program.complaint()}`)
}
