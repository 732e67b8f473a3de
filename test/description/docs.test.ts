import assert from 'node:assert/strict'
import { after, test } from 'node:test'

import { reloadWith } from '../limits/reload.ts'
import { type Answer, type Ask, ask, assertProblem, assertSafe } from '../support/attack.ts'
import { startServer } from '../support/server.ts'

const server = await startServer({ toml: '[limits]\ndefault = "9 per hour"\n' })
after(() => server[Symbol.asyncDispose]())

const docs = (fields: Ask['fields'] = {}): Promise<Answer> => ask(server, { target: '/docs', fields })

test('/docs is a page for everybody, whole and with a validator', async () => {
  const answer = await docs({ Accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' })
  assert.equal(answer.status, 200)
  assertSafe(answer)
  assert.deepEqual([answer.field('content-type'), answer.field('cache-control')], ['text/html; charset=utf-8', 'public, max-age=300'])
  assert.match(answer.body, /^<!doctype html>[^]*<\/html>\s*$/)
  const head = await ask(server, { method: 'HEAD', target: '/docs' })
  assert.deepEqual([head.status, head.body, head.field('content-length')], [200, '', answer.field('content-length')])
  const again = await docs({ 'If-None-Match': answer.field('etag') ?? '' })
  assert.deepEqual([again.status, again.body], [304, ''])
  assert.equal(again.field('content-security-policy'), answer.field('content-security-policy'))
  const key = await docs({ Authorization: `Bearer ${server.key()}` })
  assert.deepEqual([key.field('cache-control'), key.field('vary')], ['no-store', 'Authorization'])
  assertProblem(await ask(server, { target: '/docs?x=1' }), { status: 400, code: 'validation_failed' })
})

test('it counts in total alone: who reads it loses none of its calls', async () => {
  assert.match((await docs()).field('ratelimit-policy') ?? '', /^"total-[^,]+(, "total-[^,]+)*$/)
})

test('it follows a reload of the limits', async () => {
  const before = await docs()
  assert.match(before.body, /9 per hour/)
  assert.equal((await reloadWith(server, '[limits]\ndefault = "7 per day"\ntotal = "500 per hour"\n'))['ok'], true)
  const now = await docs({ 'If-None-Match': before.field('etag') ?? '' })
  assert.equal(now.status, 200, 'another page than the one of before')
  assert.match(now.body, /7 per day/)
  assert.doesNotMatch(now.body, /9 per hour/)
  assert.match(now.body, /Everything from one client together: 500 per hour\./)
})

test('the lines for curl lead to the public address, where there is one', async () => {
  assert.match((await docs()).body, /curl &#39;http:\/\/localhost:\d+\/v1\/films\/1&#39;/)
  await using proxied = await startServer({ env: { FILMGATE_SERVER_PUBLIC_URL: 'https://films.example' } })
  assert.match((await ask(proxied, { target: '/docs' })).body, /curl &#39;https:\/\/films\.example\/v1\/films\/1&#39;/)
})
