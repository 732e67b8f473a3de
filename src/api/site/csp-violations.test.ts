import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import fc from 'fast-check'

import { type ReportBody, violationsIn } from './csp-violations.ts'

const page = 'https://films.example/docs'
const isOwn = (url: string): boolean => URL.canParse(url) && new URL(url).origin === 'https://films.example'

const legacy = (document: string, directive: string, blocked: string): ReportBody => ({
  'csp-report': { 'document-uri': document, 'effective-directive': directive, 'blocked-uri': blocked },
})

const blockedBy = (blocked: string): string | undefined => violationsIn(legacy(page, 'img-src', blocked), isOwn)[0]?.blocked

describe('what of a report is kept', () => {
  test('both forms say the same', () => {
    const expected = [{ document: '/docs', directive: 'script-src-elem', blocked: 'inline' }]
    assert.deepEqual(violationsIn(legacy(page, 'script-src-elem', 'inline'), isOwn), expected)
    const body = { documentURL: page, effectiveDirective: 'script-src-elem', blockedURL: 'inline' }
    assert.deepEqual(violationsIn([{ type: 'csp-violation', body }], isOwn), expected)
    const older = { 'document-uri': page, 'violated-directive': "img-src 'self' https:", 'blocked-uri': 'inline' }
    assert.equal(violationsIn({ 'csp-report': older }, isOwn)[0]?.directive, 'img-src')
  })

  test('of an address only its origin: no path, no query, no user and no password', () => {
    for (const [blocked, kept] of [
      ['https://user:secret@evil.example:8443/path/secret?token=secret#secret', 'https://evil.example:8443'],
      ['http://evil.example', 'http://evil.example'],
      ['data', 'data'],
      ['data:text/html,secret', 'data:'],
      ['blob:https://evil.example/secret', 'blob:'],
      ['chrome-extension://secretid/x.js', 'chrome-extension:'],
      ['fg_0123456789ab_secretsecret://x', 'other'],
      ['https://secret secret/', 'other'],
      [`https://${'a'.repeat(300)}.example/`, 'other'],
      ['', 'other'],
    ] as const)
      assert.equal(blockedBy(blocked), kept, blocked)
  })

  test('of the page its path, cut, without what follows it', () => {
    const document = `${page}/${'x'.repeat(500)}?token=secret#secret`
    assert.equal(violationsIn(legacy(document, 'img-src', 'inline'), isOwn)[0]?.document, `/docs/${'x'.repeat(94)}`)
  })

  test('nothing of pages of others, of other kinds of report, or of no page at all', () => {
    for (const other of ['https://films.example.evil.example/docs', 'http://films.example/docs', 'about:blank', '', 'null'])
      assert.deepEqual(violationsIn(legacy(other, 'img-src', 'inline'), isOwn), [], other)
    const body = { documentURL: page, effectiveDirective: 'img-src', blockedURL: 'inline' }
    assert.deepEqual(
      violationsIn(
        [
          { type: 'deprecation', body },
          { type: 'csp-violation', body: {} },
        ],
        isOwn,
      ),
      [],
    )
  })

  test('whatever anybody sends, only known words, origins and paths come out', () => {
    const hostile = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.webUrl({ withQueryParameters: true, withFragments: true }),
      fc.constantFrom('\u001B[2J', 'a\r\nb'),
    )
    fc.assert(
      fc.property(hostile, hostile, hostile, (path, directive, blocked) => {
        for (const { document, ...kept } of violationsIn(legacy(`${page}/${path}`, directive, blocked), isOwn)) {
          assert.match(document, /^\/[\x21-\x7e]{0,99}$/)
          assert.doesNotMatch(document, /[?#]/)
          assert.match(kept.directive, /^[a-z-]{5,30}$/)
          assert.match(kept.blocked, /^(?:[a-z-]{2,30}:?|(?:https?|wss?|ftp):\/\/[\x21-\x7e]{1,262})$/)
          assert.doesNotMatch(kept.blocked, /[?#@]/)
        }
      }),
      { numRuns: 1000 },
    )
  })
})
