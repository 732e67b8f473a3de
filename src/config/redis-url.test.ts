import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { isRedisExposed, redisUrlMistake } from './redis-url.ts'

describe('limits.store', () => {
  const good = [
    'memory',
    'redis://cache',
    'redis://cache/',
    'rediss://cache.example.com:6380/15',
    'valkey://127.0.0.1',
    'valkeys://[::1]:6379/0',
    'redis://:p%40ss%2F%3A%23%3F@cache',
    'redis://films:p%C3%A4ss@cache.',
    'redis://@cache',
  ]
  for (const url of good) test(`${url} is one`, () => assert.equal(redisUrlMistake(url), undefined))

  const bad: readonly (readonly [string, RegExp])[] = [
    ['', /must be "memory" or begin with redis:\/\//],
    ['Memory', /must be "memory"/],
    ['redis:cache', /must be "memory"/],
    ['redis:/cache', /must be "memory"/],
    ['REDIS://cache', /must be "memory"/],
    ['cache:6379', /must be "memory"/],
    ['unix:///run/redis.sock', /must be "memory"/],
    ['redis-sentinel://cache', /must be "memory"/],
    [' redis://cache', /must be "memory"/],
    ['redis://', /not a URL|names no host/],
    ['redis:///0', /names no host/],
    ['redis://:secret@', /not a URL|names no host/],
    ['redis://cache:port', /not a URL/],
    ['redis://cache:65536', /not a URL/],
    ['redis://cache:0', /port 0/],
    ['redis://a:1,b:2', /not a URL/],
    ['redis://a,b', /one host/],
    ['redis://ca%20che', /one host/],
    ['redis://bücher', /one host/],
    ['redis://256.1.1.1', /one host/],
    ['redis://[::1%25eth0]', /not a URL|one host/],
    ['redis://cache/films', /number of a database/],
    ['redis://cache/-1', /number of a database/],
    ['redis://cache/01', /number of a database/],
    ['redis://cache/0/1', /number of a database/],
    ['redis://cache/%30', /number of a database/],
    ['redis://cache?db=1', /no parameters/],
    ['redis://cache/0?', /no parameters/],
    ['redis://cache#0', /escape it as %23/],
    ['redis://:a/b@cache', /not a URL/],
    ['redis://:p%zz@cache', /not a URL/],
    ['redis://:p%00@cache', /not a URL/],
    ['redis://secret@cache', /redis:\/\/:password@host/],
    ['redis://user:@cache', /redis:\/\/:password@host/],
  ]
  for (const [url, mistake] of bad) test(`${JSON.stringify(url)} is none`, () => assert.match(redisUrlMistake(url) ?? '', mistake))

  test('a password with any character arrives as it is, once escaped; unescaped, it is taken whole or refused', () => {
    const text = fc.string({ unit: 'binary', minLength: 1 }).filter((one) => one.isWellFormed() && !/\p{Cc}/u.test(one))
    fc.assert(
      fc.property(text, text, (user, password) => {
        const url = `redis://${encodeURIComponent(user)}:${encodeURIComponent(password)}@cache:6379/0`
        assert.equal(redisUrlMistake(url), undefined, url)
        assert.equal(decodeURIComponent(new URL(url).password), password)
      }),
    )
    const sign = fc.string({ unit: fc.constantFrom('@', ':', '/', '?', '#', 'a', '1', '[', ']'), minLength: 1 })
    fc.assert(
      fc.property(sign, (password) => {
        const url = `redis://:${password}@cache`
        if (redisUrlMistake(url) === undefined) assert.equal(decodeURIComponent(new URL(url).password), password)
      }),
    )
  })

  test('no message repeats what it refuses', () => {
    fc.assert(
      fc.property(fc.webUrl({ validSchemes: ['redis', 'rediss', 'http'], withQueryParameters: true, withFragments: true }), (url) => {
        assert.ok(!(redisUrlMistake(url) ?? '').includes(url))
      }),
    )
  })
})

test('what is sent in plain text to another machine can be read', () => {
  for (const url of [
    'redis://cache',
    'valkey://:secret@10.0.0.7:6379/1',
    'redis://[fd00::7]',
    'redis://0.0.0.0',
    'redis://localhost.example',
  ])
    assert.equal(isRedisExposed(url), true, url)
  const safe = ['memory', 'rediss://cache', 'valkeys://10.0.0.7', 'redis://127.0.0.1', 'valkey://127.8.9.1:1/0', 'redis://[::1]:6379']
  for (const url of [...safe, 'redis://localhost', 'redis://LOCALHOST.', 'redis://[::ffff:127.0.0.1]'])
    assert.equal(isRedisExposed(url), false, url)
})
