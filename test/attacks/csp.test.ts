import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'

import { type Answer, ask } from '../support/attack.ts'
import { assertPageBuilt } from '../support/built-page.ts'
import { startServer } from '../support/server.ts'
import { askHttp1 } from '../support/secure-client.ts'

assertPageBuilt()
const server = await startServer()
after(() => server[Symbol.asyncDispose]())

type Directives = ReadonlyMap<string, readonly string[]>

/** As a browser reads it: the first of two directives of a name counts (CSP Level 3 section 2.2.1). */
const parse = (policy: string): Directives => {
  const found = new Map<string, readonly string[]>()
  for (const text of policy.split(';')) {
    const [name = '', ...values] = text.trim().split(/\s+/)
    if (name !== '' && !found.has(name.toLowerCase())) found.set(name.toLowerCase(), values)
  }
  return found
}

const fetchDirectives = [
  'script-src',
  'style-src',
  'img-src',
  'connect-src',
  'font-src',
  'media-src',
  'object-src',
  'frame-src',
  'child-src',
  'worker-src',
  'manifest-src',
]

/** What has no fallback, and what this project wants in it. */
const closed = ['base-uri', 'form-action', 'frame-ancestors']
const known = new Set([
  'default-src',
  ...fetchDirectives,
  ...closed,
  'require-trusted-types-for',
  'trusted-types',
  'upgrade-insecure-requests',
  'report-to',
  'report-uri',
])

/** How a policy can be got around: the findings of Google's CSP Evaluator ("CSP Is Dead, Long Live CSP!", CCS 2016), sharpened. */
const weaknesses = (policy: string): string[] => {
  const directives = parse(policy)
  const found: string[] = []
  const names = policy.split(';').map((text) => text.trim().split(/\s+/)[0] ?? '')
  if (new Set(names).size < names.length) found.push('a directive stands twice or is empty')
  for (const name of directives.keys()) if (!known.has(name)) found.push(`${name} is unknown`)
  if (directives.get('default-src')?.join() !== "'none'") found.push("default-src is not 'none'")
  for (const name of closed) if (directives.get(name)?.join() !== "'none'") found.push(`${name} is not 'none'`)
  for (const name of fetchDirectives) {
    const sources = directives.get(name) ?? []
    if (directives.has(name) && sources.length === 0) found.push(`${name} says nothing`)
    for (const source of sources) {
      if (source.startsWith("'unsafe-")) found.push(`${name} allows ${source}`)
      if (/\*/.test(source)) found.push(`${name} has a wildcard`)
      if (/^[a-z]+:/i.test(source)) found.push(`${name} allows a scheme or another host: ${source}`)
      if (!/^'.*'$/.test(source)) found.push(`${name} allows ${source}`)
      if (source.startsWith("'nonce-")) found.push(`${name} has a nonce on an answer that is the same for everybody`)
      if (
        ['script-src', 'object-src', 'worker-src', 'frame-src', 'child-src'].includes(name) &&
        !/^'(?:none'$|sha(?:256|384|512)-[\w+/]{43,}=*'$)/.test(source)
      )
        found.push(`${name} allows ${source}: only a digest says which script it is`)
    }
    if (sources.includes("'none'") && sources.length > 1) found.push(`${name} has 'none' beside others`)
  }
  return found
}

/** Where scripts run, text must not become markup; where none run, no digest may stand. */
const scriptWeaknesses = (policy: string): string[] => {
  const directives = parse(policy)
  const runs = (directives.get('script-src') ?? ["'none'"]).join() !== "'none'"
  const trusted = directives.get('require-trusted-types-for')?.join() === "'script'" && directives.get('trusted-types')?.join() === "'none'"
  return runs && !trusted ? ['scripts run without trusted types'] : []
}

const all = (policy: string): string[] => [...weaknesses(policy), ...scriptWeaknesses(policy)]

const policyOf = (answer: Answer): string => answer.field('content-security-policy') ?? assert.fail('no policy')

const good =
  "default-src 'none'; script-src 'sha384-oqVuAfXRKap7fdgcCY5uykM6+R9GqQ8K/uxy9rx7HNQlGYl1kPzQho1wx4JwY8wC'; require-trusted-types-for 'script'; trusted-types 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

describe('the evaluator finds what it should', () => {
  const planted: readonly (readonly [from: string, to: string, finding: RegExp])[] = [
    ["default-src 'none'", "default-src 'self'", /default-src/],
    ["default-src 'none'; ", '', /default-src/],
    ["; base-uri 'none'", '', /base-uri/],
    ["base-uri 'none'", "base-uri 'self'", /base-uri/],
    ["; form-action 'none'", '', /form-action/],
    ["; frame-ancestors 'none'", '', /frame-ancestors/],
    ["frame-ancestors 'none'", "frame-ancestors 'self'", /frame-ancestors/],
    ["script-src '", "script-src 'unsafe-inline' '", /unsafe-inline/],
    ["script-src '", "script-src 'unsafe-eval' '", /unsafe-eval/],
    ["script-src '", "script-src 'self' '", /'self'/],
    ["script-src '", "script-src 'strict-dynamic' '", /strict-dynamic/],
    ["script-src '", "script-src * '", /wildcard/],
    ["script-src '", "script-src https: '", /scheme/],
    ["script-src '", "script-src data: '", /scheme/],
    ["script-src '", "script-src cdn.example '", /cdn\.example/],
    ["script-src '", "script-src 'nonce-abc' '", /nonce/],
    ["script-src '", "script-src 'none' '", /'none' beside/],
    ["script-src '", "img-src *; script-src '", /img-src has a wildcard/],
    ["script-src '", "style-src 'unsafe-inline'; script-src '", /style-src allows 'unsafe-inline'/],
    ["script-src '", "object-src 'self'; script-src '", /object-src/],
    ["script-src '", "script-src; script-src '", /twice/],
    ["; trusted-types 'none'", '', /trusted types/],
    ["trusted-types 'none'", "trusted-types 'allow-duplicates' default", /trusted types/],
    ['base-uri', 'base_uri', /unknown/],
  ]
  for (const [from, to, finding] of planted)
    test(`${from} -> ${to === '' ? 'nothing' : to}`, () => {
      assert.deepEqual(all(good), [])
      const found = all(good.replace(from, to))
      assert.ok(
        found.some((one) => finding.test(one)),
        found.join('\n'),
      )
    })
})

const pages = ['/index.html', '/docs', '/problems/not_found', '/problems/quota_exceeded']

describe('[ASVS 3.4.3] [ASVS 3.4.6] the policies that are sent', () => {
  for (const target of [...pages, '/v1/films/1', '/', '/openapi.json', '/nothing', '/.well-known/jwks.json', '/v1/me']) {
    test(`${target}: nothing is found`, async () => {
      const answer = await ask(server, { target })
      assert.deepEqual(all(policyOf(answer)), [])
      assert.ok(!answer.fields.some(([name]) => name === 'content-security-policy-report-only'))
    })
  }

  test('where no page is, nothing may be loaded at all; where no script is, none may run', async () => {
    const only = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    for (const target of ['/v1/films/1', '/nothing', '/openapi.json']) assert.equal(policyOf(await ask(server, { target })), only)
    for (const target of pages.slice(1)) assert.ok(!parse(policyOf(await ask(server, { target }))).has('script-src'), target)
  })

  test('the style of each page is the one that its policy names, and there is one', async () => {
    for (const target of pages.slice(1)) {
      const answer = await ask(server, { target })
      const styles = [...answer.body.matchAll(/<style[^>]*>([^]*?)<\/style>/g)].map(([, style = '']) => style)
      const digests = styles.map((style) => `'sha256-${createHash('sha256').update(style).digest('base64')}'`)
      assert.deepEqual(parse(policyOf(answer)).get('style-src'), digests)
      assert.equal(digests.length, 1)
    }
  })

  test('[ASVS 3.6.1] the scripts of the page are the ones that its policy names, and each element says so, too', async () => {
    const answer = await ask(server, { target: '/index.html' })
    const elements = answer.body.match(/<script\b[^>]*>/g) ?? []
    const digests = await Promise.all(
      elements.map(async (element) => {
        const [, src = ''] = /\ssrc="\.(\/[^"]+)"/.exec(element) ?? assert.fail(element)
        const { body } = await ask(server, { target: src })
        const digest = `sha384-${createHash('sha384').update(body).digest('base64')}`
        assert.equal(/\sintegrity="([^"]+)"/.exec(element)?.[1], digest)
        return `'${digest}'`
      }),
    )
    assert.ok(digests.length > 0)
    assert.deepEqual(parse(policyOf(answer)).get('script-src'), digests)
    const links = answer.body.match(/<link\b[^>]*(?:stylesheet|modulepreload)[^>]*>/g) ?? []
    for (const link of links) assert.match(link, /\sintegrity="sha384-/)
  })
})

describe('[ASVS 3.4.7] where violations are reported', () => {
  test('in plain HTTP by report-uri: a browser would take no endpoint there, and report-to would switch the other off', async () => {
    for (const target of pages) {
      const answer = await ask(server, { target })
      assert.deepEqual(parse(policyOf(answer)).get('report-uri'), ['/csp-report'])
      assert.ok(!parse(policyOf(answer)).has('report-to'))
      assert.equal(answer.field('reporting-endpoints'), undefined)
    }
  })

  test('over TLS by both, here and behind a proxy; on pages alone, also on a 304', async () => {
    await using behindProxy = await startServer({ env: { FILMGATE_SERVER_PUBLIC_URL: 'https://films.example' } })
    for (const target of pages)
      for (const fields of [{}, { 'If-None-Match': '*' }]) {
        const answer = await ask(behindProxy, { target, fields })
        assert.deepEqual(parse(policyOf(answer)).get('report-to'), ['csp'])
        assert.deepEqual(parse(policyOf(answer)).get('report-uri'), ['/csp-report'])
        assert.equal(answer.field('reporting-endpoints'), 'csp="/csp-report"')
      }
    assert.equal((await ask(behindProxy)).field('reporting-endpoints'), undefined)

    await using secure = await startServer({ env: { FILMGATE_TLS_MODE: 'dev' } })
    const ca = readFileSync(join(secure.dataDir, 'dev-ca.pem'), 'utf8')
    for (const target of pages) {
      const { headers } = await askHttp1({ port: secure.port, ca }, { target })
      const policy = String(headers['content-security-policy'])
      assert.deepEqual([parse(policy).get('report-to'), headers['reporting-endpoints']], [['csp'], 'csp="/csp-report"'])
      assert.deepEqual(all(policy), [])
      // Nobody else trusts that certificate, so nobody is told to insist on it.
      assert.deepEqual([parse(policy).has('upgrade-insecure-requests'), headers['strict-transport-security']], [false, undefined])
    }
  })
})
