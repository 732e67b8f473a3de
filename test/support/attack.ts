import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

import type { LogRecord, TestServer } from './server.ts'

export interface Answer {
  readonly status: number
  /** In the order of the wire, names in lower case; repetitions stay visible. */
  readonly fields: readonly (readonly [string, string])[]
  /** The value of a field that is there once; throws when it is repeated. */
  field(name: string): string | undefined
  readonly body: string
  json(): Readonly<Record<string, unknown>>
}

export interface Exchange {
  readonly answers: readonly Answer[]
  /** What came behind the last whole answer. */
  readonly rest: string
}

export interface ExchangeOptions {
  /** The loopback address to come from: each one is a client of its own to the limits. */
  readonly from?: string
  /** Stops after so many whole answers (1xx included); otherwise the server must end the connection. */
  readonly answers?: number
  /** The answers have no body, whatever Content-Length says. */
  readonly head?: boolean
  readonly timeoutMs?: number
  /** Further pieces, each sent when that many answers are complete. */
  readonly behind?: readonly { readonly after: number; readonly bytes: string | Buffer }[]
}

/** Sends bytes as they are and splits what comes back into answers. */
export const exchange = (port: number, bytes: string | Buffer, options: ExchangeOptions = {}): Promise<Exchange> =>
  new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', ...(options.from === undefined ? {} : { localAddress: options.from }) })
    let text = ''
    let sent = 0
    const finish = (): void => {
      socket.destroy()
      resolve(splitAnswers(text, options.head ?? false))
    }
    socket.setTimeout(options.timeoutMs ?? 5000, () => {
      socket.destroy()
      reject(new Error(`the server neither answered enough nor ended the connection; so far: ${JSON.stringify(text.slice(0, 300))}`))
    })
    socket.setEncoding('latin1')
    socket.on('data', (chunk: string) => {
      text += chunk
      const { answers } = splitAnswers(text, options.head ?? false)
      if (options.answers !== undefined && answers.length >= options.answers) return finish()
      for (let next = options.behind?.[sent]; next !== undefined && answers.length >= next.after; next = options.behind?.[sent]) {
        sent++
        socket.write(next.bytes)
      }
    })
    socket.on('close', finish)
    socket.on('error', () => undefined)
    socket.write(bytes)
  })

const splitAnswers = (text: string, head: boolean): Exchange => {
  const answers: Answer[] = []
  let rest = text
  for (;;) {
    const end = rest.indexOf('\r\n\r\n')
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(rest)?.[1])
    if (end === -1 || Number.isNaN(status)) return { answers, rest }
    const fields = rest
      .slice(0, end)
      .split('\r\n')
      .slice(1)
      .map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()] as const)
    const bodiless = head || status < 200 || status === 204 || status === 304
    const length = bodiless ? 0 : Number(fields.find(([name]) => name === 'content-length')?.[1] ?? Infinity)
    const body = rest.slice(end + 4, end + 4 + length)
    if (body.length < length) return { answers, rest }
    answers.push(createAnswer(status, fields, Buffer.from(body, 'latin1').toString('utf8')))
    rest = rest.slice(end + 4 + length)
  }
}

const createAnswer = (status: number, fields: Answer['fields'], body: string): Answer => ({
  status,
  fields,
  field: (name) => {
    const values = fields.filter(([known]) => known === name)
    assert.ok(values.length <= 1, `${name} stands ${values.length} times in the answer`)
    return values[0]?.[1]
  },
  body,
  json: () => JSON.parse(body) as Record<string, unknown>,
})

export interface Ask {
  readonly method?: string
  readonly target?: string
  /** Host and Connection have defaults; null leaves one out, a list repeats it. */
  readonly fields?: Readonly<Record<string, string | null | readonly string[]>>
  /** Sent with Content-Length unless the fields say Transfer-Encoding. */
  readonly body?: string | Buffer
  readonly from?: string
  /** How long the server may be silent; default 5 s. */
  readonly timeoutMs?: number
}

/** The bytes of a request; nothing is checked or encoded. */
export const requestBytes = ({ method = 'GET', target = '/v1/films/1', fields = {}, body }: Ask): Buffer => {
  const content = body === undefined ? undefined : Buffer.from(body)
  const framed = Object.keys(fields).some((name) => /^(transfer-encoding|content-length)$/i.test(name))
  const all: Ask['fields'] = {
    Host: 'localhost',
    Connection: 'close',
    ...(content === undefined || framed ? {} : { 'Content-Length': String(content.length) }),
    ...fields,
  }
  const lines = Object.entries(all).flatMap(([name, value]) => (value === null ? [] : [value].flat().map((one) => `${name}: ${one}\r\n`)))
  return Buffer.concat([Buffer.from(`${method} ${target} HTTP/1.1\r\n${lines.join('')}\r\n`), content ?? Buffer.alloc(0)])
}

/** One request on a connection of its own, one answer. */
export const ask = async (server: Pick<TestServer, 'port'>, request: Ask = {}): Promise<Answer> => {
  const { from, timeoutMs } = request
  const options = {
    answers: 1,
    head: request.method === 'HEAD',
    ...(from === undefined ? {} : { from }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  }
  const { answers, rest } = await exchange(server.port, requestBytes(request), options)
  const [answer] = answers
  assert.ok(answer, `no answer to ${request.method ?? 'GET'} ${request.target ?? ''}; came: ${JSON.stringify(rest)}`)
  return answer
}

/** `content` as one chunk of a chunked body, closed. */
export const chunked = (content: string): string => `${Buffer.byteLength(content).toString(16)}\r\n${content}\r\n0\r\n\r\n`

const securityFields: Readonly<Record<string, RegExp>> = {
  'content-security-policy': /default-src 'none'.*frame-ancestors 'none'/,
  'x-content-type-options': /^nosniff$/,
  'referrer-policy': /^no-referrer$/,
  'permissions-policy': /camera=\(\)/,
  'cross-origin-opener-policy': /^same-origin$/,
  'cross-origin-resource-policy': /^same-origin$/,
  'x-frame-options': /^DENY$/,
  'x-request-id': /^[0-9a-f]{24}$/,
}

/** What no answer may tell: stack frames, SQL, paths of the machine, code names of the software. */
const leaks =
  /node_modules|\.[tj]s:\d|\n\s+at |node:|sqlite|\b(select|insert into|update|delete from)\s+\S+\s+(from|values|set|where)\b|\/(work|home|tmp|usr|root)\/|filmgate-test|fastify|kysely|FST_|HPE_|ERR_[A-Z]/i

/** CONTRACT section 5, for whatever answer. */
export const assertSafe = (answer: Answer): void => {
  for (const [name, value] of Object.entries(securityFields)) assert.match(answer.field(name) ?? `no ${name}`, value, name)
  for (const name of ['server', 'x-powered-by', 'strict-transport-security']) assert.equal(answer.field(name), undefined, name)
  // A pointer repeats the client's own words.
  assert.doesNotMatch(answer.body.replaceAll(/"pointer":"(?:[^"\\]|\\.)*"/g, ''), leaks)
  for (const [name, value] of answer.fields) assert.doesNotMatch(value, leaks, name)
}

export interface ExpectedProblem {
  readonly status: number
  readonly code: string
  /** One of the pointers in `errors`. */
  readonly pointer?: string
}

const ianaTypes: Readonly<Record<string, string>> = { quota_exceeded: 'https://iana.org/assignments/http-problem-types#quota-exceeded' }

/** A whole problem document of that kind, safe in every other respect too. */
export const assertProblem = (answer: Answer, { status, code, pointer }: ExpectedProblem): void => {
  assert.equal(answer.status, status, answer.body)
  assertSafe(answer)
  assert.match(answer.field('content-type') ?? '', /^application\/problem\+json\b/)
  assert.equal(answer.field('cache-control'), 'no-store')
  const document = answer.json()
  assert.equal(document['code'], code, answer.body)
  assert.equal(document['status'], status)
  assert.equal(document['type'], ianaTypes[code] ?? `/problems/${code}`)
  assert.equal(document['request_id'], answer.field('x-request-id'))
  for (const member of ['title', 'detail']) assert.ok(typeof document[member] === 'string' && document[member] !== '', member)
  if (pointer === undefined) return
  const errors = document['errors'] as readonly { readonly pointer: string; readonly detail: string }[] | undefined
  assert.ok(Array.isArray(errors), 'no errors')
  const pointers = errors.map((error) => error.pointer)
  assert.ok(pointers.includes(pointer), `${pointer} is not among ${JSON.stringify(pointers)}`)
}

/** Waits for the one line that this answer left, and holds its status and verdict against it. */
export const assertLogged = async (server: TestServer, answer: Answer, verdict: string): Promise<LogRecord> => {
  const id = answer.field('x-request-id')
  const fits = (record: LogRecord): boolean => record.msg === 'request' && record['request_id'] === id
  const record = await server.logged(fits)
  assert.equal(record['verdict'], verdict)
  assert.equal(record['status'], answer.status)
  assert.equal(server.log().filter(fits).length, 1, 'more than one line')
  return record
}

/** At the end of a file: no request was logged twice, and nothing made the process stumble. */
export const assertQuietLog = (server: TestServer): void => {
  assert.equal(server.process.exitCode ?? server.process.signalCode, null, `the server ended:\n${server.stderr()}`)
  const records = server.log()
  const ids = records.filter((record) => record.msg === 'request').map((record) => record['request_id'])
  assert.equal(new Set(ids).size, ids.length, 'a request was logged twice')
  const faults = records.filter((record) => ['error', 'fatal'].includes(String(record['level'])))
  assert.deepEqual(faults, [])
}

/** Reads what is really stored, past the server. */
export const query = (
  server: Pick<TestServer, 'dataDir'>,
  sql: string,
  ...parameters: readonly (string | number)[]
): Record<string, unknown>[] => {
  const db = new DatabaseSync(join(server.dataDir, 'filmgate.db'), { readOnly: true })
  try {
    return db
      .prepare(sql)
      .all(...parameters)
      .map((row) => ({ ...row }))
  } finally {
    db.close()
  }
}

export const countFilms = (server: Pick<TestServer, 'dataDir'>): number => Number(query(server, 'select count(*) as n from film')[0]?.['n'])
