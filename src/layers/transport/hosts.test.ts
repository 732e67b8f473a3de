import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import fc from 'fast-check'

import { createHostCheck } from './hosts.ts'

describe('hosts', () => {
  test('this machine by its loopback names, on any port, in any case', () => {
    const isAllowed = createHostCheck({ hosts: [] })
    for (const host of ['localhost', 'LocalHost', 'localhost:3000', '127.0.0.1', '127.0.0.1:1', '[::1]', '[::1]:65535'])
      assert.ok(isAllowed(host), host)
  })

  test('a name that was configured: without a port on any, with a port on that one', () => {
    const isAllowed = createHostCheck({ hosts: ['Films.Example', 'api.example:8443', '[2001:db8::1]'] })
    for (const host of ['films.example', 'FILMS.example:1', 'api.example:8443', '[2001:DB8::1]:3000']) assert.ok(isAllowed(host), host)
    for (const host of ['api.example', 'api.example:8444', 'www.films.example', 'films.example.evil', '2001:db8::1'])
      assert.ok(!isAllowed(host), host)
  })

  test('DNS rebinding: the name of a stranger is refused, however it resembles one of ours', () => {
    const isAllowed = createHostCheck({ hosts: ['films.example'] })
    const attacks = [
      'evil.example',
      'localhost.evil.example',
      'evil.example#localhost',
      'evil.example:80@localhost',
      'localhost@evil.example',
      'user@localhost',
      'localhost.',
      ' localhost',
      'localhost ',
      'localhost,evil.example',
      'localhost:3000:80',
      'localhost:123456',
      'localhost:80a',
      'localhost:',
      'localhost\0',
      'localhost/',
      'filmsxexample',
      '127.0.0.1.nip.io',
      '127.1',
      '2130706433',
      '0x7f.1',
      '0.0.0.0',
      '[::]',
      '[::1',
      '::1',
      '[::ffff:127.0.0.1]',
      'ＬＯＣＡＬＨＯＳＴ',
    ]
    for (const host of attacks) assert.ok(!isAllowed(host), host)
  })

  test('the answer never depends on what was asked before', () => {
    const host = fc.constantFrom('localhost', 'LOCALHOST', 'evil.example', 'a.example:1', 'a.example:2', '[::1]', '', 'localhost:80')
    const hosts = ['a.example:1']
    fc.assert(
      fc.property(fc.array(host, { minLength: 1 }), host, (earlier, last) => {
        const isAllowed = createHostCheck({ hosts })
        for (const one of earlier) isAllowed(one)
        const fresh = createHostCheck({ hosts })
        fresh('localhost')
        assert.equal(isAllowed(last), fresh(last), last)
      }),
    )
  })

  test('an empty host is nobody', () => {
    assert.equal(createHostCheck({ hosts: [] })(''), false)
  })

  test('an IPv6 address that the server is bound to is ours, in the brackets that Host puts around it', () => {
    const isAllowed = createHostCheck({ hosts: ['2001:db8::1'] })
    for (const host of ['[2001:db8::1]', '[2001:DB8::1]:3000']) assert.ok(isAllowed(host), host)
    assert.ok(!isAllowed('[2001:db8::2]'))
  })
})
