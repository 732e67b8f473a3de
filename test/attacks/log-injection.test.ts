import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'

import { type Ask, ask, assertQuietLog, exchange, requestBytes } from '../support/attack.ts'
import { startServer } from '../support/server.ts'

const server = await startServer()
after(() => server[Symbol.asyncDispose]())

/** The log as it is written, before anybody parses it. */
let written = ''
server.process.stdout?.on('data', (text: string) => (written += text))

/** What a terminal, a log viewer or a line-based tool would act on: controls, reading direction, line separators. */
const deceptive = /[^\P{Cc}\n]|[\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/u

const nasty: Readonly<Record<string, string>> = {
  'an ANSI escape in C1': '\u009b2J\u009b31mred',
  'a right-to-left override': 'gnp.\u202eexe',
  isolates: '\u2066a\u2069',
  'a line separator': 'a\u2028{"level":"info","msg":"request","verdict":"ok"}',
  'next line': 'a\u0085b',
  'a zero width space': 'a\u200bb',
  'a byte order mark': '\ufeffa',
  'a quote that ends the value': '","verdict":"ok","x":"',
  'a backslash at the end': 'a\\',
  'a word of 8 KB': 'a'.repeat(8000),
  'bytes that are no UTF-8': Buffer.from([0xc3, 0x28, 0xff, 0xfe]).toString('latin1'),
}

describe('[ASVS 16.4.1] one request is one line, and no character of it acts on who reads it', () => {
  for (const [attack, text] of Object.entries(nasty)) {
    test(attack, async () => {
      const places: readonly Ask[] = [
        { fields: { 'User-Agent': text } },
        { target: `/${encodeURIComponent(text)}` },
        { target: `/?like=${encodeURIComponent(text)}` },
        { target: `/?${encodeURIComponent(text)}=1` },
        { fields: { Host: text.slice(0, 1000) } },
        { fields: { 'X-Forwarded-For': text, 'X-Request-Id': text, traceparent: text } },
        { fields: { Authorization: text } },
        {
          method: 'POST',
          target: '/add_film',
          fields: { Authorization: `Bearer ${server.key()}`, 'Content-Type': 'application/json' },
          body: JSON.stringify({ name: 'x', [text]: 1 }),
        },
      ]
      const countLines = (): number => server.log().filter((record) => record.msg === 'request').length
      const linesBefore = countLines()
      const answers = await Promise.all(places.map((place) => ask(server, place)))
      const ids = answers.map((answer) => answer.field('x-request-id'))
      await Promise.all(ids.map((id) => server.logged((record) => record.msg === 'request' && record['request_id'] === id)))
      assert.equal(countLines(), linesBefore + places.length)
      assert.doesNotMatch(written, deceptive)
      assert.ok(
        written.split('\n').every((line) => line.length < 4096),
        'no line is longer than 4 KB',
      )
    })
  }

  test('a raw line feed and what looks like a line of ours, in the target', async () => {
    const forged = '{"level":"info","msg":"request","request_id":"forged","verdict":"ok"}'
    for (const bytes of [
      `GET /\n${forged} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
      requestBytes({ target: `/%0a${encodeURIComponent(forged)}` }),
    ]) {
      await exchange(server.port, bytes)
    }
    const answer = await ask(server)
    await server.logged((record) => record['request_id'] === answer.field('x-request-id'))
    assert.ok(!server.log().some((record) => record['request_id'] === 'forged'))
  })

  test('the log is quiet: one line each, no error', () => assertQuietLog(server))
})
