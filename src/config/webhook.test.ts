import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { ConfigError, loadConfig } from '../config.ts'

const secret = `whsec_${Buffer.alloc(32, 'key').toString('base64')}`

const mistakeOf = (url: string, key: string = secret, more: Readonly<Record<string, string>> = {}): string => {
  const env = { FILMGATE_MONITOR_WEBHOOK_URL: url, FILMGATE_MONITOR_WEBHOOK_SECRET: key, ...more }
  try {
    loadConfig({ env, cwd: '/', checkLimits: () => undefined })
  } catch (error) {
    if (error instanceof ConfigError) return error.message
    throw error
  }
  return ''
}

const allowPrivate = { FILMGATE_MONITOR_WEBHOOK_ALLOW_PRIVATE: 'true' }

describe('monitor.webhook_url', () => {
  test('takes https anywhere, and http to this machine where that is allowed', () => {
    for (const url of [
      '',
      'https://hooks.example.com/T0/B0?x=1',
      'https://192.0.2.7:8443/',
      'https://[2001:db8::1]/',
      'https://localhost:9000/',
    ])
      assert.equal(mistakeOf(url), '', url)
    for (const url of ['http://127.0.0.1:9000/', 'http://localhost:9000/', 'http://[::1]:9000/']) {
      assert.equal(mistakeOf(url, secret, allowPrivate), '', url)
      assert.match(mistakeOf(url), /is not https/)
    }
    assert.match(mistakeOf('http://hooks.example.com/', secret, allowPrivate), /is not https/)
    assert.match(mistakeOf('http://10.0.0.1/', secret, allowPrivate), /is not https/)
  })

  test('refuses what is no such URL, and does not show it', () => {
    for (const url of [
      'hooks.example.com',
      'ftp://hooks.example.com/',
      'https:hooks',
      'https:///hooks',
      'javascript:alert(1)',
      'https://a b/',
      'file:///etc/passwd',
    ])
      assert.match(mistakeOf(url), /webhook_url must be a URL/, url)
    assert.match(mistakeOf('https://user:hunter2@hooks.example.com/'), /must not hold a user/)
    assert.match(mistakeOf('https://hooks.example.com/#x'), /must not hold a #/)
    for (const url of ['https://user:hunter2@hooks.example.com/', 'hunter2://x']) assert.doesNotMatch(mistakeOf(url), /hunter2/)
  })

  test('the server itself: refused by its public name, its hosts, its ports and every spelling of loopback', () => {
    const named = { FILMGATE_SERVER_PUBLIC_URL: 'https://films.example.com', FILMGATE_SERVER_HOSTS: 'films.internal' }
    for (const url of [
      'https://films.example.com/',
      'https://FILMS.example.com.:443/x',
      'https://films.internal/',
      'https://films.internal:3000/',
      'https://127.0.0.1:3000/',
      'https://localhost:3001/',
      'https://2130706433:3000/',
      'https://0x7f.1:3000/',
      'https://[::1]:3000/',
      'https://127.9.9.9:3000/',
    ])
      assert.match(mistakeOf(url, secret, named), /is this server itself/, url)
    for (const url of ['https://films.example.com:8443/', 'https://localhost:9000/', 'https://example.com/'])
      assert.equal(mistakeOf(url, secret, named), '', url)
  })
})

describe('monitor.webhook_secret', () => {
  test('is needed with a URL', () => assert.match(mistakeOf('https://hooks.example.com/', ''), /needs monitor\.webhook_secret/))

  test('is whsec_ and 24 to 64 bytes in base64, or any random text of 24 characters', () => {
    const url = 'https://hooks.example.com/'
    for (const key of [secret, `whsec_${Buffer.alloc(24, 'x').toString('base64')}`, 'correct horse battery staple'])
      assert.equal(mistakeOf(url, key), '', key)
    const wrong: readonly [string, RegExp][] = [
      ['whsec_', /not base64/],
      ['whsec_%%%%', /not base64/],
      [`whsec_${Buffer.alloc(23).toString('base64')}`, /24 to 64 bytes/],
      [`whsec_${Buffer.alloc(65).toString('base64')}`, /24 to 64 bytes/],
      ['hunter2hunter2hunter2', /at least 24 characters/],
      ['a'.repeat(40), /must be random/],
      [' a secret of some length 123', /must not begin or end with a space/],
    ]
    for (const [key, expected] of wrong) {
      const mistake = mistakeOf(url, key)
      assert.match(mistake, expected, key)
      if (key.length > 6) assert.ok(!mistake.includes(key), 'shown')
    }
  })
})
