import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import type { LookupAddress } from 'node:dns'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'

import type { Resolve } from '../../src/core/egress.ts'
import { createAuthority } from '../support/certificates.ts'
import { startReceiver } from '../support/receiver.ts'
import { createScene, message } from '../support/webhook-scene.ts'

const v4 = (address: string): LookupAddress => ({ address, family: 4 })

describe('where a webhook may not go', () => {
  using authority = createAuthority('A test authority')
  const ca = readFileSync(authority.file, 'utf8')
  const certificate = authority.issue('hooks.example')

  test('a name of a private address, of the metadata service, of this machine: nobody connects', async () => {
    await using receiver = await startReceiver({ tls: certificate, host: 'hooks.example' })
    for (const address of ['127.0.0.1', '10.0.0.1', '169.254.169.254', '0.0.0.0']) {
      const resolve: Resolve = (_host, done) => done(null, [v4(address)])
      const { webhook, outcome, notes } = createScene(receiver.url, { resolve, ca, allowPrivate: false })
      webhook.send(message(1))
      await outcome(1)
      assert.match(notes[0]?.text ?? '', /not allowed/, address)
    }
    assert.equal(receiver.connections(), 0)
  })

  test('DNS rebinding between two tries: the second address is looked at like the first', async () => {
    await using receiver = await startReceiver({ tls: certificate, host: 'hooks.example' })
    receiver.answer = (_request, response) => void response.writeHead(500).end()
    let questions = 0
    const resolve: Resolve = (_host, done) => done(null, [v4(questions++ === 0 ? '127.0.0.1' : '169.254.169.254')])
    const { clock, webhook, outcome, outcomes } = createScene(receiver.url, { resolve, ca })
    webhook.send(message(1))
    await outcome(1)
    clock.advance(5000)
    await outcome(2)
    assert.deepEqual([outcomes, questions, receiver.connections()], [['failed', 'failed'], 2, 1])
  })

  test('plain http to another machine, even where private addresses are allowed: nobody connects', async () => {
    const { webhook, outcome, notes } = createScene('http://10.0.0.1/')
    webhook.send(message(1))
    await outcome(1)
    assert.match(notes[0]?.text ?? '', /not allowed/)
  })
})

describe('what waits', () => {
  test('10,000 messages while one is under way: a hundred are kept, the newest', async () => {
    await using receiver = await startReceiver()
    const { webhook, outcome, outcomes } = createScene(receiver.url)
    for (let n = 0; n < 10_000; n++) webhook.send(message(n))
    assert.equal(webhook.waiting, 100)
    await outcome(10_000)
    assert.deepEqual([outcomes.filter((one) => one === 'lost').length, receiver.received.length, webhook.waiting], [9900, 100, 0])
    assert.ok(receiver.received.some(({ body }) => body.includes('"alert 9999"')))
  })

  test('a reload that names another receiver and another secret: what waits goes there', async () => {
    await using first = await startReceiver()
    await using second = await startReceiver()
    first.answer = (_request, response) => void response.writeHead(500).end()
    const { clock, webhook, outcome, change } = createScene(first.url)
    webhook.send(message(1))
    await outcome(1)
    const other = 'another secret of some length'
    change({ url: second.url, secret: other })
    clock.advance(5000)
    const [request] = await second.first(1)
    assert.ok(request)
    const { headers, body } = request
    const expected = createHmac('sha256', other).update(`${String(headers['webhook-id'])}.${String(headers['webhook-timestamp'])}.${body}`)
    assert.equal(headers['webhook-signature'], `v1,${expected.digest('base64')}`)
    assert.equal(headers['webhook-id'], first.received[0]?.headers['webhook-id'])
  })

  test('a reload that names none: what waits is let go', async () => {
    await using receiver = await startReceiver()
    receiver.answer = (_request, response) => void response.writeHead(500).end()
    const { clock, webhook, outcome, change } = createScene(receiver.url)
    webhook.send(message(1))
    await outcome(1)
    change({ url: '' })
    clock.advance(5000)
    assert.deepEqual([webhook.waiting, clock.timers, receiver.received.length], [0, 0, 1])
  })

  test('a stop: what waits gets one more try each, and none after it', async () => {
    await using receiver = await startReceiver()
    receiver.answer = (_request, response) => void response.writeHead(500).end()
    const { clock, webhook, outcome, outcomes } = createScene(receiver.url)
    for (let n = 0; n < 3; n++) webhook.send(message(n))
    await outcome(3)
    receiver.answer = (_request, response) => void response.writeHead(204).end()
    await webhook.close(60_000)
    assert.deepEqual(outcomes.slice(3), ['delivered', 'delivered', 'delivered'])
    webhook.send(message(4))
    assert.deepEqual([receiver.received.length, webhook.waiting, clock.timers], [6, 0, 0])
  })

  test('a stop while the receiver hangs: over when the grace is, and what is lost is told', async () => {
    await using receiver = await startReceiver()
    receiver.answer = () => undefined
    const { clock, webhook, outcomes, notes } = createScene(receiver.url, { timeoutMs: 600_000 })
    for (let n = 0; n < 3; n++) webhook.send(message(n))
    await receiver.first(1)
    const closed = webhook.close(3000)
    clock.advance(3000)
    await closed
    assert.deepEqual(
      [outcomes.filter((one) => one === 'lost').length, notes.filter(({ level }) => level === 'error').length, clock.timers],
      [3, 3, 0],
    )
  })
})
