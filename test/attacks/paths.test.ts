import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'

import fc from 'fast-check'

import type { RouteEntry } from '../../src/layers/index.ts'
import { openAccessApp } from '../support/access-app.ts'
import { type Answer, exchange, requestBytes } from '../support/attack.ts'
import { eventually } from '../support/deadline.ts'

/** ASVS 1.1.1: a path is decoded once, by the router, and what it leads to is what the guards saw. */
const { app, api, lines, addMember, close } = await openAccessApp()
after(close)
const viewer = await addMember('viewer', 'viewer')

const routes = app.routes.filter(({ method }) => method !== 'HEAD')
/** What everybody may do. */
const open: ReadonlySet<string | undefined> = new Set(['public', 'films:read', 'votes:write'])
const isGuarded = (url: string): boolean => !open.has(app.routes.find((route) => route.url === url)?.config.access)

/** A path that the route answers to. */
const pathOf = ({ url }: RouteEntry): string => url.replaceAll(/:(\w+)/g, (_, name: string) => (name === 'id' ? '1' : 'not_found'))

interface Outcome {
  readonly answer: Answer
  /** The template that the router found; null is nothing. */
  readonly route: string | null
}

/** Looked at behind every guard, and refused: nothing is changed by whoever gets in. */
const unknownParameter = '?attack=1'

/** All of them, one after the other. */
const askAll = async (method: string, targets: readonly string[], authorization?: string): Promise<Outcome[]> => {
  const fields = { Connection: null, ...(authorization === undefined ? {} : { Authorization: authorization }) }
  const answers: Answer[] = []
  while (answers.length < targets.length) {
    const rest = targets.slice(answers.length)
    const bytes = Buffer.concat(rest.map((target) => requestBytes({ method, target: target + unknownParameter, fields })))
    const exchanged = await exchange(api.port, bytes, { answers: rest.length, timeoutMs: 30_000 })
    assert.ok(exchanged.answers.length > 0, `no answer to ${rest[0]}`)
    // What is no target at all ends the connection; what was behind it is asked for on another.
    answers.push(...exchanged.answers)
  }
  const ids = new Set(answers.map((answer) => answer.field('x-request-id')))
  const logged = new Map<unknown, string | null>()
  let read = 0
  await eventually(10_000, 'their log lines', () => {
    for (; read < lines.length; read++) {
      const record = JSON.parse(lines[read] ?? '{}') as Record<string, string | null>
      if (record['msg'] === 'request' && ids.has(record['request_id'] ?? '')) logged.set(record['request_id'], record['route'] ?? null)
    }
    return logged.size === ids.size
  })
  lines.length = 0
  return answers.map((answer) => ({ answer, route: logged.get(answer.field('x-request-id')) ?? null }))
}

const hex = (letter: string): string => `%${letter.charCodeAt(0).toString(16).padStart(2, '0')}`

/** What a proxy, a framework or a file system takes for the same path, and a guard that compares texts does not. */
const spellings = (path: string): string[] => {
  const last = path.slice(path.lastIndexOf('/') + 1)
  const letter = Math.max(1, path.search(/[a-z]/))
  const at = path[letter] ?? 'a'
  const swap = (to: string): string => path.slice(0, letter) + to + path.slice(letter + 1)
  return [
    swap(hex(at)),
    swap(hex(at).toUpperCase()),
    swap(hex(at).replace('%', '%25')),
    swap(hex(at).replace('%', '%2525')),
    swap(`%u00${hex(at).slice(1)}`),
    swap(at.toUpperCase()),
    path.toUpperCase(),
    path.replaceAll(/[^/]/g, hex),
    path.replaceAll('/', '%2f'),
    `/${path.slice(1).replaceAll('/', '%2F')}`,
    `/${path.slice(1).replaceAll('/', '%252f')}`,
    path.replaceAll('/', '\\'),
    `/${path.slice(1).replaceAll('/', '\\')}`,
    path.replaceAll('/', '%5c'),
    `/${path.slice(1).replaceAll('/', '%c0%af')}`,
    swap('%c1%a1'),
    swap('%e0%81%a1'),
    `/${path}`,
    path.replaceAll('/', '//'),
    `/.${path}`,
    `/%2e${path}`,
    `/./${path.slice(1)}`,
    `/x/..${path}`,
    `/x/%2e%2e${path}`,
    `/x/%2e%2E${path}`,
    `/x/..%2f${path.slice(1)}`,
    `/problems/..${path}`,
    `/problems/%2e%2e${path}`,
    `${path}/`,
    `${path}//`,
    `${path}/.`,
    `${path}/%2e`,
    `${path}/..`,
    `${path}/../${last}`,
    `${path}/%2e%2e/${last}`,
    `${path}%2f`,
    `${path}%00`,
    `${path}%00.html`,
    `${path}%20`,
    `${path}%09`,
    `${path}%0a`,
    `${path}%0d%0aX-A:%20b`,
    `${path}.`,
    `${path}.json`,
    `${path};`,
    `${path};a=b`,
    `${path};/x`,
    `/;${path}`,
    path.replaceAll('/', '/;x/'),
    `${path}%3b`,
    `${path}%3f`,
    `${path}%23`,
    `${path}?`,
    `${path}?/../index.html`,
    `${path}#`,
    `${path}#/index.html`,
    `${path}~`,
    `http://localhost${path}`,
    `http://localhost/${path}`,
    `HTTP://LOCALHOST/x/..${path}`,
    `//localhost${path}`,
  ]
}

/** Each change at its place. */
const mixed = (path: string, changes: readonly (readonly [number, string])[]): string =>
  changes.reduce((text, [where, change]) => {
    const place = 1 + (where % Math.max(1, text.length - 1))
    const letter = text[place] ?? ''
    if (change === 'encode') return letter === '%' || letter === '' ? text : text.slice(0, place) + hex(letter) + text.slice(place + 1)
    if (change === 'case') return text.slice(0, place) + letter.toUpperCase() + text.slice(place + 1)
    return text.slice(0, place) + change + text.slice(place)
  }, path)

const policyOf = ({ answer }: Outcome): string | undefined => answer.field('ratelimit-policy')

/** Nothing was found, or what was found has the guard that it always has. */
const assertGuarded = (route: RouteEntry, canonical: Outcome, target: string, outcome: Outcome): void => {
  const { status } = outcome.answer
  const what = `${route.method} ${target}: ${status} by ${outcome.route}`
  if (outcome.route === null) assert.ok([400, 404, 414, 421].includes(status), what)
  else if (outcome.route === route.url) {
    assert.equal(policyOf(outcome), policyOf(canonical), `${what}: other limits`)
    if ([401, 403].includes(canonical.answer.status)) assert.equal(status, canonical.answer.status, what)
  } else if (isGuarded(route.url)) {
    // Another route, which is guarded too.
    assert.ok(isGuarded(outcome.route) && [400, 401, 403, 404, 405].includes(status), what)
  }
}

describe('no spelling of a path gets past a guard [ASVS 1.1.1]', () => {
  for (const route of routes) {
    test(`${route.method} ${route.url}`, async () => {
      const path = pathOf(route)
      for (const caller of [undefined, viewer.bearer]) {
        const targets = [path, ...spellings(path)]
        const [canonical, ...outcomes] = await askAll(route.method, targets, caller)
        assert.ok(canonical)
        assert.equal(canonical.route, route.url, `${path} is not this route's path`)
        if (isGuarded(route.url) && caller === undefined) assert.equal(canonical.answer.status, 401)
        for (const [i, outcome] of outcomes.entries()) assertGuarded(route, canonical, targets[i + 1] ?? '', outcome)
      }
    })
  }

  test('nor any mixture of them, of any guarded route', async () => {
    const guarded = routes.filter(({ url }) => isGuarded(url))
    assert.ok(guarded.length > 10)
    const piece = fc.constantFrom('/', '//', '/./', '/%2e/', '/x/../', '%2f', '%5c', '\\', ';', ';a=b', '%00', '%20', '.', '%25', '%2e%2e')
    const mixture = fc.array(fc.tuple(fc.nat({ max: 60 }), fc.oneof(piece, fc.constant('encode'), fc.constant('case'))), {
      minLength: 1,
      maxLength: 4,
    })
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...guarded), fc.array(mixture, { minLength: 20, maxLength: 20 }), async (route, mixtures) => {
        const path = pathOf(route)
        const targets = [path, ...mixtures.map((changes) => mixed(path, changes))]
        const [canonical, ...outcomes] = await askAll(route.method, targets)
        for (const [i, outcome] of outcomes.entries()) assertGuarded(route, canonical as Outcome, targets[i + 1] ?? '', outcome)
      }),
      { numRuns: 40 },
    )
  })
})
