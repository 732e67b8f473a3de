import { type IncomingHttpHeaders, request } from 'node:http'

import { eventually } from './deadline.ts'
import type { TestServer } from './server.ts'

/** One server-sent event as a browser would see it (WHATWG HTML, section 9.2.6). */
export interface Sent {
  readonly id: string
  readonly event: string
  readonly data: Readonly<Record<string, unknown>>
}

export interface EventReader extends Disposable {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** Of a refusal. */
  readonly text: () => string
  readonly sent: () => readonly Sent[]
  readonly isOver: () => boolean
  /** Epoch milliseconds; infinity where it goes on. */
  readonly endedMs: () => number
  /** Waits for one that fits. */
  until(fits: (sent: Sent) => boolean): Promise<Sent>
  /** Waits for the end. */
  over(withinMs: number): Promise<void>
}

export interface ReadOptions {
  readonly target?: string
  readonly fields?: Readonly<Record<string, string>>
  readonly method?: string
}

/** Opens a stream and reads it as the standard says, fields apart: a line that somebody smuggled in would be seen as what it says. */
export const readEvents = (
  server: Pick<TestServer, 'port'>,
  { target = '/v1/security/events', fields = {}, method = 'GET' }: ReadOptions,
) =>
  new Promise<EventReader>((resolve, reject) => {
    const headers = { Accept: 'text/event-stream', ...fields }
    const asked = request({ host: '127.0.0.1', port: server.port, path: target, method, headers, agent: false }, (answer) => {
      let text = ''
      let endedMs = Infinity
      const end = (): void => {
        endedMs = Math.min(endedMs, Date.now())
      }
      const isOver = (): boolean => endedMs < Infinity
      answer.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      answer.on('close', end)
      answer.on('error', end)
      const sent = (): readonly Sent[] => parse(text)
      resolve({
        status: answer.statusCode ?? 0,
        headers: answer.headers,
        text: () => text,
        sent,
        isOver,
        endedMs: () => endedMs,
        until: async (fits) => {
          await eventually(10_000, 'an event comes', () => sent().some(fits))
          return sent().find(fits) as Sent
        },
        over: (withinMs) => eventually(withinMs, 'the stream ends', isOver),
        [Symbol.dispose]: () => void asked.destroy(),
      })
    })
    asked.on('error', reject)
    asked.end()
  })

const parse = (text: string): Sent[] => {
  let [id, event, data] = ['', '', '']
  const found: Sent[] = []
  for (const line of text.split(/\r\n|\r|\n/).slice(0, -1)) {
    const [, name = '', value = ''] = /^([^:]*):? ?(.*)$/s.exec(line) ?? []
    if (line === '') {
      if (data !== '') found.push({ id, event: event === '' ? 'message' : event, data: JSON.parse(data) as Sent['data'] })
      event = ''
      data = ''
    } else if (name === 'id') id = value
    else if (name === 'event') event = value
    else if (name === 'data') data += value
  }
  return found
}
