import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { RequestListener } from 'node:http'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { describe, test } from 'node:test'

import type { Resolve } from '../../src/core/egress.ts'
import { startReceiver } from '../support/receiver.ts'
import { createScene, message, signatureOf } from '../support/webhook-scene.ts'

const gigabyte: RequestListener = (_request, response) => {
  response.writeHead(200, { 'content-length': String(2 ** 30) })
  const more = (): void => {
    while (!response.destroyed && response.write(Buffer.alloc(65_536)));
  }
  response.on('drain', more)
  more()
}
const drip: RequestListener = (_request, response) => void response.writeHead(200, { 'content-length': '1000' }).write('x')
const unknown: Resolve = (_host, done) => done(Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' }), [])

describe('a webhook', () => {
  test('a message is signed as Standard Webhooks says, and sent once', async () => {
    await using receiver = await startReceiver()
    const { webhook, outcome, outcomes } = createScene(receiver.url)
    webhook.send(message(1))
    const [request] = await receiver.first(1)
    await outcome(1)
    assert.ok(request)
    assert.match(String(request.headers['webhook-id']), /^msg_[\w-]{24}$/)
    assert.equal(request.headers['webhook-timestamp'], '1767225600')
    assert.equal(request.headers['webhook-signature'], signatureOf(request.headers, request.body))
    assert.deepEqual([request.headers['content-type'], JSON.parse(request.body)], ['application/json', message(1)])
    assert.deepEqual([outcomes, webhook.waiting, receiver.connections()], [['delivered'], 0, 1])
  })

  test('a receiver that fails twice and then works gets one message, by the same id, with a new time and signature', async () => {
    await using receiver = await startReceiver()
    const { clock, webhook, outcome, outcomes, notes } = createScene(receiver.url)
    receiver.answer = (_request, response) => void response.writeHead(receiver.received.length < 3 ? 500 : 200).end()
    webhook.send(message(1))
    await outcome(1)
    clock.advance(4999)
    assert.equal(receiver.received.length, 1)
    clock.advance(1)
    await outcome(2)
    clock.advance(10_000)
    await outcome(3)
    assert.deepEqual([outcomes, webhook.waiting], [['failed', 'failed', 'delivered'], 0])
    const ids = new Set(receiver.received.map(({ headers }) => headers['webhook-id']))
    const times = receiver.received.map(({ headers }) => headers['webhook-timestamp'])
    assert.deepEqual([ids.size, times], [1, ['1767225600', '1767225605', '1767225615']])
    for (const { headers, body } of receiver.received) assert.equal(headers['webhook-signature'], signatureOf(headers, body))
    assert.deepEqual(
      notes.map(({ level }) => level),
      ['warn', 'info'],
      'one line when it begins, one when it ends',
    )
  })

  test('a receiver that never works again: twelve tries in some hours, then the message is lost, and told so', async () => {
    await using receiver = await startReceiver()
    const { clock, webhook, outcome, outcomes, notes } = createScene(receiver.url)
    receiver.answer = (_request, response) => void response.writeHead(503).end()
    webhook.send(message(1))
    for (let tries = 1; tries <= 12; tries++) {
      await outcome(tries)
      clock.advance(3_600_000)
    }
    await outcome(13)
    assert.deepEqual([receiver.received.length, outcomes.at(-1), webhook.waiting, clock.timers], [12, 'lost', 0, 0])
    assert.equal(notes.length, 2)
  })

  test('what a receiver refuses it is not sent again; what it cannot take now it is', async () => {
    for (const [status, expected] of [
      [400, ['failed', 'lost']],
      [401, ['failed', 'lost']],
      [410, ['failed', 'lost']],
      [408, ['failed']],
      [425, ['failed']],
      [429, ['failed']],
    ] as const) {
      await using receiver = await startReceiver()
      const { webhook, outcome, outcomes } = createScene(receiver.url)
      receiver.answer = (_request, response) => void response.writeHead(status).end()
      webhook.send(message(1))
      await outcome(expected.length)
      assert.deepEqual(outcomes, expected, `${status}`)
    }
  })

  test('Retry-After is heeded, but nobody makes a message wait for more than an hour', async () => {
    for (const [field, waitMs] of [
      ['120', 120_000],
      ['999999999', 3_600_000],
      ['0', 5000],
      ['Fri, 31 Dec 9999 23:59:59 GMT', 5000],
    ] as const) {
      await using receiver = await startReceiver()
      const { clock, webhook, outcome } = createScene(receiver.url)
      receiver.answer = (_request, response) => void response.writeHead(429, { 'retry-after': field }).end()
      webhook.send(message(1))
      await outcome(1)
      clock.advance(waitMs - 1)
      assert.equal(receiver.received.length, 1, field)
      clock.advance(1)
      await outcome(2)
      assert.equal(receiver.received.length, 2, field)
    }
  })

  test('a redirect, to the metadata of a cloud or anywhere: not followed, and not tried again', async () => {
    await using elsewhere = await startReceiver()
    for (const location of ['http://169.254.169.254/latest/meta-data/', elsewhere.url]) {
      await using receiver = await startReceiver()
      const { webhook, outcome, outcomes } = createScene(receiver.url)
      receiver.answer = (_request, response) => void response.writeHead(307, { location }).end()
      webhook.send(message(1))
      await outcome(2)
      assert.deepEqual(outcomes, ['failed', 'lost'])
    }
    assert.equal(elsewhere.connections(), 0)
  })

  test('a host that accepts and never answers holds one try for its time; others wait, and none is sent twice at once', async () => {
    const sockets = new Set<Socket>()
    const silent = createServer((socket) => void sockets.add(socket.on('error', () => undefined)))
    await once(silent.listen(0, '127.0.0.1'), 'listening')
    const { webhook, outcome, outcomes, notes } = createScene(`http://127.0.0.1:${(silent.address() as AddressInfo).port}/`, {
      timeoutMs: 100,
    })
    for (let n = 0; n < 3; n++) webhook.send(message(n))
    await outcome(3)
    assert.deepEqual(outcomes, ['failed', 'failed', 'failed'])
    assert.match(notes[0]?.text ?? '', /no answer in time/)
    assert.equal(sockets.size, 3)
    for (const socket of sockets) socket.destroy()
    silent.close()
  })

  test('an answer that drips, and one of a gigabyte: the status is known, the rest is cut', async () => {
    for (const answer of [gigabyte, drip]) {
      await using receiver = await startReceiver()
      let cut: Promise<unknown> | undefined
      receiver.answer = (request, response) => {
        cut = once(response, 'close')
        answer(request, response)
      }
      const { webhook, outcome, outcomes } = createScene(receiver.url, { timeoutMs: 2000 })
      webhook.send(message(1))
      await outcome(1)
      assert.deepEqual(outcomes, ['delivered'])
      await cut
    }
  })

  test('a host that is gone, and a name that nobody knows: tried again', async () => {
    const closed = await startReceiver()
    const gone = closed.url
    await closed[Symbol.asyncDispose]()
    for (const [url, options] of [
      [gone, {}],
      ['https://hooks.example/', { resolve: unknown }],
    ] as const) {
      const { webhook, outcome, outcomes } = createScene(url, options)
      webhook.send(message(1))
      await outcome(1)
      assert.deepEqual([outcomes, webhook.waiting], [['failed'], 1])
    }
  })
})
