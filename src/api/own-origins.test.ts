import assert from 'node:assert/strict'
import { test } from 'node:test'

import { isOwnOrigin } from './own-origins.ts'

type Case = readonly [origin: string, host: string, publicOrigin: string, isOwn: boolean]

const overHttp: readonly Case[] = [
  ['http://localhost:3000', 'localhost:3000', '', true],
  ['https://localhost:3000', 'localhost:3000', '', true],
  ['http://localhost:3001', 'localhost:3000', '', false],
  ['http://127.0.0.1:3000', 'localhost:3000', '', false],
  ['http://localhost', 'localhost:80', '', true],
  ['HTTP://LOCALHOST', 'localhost', '', true],
  ['http://[::1]:3000', '[::1]:3000', '', true],
  ['https://films.example', 'films.example', 'https://films.example', true],
  // Behind a proxy that speaks TLS for us, a page over plain HTTP is whoever is on the way.
  ['http://films.example', 'films.example', 'https://films.example', false],
  ['https://films.example', 'localhost:3000', 'https://films.example', true],
  ['http://localhost:3000', 'localhost:3000', 'https://films.example', true],
  // Another name of ours behind the same proxy.
  ['https://other.example', 'other.example', 'https://films.example', true],
  ['http://other.example', 'other.example', 'https://films.example', false],
  ['http://other.example', 'other.example', 'http://films.example', true],
  ['https://films.example.evil.example', 'films.example', 'https://films.example', false],
  ['https://evil.example/https://films.example', 'films.example', 'https://films.example', false],
  ['null', 'localhost', '', false],
  ['', 'localhost', '', false],
  ['file://localhost', 'localhost', '', false],
  ['javascript:alert(1)', 'localhost', '', false],
  // What cannot be read is nobody's: two such are not the same origin.
  ['null', '', '', false],
  ['', 'a b', '', false],
]

// What came over TLS has no page in plain HTTP: that one is written by whoever is on the way.
const overTls: readonly Case[] = [
  ['https://localhost:3000', 'localhost:3000', '', true],
  ['https://LOCALHOST:3000', 'localhost:3000', '', true],
  ['https://films.example', 'films.example:443', '', true],
  ['http://localhost:3000', 'localhost:3000', '', false],
  ['http://films.example', 'films.example', '', false],
  ['http://films.example:443', 'films.example:443', '', false],
  ['https://films.example:8443', 'films.example', '', false],
  ['https://films.example', 'films.example', 'https://films.example', true],
  ['http://films.example', 'films.example', 'https://films.example', false],
  ['https://films.example', '10.0.0.7:3000', 'https://films.example', true],
  ['https://10.0.0.7:3000', '10.0.0.7:3000', 'https://films.example', true],
  ['http://10.0.0.7:3000', '10.0.0.7:3000', 'https://films.example', false],
  ['null', 'localhost', '', false],
]

for (const [protocol, cases] of [
  ['http', overHttp],
  ['https', overTls],
] as const)
  for (const [origin, host, publicOrigin, isOwn] of cases)
    test(`over ${protocol} ${origin === '' ? 'no origin' : origin} is ${isOwn ? '' : 'not '}ours at ${host} ${publicOrigin}`, () => {
      assert.equal(isOwnOrigin(origin, { protocol, host }, publicOrigin), isOwn)
    })
