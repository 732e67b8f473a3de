import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { describe, test } from 'node:test'

import fc from 'fast-check'

import { originTarget, targetAuthority, targetFault } from './target.ts'

/** What routing sees of a target, and why the target is refused: as Fastify does it, which writes `rewriteUrl`'s answer back. */
const judge = (url: string, method = 'GET'): { routed: string; fault: string | undefined } => {
  const request = { url, method } as IncomingMessage
  const routed = originTarget(request)
  request.url = routed
  return { routed, fault: targetFault(request)?.code }
}

/** No route is called that, and no parser lets it through. */
const nowhere = '/\0'

const decodes = (text: string): boolean => {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}

describe('origin form', () => {
  test('a target is routed as it came', () => {
    for (const target of ['/', '/?like=1', '/v1/films/7', '//films', '/a/../b', '/%41%2f', '/?q=%zz', '/%00']) {
      assert.deepEqual(judge(target), { routed: target, fault: undefined })
    }
  })

  test('a percent escape that does not decode is refused, in the path alone', () => {
    for (const target of ['/%', '/%4', '/%zz', '/%c3', '/%c0%af', '/%ed%a0%80', '/%ff?x', 'http://localhost/%']) {
      assert.deepEqual(judge(target), { routed: nowhere, fault: 'bad_request' }, target)
    }
  })

  test('refused is exactly what decodeURIComponent refuses', () => {
    const piece = fc.constantFrom('%', '%4', '%41', '%c3', '%a9', '%e2%82%ac', '%80', 'a', '/', '?', '=')
    fc.assert(
      fc.property(fc.array(piece), (pieces) => {
        const target = `/${pieces.join('')}`
        const fault = decodes(target.split('?', 1)[0] ?? '') ? undefined : 'bad_request'
        assert.deepEqual(judge(target), { routed: fault === undefined ? target : nowhere, fault })
      }),
    )
  })

  test('4096 characters are read, one more is not, whatever they are', () => {
    assert.deepEqual(judge(`/${'a'.repeat(4095)}`).fault, undefined)
    for (const rest of ['a'.repeat(4096), '%'.repeat(4096), `?${'a'.repeat(5000)}`])
      assert.deepEqual(judge(`/${rest}`), { routed: nowhere, fault: 'uri_too_long' })
    assert.equal(judge(`http://localhost/${'a'.repeat(4096)}`).fault, 'uri_too_long')
  })
})

describe('absolute form (RFC 9112 section 3.2.2)', () => {
  test('is routed by its path, and its authority is kept for the check of hosts', () => {
    const expected: Readonly<Record<string, readonly [routed: string, authority: string]>> = {
      'http://localhost/a?b': ['/a?b', 'localhost'],
      'HTTPS://Example.COM:443/a': ['/a', 'Example.COM:443'],
      'http://[::1]:3000': ['/', '[::1]:3000'],
      'http://localhost?like=1': ['/?like=1', 'localhost'],
      'http://evil.example': ['/', 'evil.example'],
      'http://user:password@localhost/': ['/', 'user:password@localhost'],
      'http:///a': ['/a', ''],
      'http://a//b': ['//b', 'a'],
    }
    for (const [target, [routed, authority]] of Object.entries(expected)) {
      assert.deepEqual([judge(target), targetAuthority(target)], [{ routed, fault: undefined }, authority], target)
    }
  })

  test('agrees with the URL standard on where the authority ends', () => {
    const host = fc.constantFrom('localhost', 'evil.example', '127.0.0.1', '[::1]')
    const port = fc.constantFrom('', ':1', ':3000')
    const rest = fc.constantFrom('', '/', '/a', '?like=1', '/?a=http://x/', '//a/b', '/@evil.example')
    fc.assert(
      fc.property(fc.constantFrom('http', 'https', 'HTTP'), host, port, rest, (scheme, name, portText, tail) => {
        const target = `${scheme}://${name}${portText}${tail}`
        const url = new URL(target)
        assert.equal(targetAuthority(target), url.host)
        assert.equal(judge(target).routed, url.pathname + url.search)
      }),
    )
  })

  test('of another scheme, or something else altogether, is left to match no route', () => {
    for (const target of ['ftp://localhost/', 'javascript:alert(1)', 'localhost:3000', '']) {
      assert.deepEqual([judge(target).routed, targetAuthority(target)], [target, undefined])
    }
  })

  test('an origin-form target has no authority, whatever stands in it', () => {
    for (const target of ['/', '//evil.example/', '/http://evil.example/', '/@evil.example'])
      assert.equal(targetAuthority(target), undefined)
  })
})

test('the asterisk form is for OPTIONS alone (RFC 9112 section 3.2.4): the router takes it for "/"', () => {
  assert.equal(judge('*', 'OPTIONS').routed, '/')
  for (const method of ['GET', 'HEAD', 'POST', 'DELETE', 'TRACE']) assert.equal(judge('*', method).routed, nowhere, method)
})

test('nobody can ask for the place where refused targets go and be taken for one', () => {
  assert.deepEqual(judge(nowhere), { routed: nowhere, fault: undefined })
})

test('a fault belongs to its request alone', () => {
  const broken = { url: '/%' } as IncomingMessage
  broken.url = originTarget(broken)
  assert.equal(targetFault({ url: broken.url } as IncomingMessage), undefined)
  assert.equal(targetFault(broken)?.code, 'bad_request')
})
