import assert from 'node:assert/strict'
import { connect } from 'node:http2'
import { after, test } from 'node:test'

import { eventually } from '../support/deadline.ts'
import { startTlsServer } from '../support/http2-server.ts'
import { asOperator } from '../support/operator.ts'

/** Whoever takes an answer too slowly is cut after three times the second. */
const tls = await startTlsServer({ env: { FILMGATE_SERVER_REQUEST_TIMEOUT_MS: '1000', FILMGATE_SERVER_HEADER_TIMEOUT_MS: '1000' } })
after(() => tls[Symbol.asyncDispose]())

const open = (fields: Readonly<Record<string, string>>) => {
  const session = connect(`https://127.0.0.1:${tls.server.port}`, { ca: tls.ca, servername: 'localhost' })
  session.on('error', () => undefined)
  const host = `localhost:${tls.server.port}`
  const stream = session.request({ ':path': '/v1/security/events', ':authority': host, accept: 'text/event-stream', ...fields })
  const seen = { status: 0, fields: {} as Readonly<Record<string, unknown>>, text: '', isOver: false }
  stream.on('error', () => undefined)
  stream.on('response', (got) => {
    seen.status = Number(got[':status'])
    seen.fields = got
  })
  stream.setEncoding('utf8').on('data', (chunk: string) => (seen.text += chunk))
  stream.on('close', () => (seen.isOver = true))
  return { session, host, seen }
}

test('over HTTP/2 a stream is answered with every security field, and lives longer than any answer may take', async () => {
  const operator = asOperator(tls.server)
  const { session, host, seen } = open({ authorization: operator['Authorization'] ?? '' })
  await eventually(5000, 'it begins', () => seen.text.includes('retry: 5000'))
  assert.equal(seen.status, 200)
  for (const name of ['content-security-policy', 'x-content-type-options', 'x-request-id']) assert.ok(seen.fields[name] !== undefined, name)
  assert.equal(seen.fields['cache-control'], 'no-store')
  assert.equal(seen.fields['transfer-encoding'], undefined)
  const begun = performance.now()
  let asked = 0
  for (; performance.now() - begun < 5000; asked++) {
    const other = session.request({ ':path': `/nothing-${asked}`, ':authority': host })
    await new Promise((resolve) => other.on('close', resolve).resume())
    const wanted = asked + 1
    await eventually(5000, 'its event comes', () => seen.text.split('"verdict":"not_found"').length - 1 >= wanted || seen.isOver)
    assert.equal(seen.isOver, false, seen.text.slice(-300))
    await new Promise((resolve) => setTimeout(resolve, 400))
  }
  const stopped = tls.server.kill('SIGTERM')
  await eventually(5000, 'it ends with the server', () => seen.isOver)
  assert.match(seen.text, /event: end\ndata: \{"reason":"the server stops"\}\n\n$/)
  session.destroy()
  assert.equal(await stopped, 0)
})
