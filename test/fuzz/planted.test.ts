import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, test } from 'node:test'

import { startServer } from '../support/server.ts'
import { type Case, latin1 } from './case.ts'
import { replay } from './run.ts'
import { watch, withInspector } from './under-test.ts'

const host = 'Host: localhost\r\n'

const streams: readonly string[] = [
  `GET /1 HTTP/1.1\r\n${host}\r\nPOST /2 HTTP/1.1\r\n${host}Content-Length: 3\r\n\r\nabcGET /3 HTTP/1.1\r\n${host}\r\n`,
  `HEAD /1 HTTP/1.1\r\n${host}\r\nGET /2 HTTP/1.1\r\n${host}Connection: close\r\n\r\n`,
  `GET /1 HTTP/1.1\r\n${host}X A: b\r\n\r\n`,
  // Some see a body of 40 bytes here, others an empty one and another request.
  `POST /1 HTTP/1.1\r\n${host}Content-Length: 40\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /planted HTTP/1.1\r\n${host}\r\n`,
]

const cases = streams.map((text, number): Case => ({
  number,
  protocol: 'http1',
  bytes: latin1(text),
  cuts: [],
  ending: 'wait',
  origin: 'a test',
}))

/** All that is found of a server with that fault. */
const found = async (fault: string): Promise<string> => {
  const planted = join(import.meta.dirname, 'planted-server.ts')
  await using server = await startServer({ wrap: ([program = '']) => withInspector([program, planted, fault]) })
  // What is right may take its time on a busy machine.
  const watched = watch(server, { ca: undefined, secrets: {}, patienceMs: fault === 'none' ? 30_000 : 3000 })
  const faults: string[] = []
  const underTest = { ...watched, [Symbol.asyncDispose]: () => Promise.resolve() }
  const summary = await replay({ underTest, onFailure: (failure) => void faults.push(...failure.faults) }, cases)
  return [...faults, ...summary.faults].join('\n')
}

/** What a server does wrong, and what is said of it. */
const planted: Readonly<Record<string, RegExp>> = {
  silence: /neither answered nor ended/,
  'an end': /the process ended \(3\)/,
  'a connection that stays': /connections are left/,
  'memory that stays': /MB more live on the heap/,
  'a crash in the log': /the log says .*sys_crash/,
  'a stack': /tells .*at handler/s,
  'a path': /tells .*\/var\/lib/,
  SQL: /tells .*select id/,
  'a version': /tells .*9\.3\.1/,
  'a name of the software': /server is told/,
  'a field too few': /x-frame-options: missing/,
  'a 500': /answers 500/,
  'no JSON': /a problem document that is no JSON/,
  'another status in the document': /a 404 whose document says 403/,
  'a length that is too long': /a body of \d+ instead of \d+ bytes|not a status line/,
  'two lengths': /content-length stands there twice/,
  'an injected field': /not a field: "set-cookie : b"/,
  'a line end that is none': /not a field: "x-echo: a\\nx: b"/,
  'a body for HEAD': /not a status line|what came is no answer|a body/,
  'two answers': /\d answers to \d requests|an answer \(404\) with/,
  'answers in disorder': /answer 0 is one to GET \/3/,
  smuggling: /smuggled: GET \/planted/,
  'open behind a broken head': /neither answered nor ended/,
  'no line': /an answer \(404\) with 0 log lines/,
  'two lines': /a request that was logged twice/,
  'another status in the log': /answered 404, logged 200/,
  'an answer to nobody': /a log line without an answer/,
}

describe('the judge of the fuzzer', { concurrency: 2 }, () => {
  test('finds nothing in a server that does as it should', async () => assert.equal(await found('none'), ''))
  for (const [fault, said] of Object.entries(planted)) test(`finds ${fault}`, async () => assert.match(await found(fault), said))
})
