import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { describe, test } from 'node:test'

import { loadConfig } from '../../../config.ts'
import { checkLimits } from '../../../serve.ts'
import { describeApp } from '../../../serve/describe.ts'
import { problemKinds } from '../../../core/errors.ts'
import type { ApiDescription } from '../document.ts'
import { curlLine } from './curl-line.ts'
import { docsPage } from './page.ts'

const load = (env: Readonly<Record<string, string>> = {}) => loadConfig({ env, cwd: import.meta.dirname, checkLimits })
const { description } = await describeApp(load())
const document = JSON.parse(JSON.stringify(description())) as ApiDescription
const address = 'https://films.example'
const page = docsPage(document, address)

const plain = (text: string): string =>
  text.replaceAll('&quot;', '"').replaceAll('&#39;', "'").replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&')

const calls = Object.entries(document.paths).flatMap(([path, operations]) =>
  Object.entries(operations).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
)

const articleOf = (id: string): string => {
  const [article] = new RegExp(`<article id="${id}"[^]*?</article>`).exec(page) ?? []
  return plain(article ?? assert.fail(id))
}

const fact = (name: string, id: string): string => new RegExp(`<dt>${name}</dt>\\s*<dd>([^]*?)</dd>`).exec(articleOf(id))?.[1] ?? ''

/** As a person reads it, without the two marks of prose. */
const read = (article: string): string => article.replaceAll(/<\/?(?:code|strong)>/g, '')
const said = (text: string): string => text.replaceAll(/`|\*\*/g, '')

describe('the page says what the document says', () => {
  for (const { method, path, operation } of calls) {
    test(`${method} ${path}`, () => {
      const article = read(articleOf(operation.operationId))
      const { summary, description: about, parameters = [], requestBody, responses } = operation
      for (const text of [method, path, summary, about, curlLine(address, method, path, operation)])
        assert.ok(article.includes(said(text)), text)
      for (const { name, description: text } of parameters) for (const one of [name, text]) assert.ok(article.includes(said(one)), one)
      for (const [type, { example }] of Object.entries(requestBody?.content ?? {}))
        for (const text of [type, JSON.stringify(example, null, 2)]) assert.ok(article.includes(said(text)), text)
      for (const [status, given] of Object.entries(responses))
        if ('description' in given && status < '4')
          for (const text of [status, given.description]) assert.ok(article.includes(said(text)), text)
      assert.match(article, /<dt>Access<\/dt>\s*<dd>\S[^]*<dt>Limits<\/dt>\s*<dd>\S/)
    })
  }

  test('access: everybody, a login, a permission, no key', () => {
    assert.equal(fact('Access', 'filmById'), 'everybody')
    assert.equal(fact('Access', 'addFilm'), 'a login or an API key, with the permission <code>films:write</code>')
    assert.equal(fact('Access', 'me'), 'a login; no API key will do')
    assert.equal(fact('Access', 'revokeKey'), 'a login or an API key')
  })

  test('limits, in words', () => {
    assert.equal(
      fact('Limits', 'filmById'),
      'without credentials 50 per hour, 200 per day; with them 20000 per day, 2000 per hour over all calls',
    )
    assert.equal(fact('Limits', 'docs'), 'none of its own; it counts in the total')
    assert.match(page, /Everything from one client together: 20 per second, 3000 per hour\./)
  })

  test('every problem that a call can answer with is linked, and all links lead somewhere', () => {
    const ids = new Set([...page.matchAll(/\sid="([^"]*)"/g)].map((match) => match[1]))
    const links = [...page.matchAll(/href="([^"]*)"/g)].map((match) => match[1] ?? '')
    for (const link of links) {
      if (link.startsWith('#')) assert.ok(ids.has(link.slice(1)), link)
      else if (link !== '/openapi.json') assert.ok((link.split('/problems/')[1] ?? '') in problemKinds, link)
    }
    assert.match(articleOf('addFilm'), /403[^]*href="\/problems\/forbidden"/)
    assert.ok(links.includes('/problems/quota_exceeded') && links.length > 100)
    assert.equal([...page.matchAll(/\sid="/g)].length, ids.size, 'an id stands twice')
  })
})

/** Every text of a document changed, and every name that is a key. What says how it hangs together stays. */
const changed = (part: unknown, change: (text: string) => string, names = false): unknown => {
  if (typeof part === 'string') return change(part)
  if (Array.isArray(part)) return part.map((one) => changed(one, change))
  if (typeof part !== 'object' || part === null) return part
  return Object.fromEntries(
    Object.entries(part).map(([key, value]) => [
      names ? change(key) : key,
      key === '$ref' ? value : changed(value, change, ['paths', 'schemas', 'headers', 'content', 'properties', 'examples'].includes(key)),
    ]),
  )
}

const payloads = [
  '"><script>alert(1)</script>',
  `' onmouseover='alert(1)`,
  '</code></pre><img src=x onerror=alert(1)>',
  '</style><script>alert(1)</script><!--',
  '`</code><svg onload=alert(1)>`**<b>**',
  'javascript:alert(1)',
  '&lt;script&gt;&#60;b>',
]

/** All tags, without the values of their attributes. */
const skeleton = (text: string): readonly string[] => text.replaceAll(/"[^"]*"/g, '""').match(/<[^>]*>/g) ?? []

test('hostile text in the description stays text: the page has the same elements, attributes and kinds of links', () => {
  for (const payload of payloads) {
    // The same marks of prose, so that only what is markup could make a difference.
    const harmless = payload.replaceAll(/[^`*\n]/g, 'x')
    const [hostile, benign] = [payload, harmless].map((end) =>
      docsPage(changed(document, (text) => text + end) as ApiDescription, address + end),
    )
    assert.ok(hostile && benign && hostile !== benign)
    assert.deepEqual(skeleton(hostile), skeleton(benign), payload)
    for (const [, link = ''] of hostile.matchAll(/href="([^"]*)"/g)) assert.match(link, /^(?:#|\/problems\/|\/openapi\.json$)/)
  }
})

test('nothing on the page runs or is loaded: no script, no handler, no style but the one, no picture', () => {
  assert.doesNotMatch(page, /<(?:script|link|img|iframe|object|embed|form|base|svg)\b|\son\w+=|\sstyle=|\ssrc=|javascript:|http-equiv/i)
  assert.equal(page.match(/<style>/g)?.length, 1)
})

interface Typed {
  readonly method: string
  readonly args: readonly string[]
}

/** What a real shell makes of the lines; `curl` is a function that shows its arguments. */
const inShell = (lines: readonly string[]): Typed[] => {
  const script = `cat() { printf 'fg_key'; }; curl() { printf '%s\\0' "$@"; printf '\\1'; }\n${lines.join('\n')}\n`
  const calling = execFileSync('/bin/sh', ['-c', script], { encoding: 'utf8' }).split('\x01').slice(0, -1)
  return calling.map((one) => {
    const args = one.split('\0').slice(0, -1)
    const method = args[0] === '-X' ? (args[1] ?? '') : args[0] === '--head' ? 'HEAD' : args.includes('-d') ? 'POST' : 'GET'
    return { method, args }
  })
}

describe('the lines for curl', () => {
  for (const [name, end] of [
    ['as they are', ''],
    ['with every example hostile', `'"; rm -rf "$HOME"; $(id) \`id\` \\ & | > x * ? ~ !!`],
  ] as const) {
    test(`a shell reads them as they are meant, ${name}`, () => {
      const examples = (part: unknown, key = ''): unknown => {
        if (Array.isArray(part)) return part.map((one) => examples(one, key))
        if (typeof part === 'string' && /^examples?$/.test(key)) return part + end
        if (typeof part !== 'object' || part === null) return part
        return Object.fromEntries(Object.entries(part).map(([own, value]) => [own, examples(value, /^examples?$/.test(key) ? key : own)]))
      }
      const given = examples(calls) as typeof calls
      const typed = inShell(given.map(({ method, path, operation }) => curlLine(address, method, path, operation)))
      assert.equal(typed.length, given.length)
      for (const [i, { method, args }] of typed.entries()) {
        const { operation, ...call } = given[i] ?? assert.fail()
        assert.equal(method, call.method)
        const url = args.find((one) => one.startsWith('https://')) ?? ''
        const expected = new RegExp(`^${address}${call.path.replaceAll(/\{\w+\}/g, '[^/?#\\s"`$;&|<>]+')}$`)
        assert.match(url, expected)
        const isOpen = operation.security.some((requirement) => Object.keys(requirement).length === 0)
        assert.equal(args.includes('Authorization: Bearer fg_key'), !isOpen)
        const [[type, media] = []] = Object.entries(operation.requestBody?.content ?? {})
        if (type === undefined) continue
        assert.ok(args.includes(`Content-Type: ${type}`))
        assert.deepEqual(JSON.parse(args[args.indexOf('-d') + 1] ?? ''), media?.example)
      }
    })
  }

  test('none holds a secret', () => {
    for (const { method, path, operation } of calls)
      assert.doesNotMatch(curlLine(address, method, path, operation), /fg_[0-9a-z]{12}_|Bearer (?!\$\(cat token\))/)
  })
})
