import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, describe, test } from 'node:test'

import { exampleProblem, problemTexts } from '../../src/api/site/problem-texts.ts'
import { type ProblemCode, problemKinds } from '../../src/core/errors.ts'
import { ask, assertProblem, assertSafe } from '../support/attack.ts'
import { startServer } from '../support/server.ts'

const server = await startServer()
after(() => server[Symbol.asyncDispose]())

const codes = Object.keys(problemKinds) as ProblemCode[]
const plain = (html: string): string =>
  html.replaceAll('&quot;', '"').replaceAll('&#39;', "'").replaceAll('&lt;', '<').replaceAll('&gt;', '>')

describe('every problem code has a page', () => {
  test('and no page is of a code that there is not', () => assert.deepEqual(Object.keys(problemTexts), codes))

  for (const code of codes) {
    test(`/problems/${code}`, async () => {
      const answer = await ask(server, { target: `/problems/${code}` })
      assert.equal(answer.status, 200)
      assertSafe(answer)
      assert.equal(answer.field('content-type'), 'text/html; charset=utf-8')
      assert.equal(answer.field('cache-control'), 'public, max-age=3600')
      const { status, title, type } = problemKinds[code]
      const { means, steps } = problemTexts[code]
      const text = plain(answer.body)
      for (const part of [title, String(status), code, type ?? '', means, ...steps, JSON.stringify(exampleProblem(code), null, 2)])
        assert.ok(text.includes(part), part)
      // Nothing runs, nothing is loaded, and the only style is the one that the policy names.
      assert.doesNotMatch(answer.body, /<script|<link|<img|<iframe|\son\w+=|\sstyle=|src=|javascript:/i)
      const [style = ''] = /(?<=<style>)[^<]*(?=<\/style>)/.exec(answer.body) ?? []
      const hash = createHash('sha256').update(style).digest('base64')
      assert.equal(
        answer.field('content-security-policy'),
        `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; report-uri /csp-report`,
      )
    })
  }

  test('its links lead to pages that are there', async () => {
    const { body } = await ask(server, { target: '/problems/not_found' })
    const links = [...body.matchAll(/href="(\/[^"]+)"/g)].map(([, link]) => link ?? '')
    assert.deepEqual(links.toSorted(), codes.map((code) => `/problems/${code}`).toSorted())
  })
})

test('the type of a refusal leads to its page', async () => {
  const refused = await ask(server, { target: '/v1/films/x' })
  const { type } = refused.json()
  const page = await ask(server, {
    target: String(type),
    fields: { Accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' },
  })
  assert.equal(page.status, 200)
  assert.match(page.body, /<h1>The request is not valid<\/h1>/)
})

test('who has the page gets 304, whoever sends credentials gets nothing that is kept, HEAD gets the fields', async () => {
  const target = '/problems/quota_exceeded'
  const page = await ask(server, { target })
  const again = await ask(server, { target, fields: { 'If-None-Match': page.field('etag') ?? '' } })
  assert.deepEqual([again.status, again.body], [304, ''])
  assert.equal(again.field('content-security-policy'), page.field('content-security-policy'))
  const known = await ask(server, { target, fields: { Authorization: `Bearer ${server.key()}` } })
  assert.equal(known.field('cache-control'), 'no-store')
  const head = await ask(server, { method: 'HEAD', target })
  assert.equal(head.field('content-length'), String(Buffer.byteLength(page.body)))
})

test('other codes, and whatever else is asked for, are 404 or 400 and never a page', async () => {
  for (const code of [
    'nothing',
    'constructor',
    '__proto__',
    'toString',
    'NOT_FOUND',
    'not_found%00',
    '..%2f..%2fetc%2fpasswd',
    '%3Cscript%3E',
  ])
    assertProblem(await ask(server, { target: `/problems/${code}` }), { status: 404, code: 'not_found' })
  for (const target of ['/problems', '/problems/', '/problems/not_found/'])
    assert.ok([400, 404].includes((await ask(server, { target })).status), target)
  assertProblem(await ask(server, { target: `/problems/${'x'.repeat(65)}` }), { status: 400, code: 'validation_failed' })
})

test('a page costs a unit of total and nothing of the article’s quotas', async () => {
  await using limited = await startServer({ toml: '[limits]\ntotal = "3 per day"' })
  const field = (await ask(limited, { target: '/problems/internal' })).field('ratelimit')
  assert.match(field ?? '', /^"total-day";r=2;/)
})
