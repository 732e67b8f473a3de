import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { pathToFileURL } from 'node:url'

import newman, { type NewmanRunSummary } from 'newman'

import { makeCollections, run } from '../../scripts/collections.ts'
import { filledVariables, givenVariables } from '../../scripts/collections/course.ts'
import { placeholderOf } from '../../scripts/collections/http-file.ts'
import { keyPlaceholder } from '../../scripts/collections/thunder.ts'
import { claimCode, goodPassword, logIn, send } from '../support/accounts.ts'
import { type Answer, ask, assertQuietLog, countFilms } from '../support/attack.ts'
import { operationsOf, readDocument } from '../support/openapi.ts'
import { operatorKeyOf } from '../support/operator.ts'
import { codeAt } from '../support/second-factor.ts'
import { raisedLimits, startServer, type TestServer } from '../support/server.ts'

const folder = join(import.meta.dirname, '../../collections')
const fresh = await makeCollections()
const read = (name: string): string => readFileSync(join(folder, name), 'utf8')

/** The first run of the Postman collection claims it. */
const claimed = await startServer({ toml: `${raisedLimits}"POST /v1/auth/register" = { only = "1000 per hour" }\n` })
after(() => claimed[Symbol.asyncDispose]())

/** What somebody fills in who has just started a server. */
const given = (of: TestServer) => ({
  apiKey: of.key(),
  operatorKey: operatorKeyOf(of),
  claimCode: claimCode(of),
  password: goodPassword,
})

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
    const { paths } = await readDocument(claimed)
    const called = sentBy(read('filmgate.http')).requests.map(({ method, target }) => `${method} ${target}`)
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

const runNewman = (values: Readonly<Record<string, string>>, more: object = {}): Promise<NewmanRunSummary> =>
  new Promise((resolve, reject) => {
    const envVar = Object.entries(values).map(([key, value]) => ({ key, value }))
    newman.run({ collection: postmanFile, envVar, timeoutRequest: 10_000, ...more }, (error, summary) =>
      error ? reject(error) : resolve(summary),
    )
  })

describe('the Postman collection', () => {
  const collection = JSON.parse(read('filmgate.postman_collection.json')) as PostmanCollection
  const names = collection.item.flatMap(({ item }) => item.map(({ name }) => name))

  /** Of the admin that the first run made: the starter key ended with it. */
  const later = { baseUrl: claimed.url, operatorKey: operatorKeyOf(claimed), claimCode: 'used', password: goodPassword, apiKey: '' }

  test('is run by newman against a new server: every request is sent, every assertion holds, and what it made is gone', async () => {
    const before = countFilms(claimed)
    const { run: result } = await runNewman({ baseUrl: claimed.url, ...given(claimed) })
    assert.deepEqual(failuresOf(result), [])
    assert.equal(result.stats.requests.total, names.length)
    assert.deepEqual(
      result.executions.map(({ item }) => item.name),
      names,
    )
    assert.ok((result.stats.assertions.total ?? 0) > names.length * 3)
    assert.equal(countFilms(claimed), before + 1)
    const statusOf = (name: string) => result.executions.find(({ item }) => item.name === name)?.response.code
    assert.equal(statusOf('Become the first admin'), 200)
    const { fields } = await logIn(claimed, { username: 'ada', password: goodPassword })
    const left = (await ask(claimed, { target: '/v1/users', fields })).json()['items'] as { username: string }[]
    assert.deepEqual(
      left.map(({ username }) => username),
      ['ada'],
    )
    const made = await send(claimed, 'POST', '/v1/keys', { name: 'films', scopes: ['films:write'] }, { fields })
    later.apiKey = String(made.json()['key'])
  })

  test('can be run again where there is an admin; with wrong keys the calls that need one fail, and no other', async () => {
    const { run: result } = await runNewman({ ...later, apiKey: 'fg_wrong', operatorKey: later.apiKey })
    const failed = failedIn(result)
    const films = ['Add a film', 'Add a film, with an empty object']
    for (const name of films) assert.ok(failed.delete(name), name)
    const forOperators = new Set(
      collection.item.flatMap(({ name, item }) => (/^(Limits|Audit|Security)$/.test(name) ? item.map((one) => one.name) : [])),
    )
    assert.ok(failed.size > 5)
    for (const name of failed) assert.ok(name !== undefined && forOperators.has(name), String(name))
  })

  test('notices that nobody is logged in: with a wrong password what accounts do fails, and nothing else', async () => {
    const { run: result } = await runNewman({ ...later, password: 'some other words of length' })
    const failed = failedIn(result)
    for (const name of ['Log in', 'Who you are', 'Make an API key', 'All accounts', 'Where you are logged in'])
      assert.ok(failed.has(name), name)
    const others = collection.item.filter(({ name }) => /^(Films|Limits|Audit|About)$/.test(name)).flatMap(({ item }) => item)
    for (const { name } of others) assert.ok(!failed.has(name), name)
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
    const { run: result } = await runNewman(later, { collection: file, folder: 'Films' })
    assert.deepEqual(
      failedIn(result),
      new Set(['A random film', 'A random film, with like', 'A random film, with dislike', 'Add a film', 'A film by its id']),
    )
  })

  test('holds no secret, and nothing that depends on the day or the machine', () => {
    assert.deepEqual(Object.fromEntries(collection.variable.filter(({ value }) => value !== '').map(({ key, value }) => [key, value])), {
      baseUrl: 'http://127.0.0.1:3000',
      username: 'ada',
      newUsername: 'grace',
    })
    for (const [name, content] of fresh)
      assert.doesNotMatch(content, /fg_[0-9a-z]{4,}_|fgr_[\w-]{9}|eyJ[\w-]+\.eyJ|\/home\/|\/tmp\/|\/work\//i, name)
  })

  test('fills every variable before it is used', () => {
    const known = new Set(['baseUrl', ...givenVariables.map(({ key }) => key as string)])
    for (const request of collection.item.flatMap(({ item }) => item)) {
      const { request: sent, event } = request as unknown as { request: unknown; event: unknown }
      const [before = '', behind = ''] = JSON.stringify(event).split('"listen":"test"')
      for (const name of setBy(before)) known.add(name)
      for (const [, name = ''] of JSON.stringify(sent).matchAll(/\{\{(\w+)\}\}/g)) assert.ok(known.has(name), `${request.name}: ${name}`)
      for (const name of setBy(behind)) known.add(name)
    }
    for (const { key } of collection.variable) assert.ok(known.has(key), key)
  })
})

const setBy = (script: string): string[] => [...script.matchAll(/collectionVariables\.set\('(\w+)'/g)].map(([, name = '']) => name)

const failuresOf = ({ failures }: NewmanRunSummary['run']): string[] =>
  failures.map(({ source, error }) => `${source?.name}: ${error.message}`)

const failedIn = ({ failures }: NewmanRunSummary['run']): Set<string | undefined> => new Set(failures.map(({ source }) => source?.name))

interface Sent {
  readonly method: string
  readonly target: string
  readonly fields: Readonly<Record<string, string>>
  readonly body?: string
  readonly expected: readonly number[]
}

const check = async (of: TestServer, { method, target, fields, body, expected }: Sent): Promise<Answer> => {
  const answer = await ask(of, { method, target, fields, ...(body === undefined ? {} : { body }) })
  assert.ok(expected.includes(answer.status), `${method} ${target}: ${answer.status} ${answer.body}`)
  return answer
}

interface Written extends Sent {
  /** What a person puts into the file from the answer: a variable, and where in the answer it is. */
  readonly told: readonly (readonly [variable: string, member: string])[]
}

/** Read as an editor does: variables, requests apart by ###, notes, fields, an empty line, the body. */
const sentBy = (text: string): { variables: Map<string, string>; requests: Written[] } => {
  const [head = '', ...parts] = text.split(/^### /m)
  const variables = new Map([...head.matchAll(/^@(\w+) *= *(.*)$/gm)].map(([, name = '', value = '']) => [name, value]))
  const requests = parts.map((part) => {
    const [top = '', body] = part.trimEnd().split(/\n\n/)
    const [title = '', ...all] = top.split('\n')
    const [call = '', ...lines] = all.filter((line) => !line.startsWith('#'))
    const [method = '', url = ''] = call.split(' ')
    assert.ok(url.startsWith('{{host}}/'), url)
    const told = [...top.matchAll(/^# Put behind @(\w+) what the answer has in (.+)$/gm)].map(
      ([, name = '', from = '']) => [name, from] as const,
    )
    const fields = Object.fromEntries(lines.map((line) => line.split(': ')))
    const expected = [...(/: ([\d or]+)$/.exec(title)?.[1] ?? '').matchAll(/\d+/g)].map(Number)
    return { method, target: url.slice('{{host}}'.length), fields, expected, told, ...(body === undefined ? {} : { body }) }
  })
  return { variables, requests }
}

describe('the .http file', () => {
  test('holds no secret: what it needs is pasted into it', () => {
    const { variables } = sentBy(read('filmgate.http'))
    const own = { host: 'http://127.0.0.1:3000', username: 'ada', newUsername: 'grace' }
    const pasted = [...givenVariables.map(({ key }) => key as string), ...filledVariables].map((name) => [name, placeholderOf(name)])
    assert.deepEqual(Object.fromEntries(variables), { ...Object.fromEntries(pasted), ...own })
    assert.equal(variables.get('apiKey'), keyPlaceholder)
  })

  test('each request gets what its title says, with what the notes tell to paste', async () => {
    await using own = await startServer()
    const { variables, requests } = sentBy(read('filmgate.http'))
    for (const [name, value] of Object.entries(given(own))) variables.set(name, value)
    const filled = (text: string): string =>
      text.replaceAll(/\{\{(\w+)\}\}/g, (_, name: string) => variables.get(name) ?? assert.fail(name))
    assert.ok(requests.length > 100)
    for (const { told, ...request } of requests) {
      const secret = variables.get('totpSecret') ?? ''
      if (/^[A-Z2-7]{32}$/.test(secret)) variables.set('totpCode', codeAt(secret, Date.now()))
      const sent = JSON.parse(filled(JSON.stringify(request))) as Sent
      const answer = await check(own, sent)
      for (const [name, member] of told) {
        const value = member.split('.').reduce<unknown>((from, key) => (from as Record<string, unknown>)[key], answer.json())
        assert.ok(typeof value === 'string', `${request.target}: ${member}`)
        variables.set(name, value)
      }
    }
    assertQuietLog(own)
  })
})

test('nothing of this made the server stumble', () => assertQuietLog(claimed))
