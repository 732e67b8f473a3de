import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import fc from 'fast-check'

import { accepts } from './accept.ts'

describe('Accept (RFC 9110 section 12.5.1)', () => {
  test('the examples of the standard', () => {
    const audio = 'audio/*; q=0.2, audio/basic'
    assert.deepEqual([accepts(audio, 'audio/basic'), accepts(audio, 'audio/mpeg'), accepts(audio, 'text/plain')], [true, true, false])
    const elaborate = 'text/plain; q=0.5, text/html, text/x-dvi; q=0.8, text/x-c'
    const types = ['text/plain', 'text/html', 'text/x-dvi', 'text/x-c', 'text/css', 'application/json']
    assert.deepEqual(
      types.map((type) => accepts(elaborate, type)),
      [true, true, true, true, false, false],
    )
    const precedence = 'text/*;q=0.3, text/plain;q=0.7, text/plain;format=flowed, text/plain;format=fixed;q=0.4, */*;q=0.5'
    for (const type of ['text/plain', 'text/html', 'image/jpeg']) assert.ok(accepts(precedence, type), type)
  })

  test('the most specific range decides, in whatever order they stand', () => {
    const refusing = [
      'application/json;q=0, */*',
      '*/*, application/json;q=0',
      'application/*;q=0, */*;q=1',
      '*/*;q=0',
      'application/json;q=0.000, application/*',
    ]
    for (const accept of refusing) assert.ok(!accepts(accept, 'application/json'), accept)
    const allowing = ['application/json, */*;q=0', 'application/*, */*;q=0', 'application/json;q=0.001, application/*;q=0']
    for (const accept of allowing) assert.ok(accepts(accept, 'application/json'), accept)
  })

  test('what browsers and curl send', () => {
    const browser = 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8'
    for (const accept of [browser, '*/*', 'application/json, text/plain, */*', 'application/json'])
      assert.ok(accepts(accept, 'application/json'), accept)
    assert.ok(!accepts('text/html', 'application/json'))
  })

  test('case and white space do not matter', () => {
    for (const accept of ['Application/JSON', 'APPLICATION/*', ' text/html ,\tapplication/json ; Q=0.5 ', ',,application/json'])
      assert.ok(accepts(accept, 'application/json'), accept)
  })

  test('what is no range and no weight allows nothing', () => {
    for (const accept of [
      '',
      ',',
      'json',
      '*',
      '*/json',
      'application',
      'application/jso',
      'xapplication/json',
      'application/json;q=2',
      'application/json;q=-1',
      'application/json;q=',
      'application/json;q=0.0001',
    ])
      assert.ok(!accepts(accept, 'application/json'), accept)
  })

  test('a field of 16 KB costs no more than its first ranges', () => {
    assert.ok(!accepts(`${'text/html,'.repeat(1600)}application/json`, 'application/json'))
  })

  test('the order of ranges never matters', () => {
    const range = fc.tuple(
      fc.constantFrom('application/json', 'application/*', '*/*', 'text/html', 'json'),
      fc.constantFrom('', ';q=0', ';q=0.5', ';v=1;q=0.1', ';q=x'),
    )
    fc.assert(
      fc.property(fc.array(range, { maxLength: 8 }), (ranges) => {
        const items = ranges.map((parts) => parts.join(''))
        assert.equal(accepts(items.join(', '), 'application/json'), accepts(items.toReversed().join(','), 'application/json'))
      }),
    )
  })
})
