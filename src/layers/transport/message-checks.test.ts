import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { describe, test } from 'node:test'

import fc from 'fast-check'

import { createHostCheck } from './hosts.ts'
import { createMessageChecks } from './message-checks.ts'
import { originTarget } from './target.ts'

const check = createMessageChecks(createHostCheck({ hosts: ['films.example'] }))

type Field = readonly [name: string, value: string]

/** A message as Node's parser and Fastify's `rewriteUrl` leave it: the first of two equal fields in `headers`, both in `rawHeaders`. */
const verdict = (fields: readonly Field[], target = '/', httpVersionMajor = 1): string | undefined => {
  const headers: Record<string, string> = {}
  for (const [name, value] of fields) headers[name.toLowerCase()] ??= value
  const request = { headers, rawHeaders: fields.flat(), url: target, originalUrl: target, httpVersionMajor }
  request.url = originTarget(request as unknown as IncomingMessage)
  return check(request as unknown as IncomingMessage)?.code
}

const host: Field = ['Host', 'films.example']

describe('a message', () => {
  test('with one Host of ours is in order, whatever other fields it has', () => {
    const others: readonly Field[] = [
      ['Accept', '*/*'],
      ['Cookie', 'a'],
      ['cookie', 'b'],
      ['Content-Type', 'a/b'],
      ['Authorization', 'x'],
      ['Expect', '100-Continue'],
    ]
    assert.equal(verdict([host, ...others]), undefined)
  })

  test('without Host, or with an empty one, is refused', () => {
    assert.equal(verdict([]), 'bad_request')
    assert.equal(verdict([['Host', '']]), 'bad_request')
  })

  test('that claims another version of HTTP is refused', () => {
    for (const version of [0, 2, 3]) assert.equal(verdict([host], '/', version), 'bad_request')
  })

  test('for the host of somebody else is misdirected', () => {
    assert.equal(verdict([['Host', 'evil.example']]), 'misdirected_request')
  })
})

test('two readers, two meanings: Host, Authorization or Content-Type twice is refused, in any case and place, also when both are equal', () => {
  const single = fc.constantFrom('Host', 'HOST', 'host', 'Authorization', 'authorization', 'Content-Type', 'cONTENT-tYPE')
  const harmless = fc.constantFrom<Field>(
    ['Accept', '*/*'],
    ['X-Host', 'a'],
    ['Hosts', 'a'],
    ['Cook', 'a'],
    ['Content-Typo', 'a'],
    ['If-None-Match', '*'],
  )
  fc.assert(
    fc.property(
      single,
      fc.constantFrom('films.example', 'evil.example'),
      fc.array(harmless),
      fc.nat(),
      fc.nat(),
      (name, value, others, one, other) => {
        const fields: Field[] = name.toLowerCase() === 'host' ? [...others] : [...others, host]
        const insert = (at: number, field: Field) => void fields.splice(at % (fields.length + 1), 0, field)
        insert(one, [name, 'films.example'])
        assert.equal(verdict(fields), undefined)
        insert(other, [name.toLowerCase(), value])
        assert.equal(verdict(fields), 'bad_request')
      },
    ),
  )
})

describe('an absolute-form target', () => {
  test('must name a host of ours too: Host alone is not believed', () => {
    assert.equal(verdict([host], 'http://localhost/'), undefined)
    for (const target of [
      'http://evil.example/',
      'HTTP://evil.example',
      'http://user@films.example/',
      'http://films.example@evil.example/',
      'http:///',
    ]) {
      assert.equal(verdict([host], target), 'misdirected_request', target)
    }
  })

  test('does not stand in for Host', () => {
    assert.equal(verdict([], 'http://films.example/'), 'bad_request')
    assert.equal(verdict([['Host', 'evil.example']], 'http://films.example/'), 'misdirected_request')
  })
})

test('no other expectation than 100-continue is met', () => {
  for (const expect of ['200-ok', '100-continue, x', '100-continuex', ''])
    assert.equal(verdict([host, ['Expect', expect]]), 'expectation_failed', expect)
})

test('a broken target is refused with its own reason, behind what is wrong with the message', () => {
  assert.equal(verdict([host], '/%'), 'bad_request')
  assert.equal(verdict([host], `/${'a'.repeat(5000)}`), 'uri_too_long')
  assert.equal(verdict([['Host', 'evil.example']], `/${'a'.repeat(5000)}`), 'misdirected_request')
})
