import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { pathToFileURL } from 'node:url'

import newman, { type NewmanRunSummary } from 'newman'

import { makeCollections, run } from '../../scripts/collections.ts'
import { operatorPlaceholder } from '../../scripts/collections/http-file.ts'
import { keyPlaceholder } from '../../scripts/collections/thunder.ts'
import { ask, countFilms, assertQuietLog } from '../support/attack.ts'
import { operationsOf, readDocument } from '../support/openapi.ts'
import { operatorKeyOf } from '../support/operator.ts'
import { startServer } from '../support/server.ts'

const folder = join(import.meta.dirname, '../../collections')
const fresh = await makeCollections()
const read = (name: string): string => readFileSync(join(folder, name), 'utf8')

const server = await startServer()
after(() => server[Symbol.asyncDispose]())
const keys = { apiKey: server.key(), operatorKey: operatorKeyOf(server) }

describe('the committed collections', () => {
  for (const [name, content] of fresh)
    test(`${name} is what npm run collections writes`, () => assert.ok(read(name) === content, 'run: npm run collections'))

  test('--check tells an old file from a fresh one, and a missing one, and writes nothing', async (t) => {
    const other = mkdtempSync(join(tmpdir(), 'filmgate-collections-'))
    t.after(() => rmSync(other, { recursive: true }))
    const options = { folder: pathToFileURL(`${other}/`), print: () => undefined }
    assert.equal(await run({ ...options, check: true }), 1)
    assert.equal(await run({ ...options, check: false }), 0)
    assert.equal(await run({ ...options, check: true }), 0)
    const file = join(other, 'filmgate.http')
    writeFileSync(file, '# mine\n')
    assert.equal(await run({ ...options, check: true }), 1)
    assert.equal(readFileSync(file, 'utf8'), '# mine\n')
  })

  test('hold every operation that is described', async () => {
    const { paths } = await readDocument(server)
    const called = sentBy(read('filmgate.http')).map(({ method, target }) => `${method} ${target}`)
    for (const name of operationsOf({ paths } as never).keys()) {
      const [method = '', url = ''] = name.split(' ')
      if (url === '/index.html') continue
      const fits = new RegExp(`^${method} ${url.replaceAll(/:\w+/g, '[^/]+')}$`)
      assert.ok(
        called.some((call) => fits.test(call)),
        name,
      )
    }
  })
})

interface PostmanCollection {
  readonly variable: readonly { readonly key: string; readonly value: string }[]
  readonly item: readonly { readonly name: string; readonly item: readonly { readonly name: string }[] }[]
}

const postmanFile = join(folder, 'filmgate.postman_collection.json')

const runNewman = (values: Readonly<Record<string, string>>, collection = postmanFile): Promise<NewmanRunSummary> =>
  new Promise((resolve, reject) => {
    const envVar = Object.entries(values).map(([key, value]) => ({ key, value }))
    newman.run({ collection, envVar, timeoutRequest: 5000 }, (error, summary) => (error ? reject(error) : resolve(summary)))
  })

describe('the Postman collection', () => {
  const collection = JSON.parse(read('filmgate.postman_collection.json')) as PostmanCollection
  const names = collection.item.flatMap(({ item }) => item.map(({ name }) => name))

  test('is run by newman: every request is sent, every assertion holds', async () => {
    const before = countFilms(server)
    const { run: result } = await runNewman({ baseUrl: server.url, ...keys })
    assert.deepEqual(
      result.failures.map(({ source, error }) => `${source?.name}: ${error.message}`),
      [],
    )
    assert.equal(result.stats.requests.total, names.length)
    assert.deepEqual(
      result.executions.map(({ item }) => item.name),
      names,
    )
    assert.ok((result.stats.assertions.total ?? 0) > names.length * 3)
    assert.equal(countFilms(server), before + 1)
  })

  test('notices a server that is not this one: with a wrong key the calls that need one fail', async () => {
    const { run: result } = await runNewman({ baseUrl: server.url, apiKey: 'fg_wrong', operatorKey: keys.operatorKey })
    const failed = new Set(result.failures.map(({ source }) => source?.name))
    assert.deepEqual(failed, new Set(['Add a film', 'Add a film, with an empty object']))
  })

  test('notices that the starter key may not do what is for operators, and nothing else needs one', async () => {
    const { run: result } = await runNewman({ baseUrl: server.url, apiKey: keys.apiKey, operatorKey: keys.apiKey })
    const failed = new Set(result.failures.map(({ source }) => source?.name))
    const limits = collection.item.find((one) => one.name === 'Limits')?.item.map(({ name }) => name) ?? []
    assert.ok(failed.size > 5)
    for (const name of failed) assert.ok(name !== undefined && limits.includes(name), String(name))
  })

  test('notices an answer of another shape', async (t) => {
    const other = mkdtempSync(join(tmpdir(), 'filmgate-collections-'))
    t.after(() => rmSync(other, { recursive: true }))
    const file = join(other, 'planted.json')
    writeFileSync(
      file,
      read('filmgate.postman_collection.json').replaceAll(
        String.raw`\"likes\":{\"type\":\"integer\"}`,
        String.raw`\"likes\":{\"type\":\"string\"}`,
      ),
    )
    const { run: result } = await runNewman({ baseUrl: server.url, ...keys }, file)
    assert.deepEqual(
      new Set(result.failures.map(({ source }) => source?.name)),
      new Set(['A random film', 'A random film, with like', 'A random film, with dislike', 'Add a film', 'A film by its id']),
    )
  })

  test('holds no key, and nothing that depends on the day or the machine', () => {
    assert.deepEqual(
      collection.variable.map(({ key, value }) => [key, value]),
      [
        ['baseUrl', 'http://127.0.0.1:3000'],
        ['apiKey', ''],
        ['operatorKey', ''],
      ],
    )
    for (const [name, content] of fresh) assert.doesNotMatch(content, /fg_[0-9a-z]{4,}_|\/home\/|\/tmp\/|\/work\//i, name)
  })
})

interface Sent {
  readonly method: string
  readonly target: string
  readonly fields: Readonly<Record<string, string>>
  readonly body?: string
  readonly expected: readonly number[]
}

const check = async ({ method, target, fields, body, expected }: Sent): Promise<void> => {
  const answer = await ask(server, { method, target, fields, ...(body === undefined ? {} : { body }) })
  assert.ok(expected.includes(answer.status), `${method} ${target}: ${answer.status} ${answer.body}`)
}

/** Read as an editor does: variables, requests apart by ###, fields, an empty line, the body. */
const sentBy = (text: string): Sent[] => {
  const [head = '', ...parts] = text.split(/^### /m)
  const variables = new Map([...head.matchAll(/^@(\w+) *= *(.*)$/gm)].map(([, name = '', value = '']) => [name, value]))
  assert.deepEqual(
    [...variables],
    [
      ['host', 'http://127.0.0.1:3000'],
      ['apiKey', keyPlaceholder],
      ['operatorKey', operatorPlaceholder],
    ],
  )
  return parts.map((part) => {
    const [top = '', body] = part.trimEnd().split(/\n\n/)
    const [title = '', call = '', ...lines] = top.split('\n')
    const [method = '', url = ''] = call.split(' ')
    assert.ok(url.startsWith('{{host}}/'), url)
    const fields = Object.fromEntries(
      lines.map((line) => line.replace('{{apiKey}}', keys.apiKey).replace('{{operatorKey}}', keys.operatorKey).split(': ')),
    )
    const expected = [...(/: ([\d or]+)$/.exec(title)?.[1] ?? '').matchAll(/\d+/g)].map(Number)
    return { method, target: url.slice('{{host}}'.length), fields, expected, ...(body === undefined ? {} : { body }) }
  })
}

test('the .http file: each request gets what its title says', async () => {
  const requests = sentBy(read('filmgate.http'))
  assert.ok(requests.length > 20)
  for (const request of requests) await check(request)
})

interface ThunderCollection {
  readonly clientName: string
  readonly version: string
  readonly requests: readonly {
    readonly _id: string
    readonly name: string
    readonly url: string
    readonly method: string
    readonly params: readonly { readonly name: string; readonly value: string }[]
    readonly body?: { readonly type: string; readonly raw: string }
    readonly auth?: { readonly type: string; readonly bearer: string }
    readonly tests: readonly { readonly type: string; readonly value: string }[]
  }[]
}

describe('the Thunder Client collection', () => {
  const { clientName, version, requests } = JSON.parse(read('filmgate.thunder-collection.json')) as ThunderCollection

  test('is what the free edition takes: at most 15 requests, whole addresses, no variables', () => {
    assert.deepEqual([clientName, version], ['Thunder Client', '1.2'])
    assert.ok(requests.length <= 15, String(requests.length))
    assert.equal(new Set(requests.map(({ _id }) => _id)).size, requests.length)
    assert.doesNotMatch(JSON.stringify(requests), /\{\{/)
    for (const { url } of requests) {
      assert.equal(new URL(url).origin, 'http://127.0.0.1:3000')
      assert.doesNotMatch(url, /limits/, 'calls for operators')
    }
  })

  test('asks for a key where one is needed, and holds none', () => {
    const authorized = requests.filter(({ auth }) => auth !== undefined)
    assert.ok(authorized.length > 0)
    for (const { auth } of authorized) assert.deepEqual(auth, { type: 'bearer', bearer: keyPlaceholder })
  })

  test('each request gets what its test says, refusals included', async () => {
    for (const { url, method, params, body, auth, tests } of requests) {
      const { pathname, search, searchParams } = new URL(url)
      assert.deepEqual(
        params.map(({ name, value }) => [name, value]),
        [...searchParams],
      )
      const fields = {
        ...(body ? { 'Content-Type': 'application/json' } : {}),
        ...(auth ? { Authorization: `Bearer ${server.key()}` } : {}),
      }
      const expected = tests.length === 0 ? [200, 404] : tests.map(({ value }) => Number(value))
      await check({ method, target: pathname + search, fields, expected, ...(body ? { body: body.raw } : {}) })
    }
    const statuses = new Set(requests.flatMap(({ tests }) => tests.map(({ value }) => value)))
    for (const status of ['200', '201', '400', '401', '404', '405']) assert.ok(statuses.has(status), status)
  })
})

test('nothing of this made the server stumble', () => assertQuietLog(server))
