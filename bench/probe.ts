/* oxlint-disable no-await-in-loop -- one after the other is the point: what runs side by side measures each other */
import { type IncomingMessage, request } from 'node:http'
import { request as secureRequest } from 'node:https'
import { setTimeout as pause } from 'node:timers/promises'
import type { Program } from './processes.ts'

interface Answer {
  readonly status: number
  readonly body: string
}

export interface Asked {
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** PEM of whom to trust, read when it is needed: then over HTTPS. */
  readonly ca?: (() => string) | undefined
}

/** One GET / on a connection of its own. */
export function get(port: number, { headers = {}, ca }: Asked = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path: '/', headers, agent: false as const, timeout: 5000 }
    const read = (incoming: IncomingMessage): void => {
      let body = ''
      incoming.setEncoding('utf8').on('data', (text: string) => (body += text))
      incoming.on('end', () => resolve({ status: incoming.statusCode ?? 0, body }))
      incoming.on('error', reject)
    }
    const outgoing = ca === undefined ? request(options, read) : secureRequest({ ...options, ca: ca() }, read)
    outgoing.on('timeout', () => outgoing.destroy(new Error('no answer in 5 s')))
    outgoing.on('error', reject)
    outgoing.end()
  })
}

/** Waits for the first answer to GET /, which must be 200 and a film; gives it back. */
export async function firstAnswer(program: Program, port: number, withinMs: number, asked: Asked = {}): Promise<string> {
  const deadline = performance.now() + withinMs
  while (performance.now() < deadline) {
    if (!program.running()) throw new Error(`${program.name} ended before it answered:\n${program.complaint()}`)
    const answer = await get(port, asked).catch(() => undefined)
    if (answer !== undefined) {
      if (answer.status === 200 && answer.body.includes('"studio"')) return answer.body
      throw new Error(`${program.name} answered ${answer.status}: ${answer.body.slice(0, 500)}`)
    }
    await pause(50)
  }
  throw new Error(`${program.name} did not answer within ${withinMs} ms:\n${program.complaint()}`)
}
