import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'

import { Validator } from '@seriousme/openapi-schema-validator'

import type { ApiDescription, Response } from '../../src/api/site/document.ts'
import { describeApi, describedRoutes } from '../../src/api/site/openapi.ts'
import { loadConfig } from '../../src/config.ts'
import { checkLimits } from '../../src/serve.ts'
import { describeApp } from '../../src/serve/describe.ts'
import { ask } from '../support/attack.ts'
import { assertFits, operationsOf, resolved } from '../support/openapi.ts'
import { startServer } from '../support/server.ts'

const load = (env: Readonly<Record<string, string>> = {}) => loadConfig({ env, cwd: import.meta.dirname, checkLimits })
const { description: describeNow, routes } = await describeApp(load())
const description = describeNow()
// As it is sent.
const document = JSON.parse(JSON.stringify(description)) as ApiDescription
const operations = operationsOf(document)

describe('the document', () => {
  test('is valid OpenAPI 3.1', async () => {
    const { valid, errors } = await new Validator().validate({ ...structuredClone(document) })
    assert.equal(valid, true, JSON.stringify(errors))
    assert.match(document.openapi, /^3\.1\./)
  })

  test('carries the version and the licence of the package', () => {
    const { version, license } = JSON.parse(readFileSync('package.json', 'utf8')) as Record<string, string>
    assert.equal(document.info['version'], version)
    assert.deepEqual(document.info['license'], { name: license, identifier: license })
  })

  test('explains every operation and every parameter, under a name of its own', () => {
    const tags = new Set(document.tags.map(({ name }) => name))
    for (const [name, operation] of operations) {
      for (const text of [operation.operationId, operation.summary, operation.description]) assert.ok(text, name)
      assert.ok(operation.tags.length > 0 && operation.tags.every((tag) => tags.has(tag)), name)
      for (const { description: text, in: place, required } of operation.parameters ?? []) {
        assert.ok(text, name)
        assert.equal(required, place === 'path')
      }
      for (const [, path] of name.matchAll(/:(\w+)/g))
        assert.ok(
          operation.parameters?.some((parameter) => parameter.name === path),
          name,
        )
    }
    assert.equal(new Set([...operations.values()].map(({ operationId }) => operationId)).size, operations.size)
  })

  test('has no reference that leads nowhere, nothing shared that nobody uses, and no extension but x-rate-limit', () => {
    const text = JSON.stringify(document)
    const references = new Set(text.match(/(?<="\$ref":")[^"]+/g))
    for (const $ref of references) resolved(document, { $ref })
    for (const [section, members] of Object.entries({ ...document.components, securitySchemes: {} }))
      for (const name of Object.keys(members))
        assert.ok(references.has(`#/components/${section}/${name}`), `${section}/${name} is not used`)
    assert.deepEqual(new Set(text.match(/"x-[a-z-]+":/g)), new Set(['"x-rate-limit":']))
  })

  test('carries examples that fit', () => {
    let examples = 0
    for (const operation of operations.values()) {
      const answers = Object.values(operation.responses).map((given) => resolved<Response>(document, given).content)
      for (const media of [operation.requestBody?.content, ...answers].flatMap((content) => Object.values(content ?? {}))) {
        const given = media.example === undefined ? [] : [media.example]
        for (const example of [...given, ...Object.values(media.examples ?? {}).map(({ value }) => value)]) {
          assertFits(document, media.schema, example)
          examples++
        }
      }
      for (const { example } of Object.values(operation.requestBody?.content ?? {})) assert.ok(example, operation.operationId)
    }
    assert.ok(examples > 50)
  })
})

/** What the server routes: every method but those that only say that they are not there. */
const served = async (): Promise<Set<string>> => {
  await using server = await startServer()
  const found = new Set<string>()
  for (const url of new Set(routes.map((route) => route.url))) {
    const answer = await ask(server, { method: 'OPTIONS', target: url.replaceAll(/:\w+/g, '1') })
    for (const method of (answer.field('allow') ?? '').split(', ')) if (method !== 'OPTIONS') found.add(`${method} ${url}`)
  }
  return found
}

test('what is described is what is served, in both directions; HEAD is described where there is no GET', async () => {
  const hidden = new Set(routes.filter(({ schema }) => schema.hide === true).map(({ url }) => url))
  const expected = [...(await served())].filter((name) => {
    const [method = '', url = ''] = name.split(' ')
    return !hidden.has(url) && !(method === 'HEAD' && operations.has(`GET ${url}`))
  })
  assert.deepEqual([...operations.keys()].toSorted(), expected.toSorted())
  // What browsers and crawlers ask for, and no app does.
  for (const url of hidden) assert.match(url, /^\/assets\/|^\/robots\.txt$/)
})

const route = (method: string, url: string) => ({ method, url, config: {}, schema: {}, bodyLimitBytes: undefined })

test('a HEAD beside a GET is left out, one that stands alone is not', () => {
  const described = describedRoutes([route('HEAD', '/a'), route('GET', '/a'), route('HEAD', '/b'), route('POST', '/b')])
  assert.deepEqual(
    described.map(({ method, url }) => `${method} ${url}`),
    ['GET /a', 'HEAD /b', 'POST /b'],
  )
})

test('a route that does not describe itself stops the start, unless it is no part of the API', () => {
  const options = {
    publicPermissions: new Set<never>(),
    publicUrl: '',
    limitsOf: () => ({ name: '', anonymous: [], authenticated: [], total: [] }),
  }
  assert.throws(() => describeApi({ ...options, routes: [route('GET', '/a')] }), /route GET \/a is not described/)
  assert.deepEqual(describeApi({ ...options, routes: [{ ...route('GET', '/a'), schema: { hide: true } }] }).paths, {})
})

test('the server is where public_url says, else where the document came from', async () => {
  assert.equal(document.servers[0]?.url, '/')
  const proxied = await describeApp(load({ FILMGATE_SERVER_PUBLIC_URL: 'https://films.example/', FILMGATE_PAGE_ENABLED: 'false' }))
  assert.equal(proxied.description().servers[0]?.url, 'https://films.example')
})

test('what a server sends is what the same configuration describes without one', async () => {
  await using server = await startServer({ toml: '' })
  const answer = await ask(server, { target: '/openapi.json' })
  assert.deepEqual(answer.json(), document)
  assert.equal(answer.field('content-type'), 'application/json; charset=utf-8')
  assert.equal(answer.field('cache-control'), 'public, max-age=300')
  const again = await ask(server, { target: '/openapi.json', fields: { 'If-None-Match': answer.field('etag') ?? '' } })
  assert.deepEqual([again.status, again.body, again.field('etag')], [304, '', answer.field('etag')])
  const head = await ask(server, { method: 'HEAD', target: '/openapi.json' })
  assert.deepEqual([head.status, head.field('content-length')], [200, answer.field('content-length')])
})
