import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import fc from 'fast-check'

import { parsePostgresUrl } from '../db/postgres-url.ts'
import { databaseUrlMistake } from './database-url.ts'

describe('database.url', () => {
  const good = [
    'sqlite',
    'postgres://db',
    'postgresql://user@db:5433/films',
    'postgres://user:p%40ss%2F%3A%23@db.example.com/films?sslmode=verify-full&sslrootcert=/etc/ca.pem',
    'postgres://db/films?sslmode=verify-full&sslcert=a.pem&sslkey=b.pem',
    'postgres://db/films?sslmode=disable',
    'postgres://[::1]:5432/films',
    'postgres:///films?host=/run/postgresql',
    'postgres://localhost/films?host=%2Frun%2Fpostgresql',
  ]
  for (const url of good) test(`${url} is one`, () => assert.equal(databaseUrlMistake(url), undefined))

  const bad: readonly (readonly [string, RegExp])[] = [
    ['', /must be "sqlite"/],
    ['SQLITE', /must be "sqlite"/],
    ['mysql://db/films', /begin with postgres/],
    ['postgres:db', /begin with postgres/],
    ['postgres://db:99999/films', /not a URL/],
    ['postgres://u:p%zz@db/films', /not a URL/],
    ['postgres://u:%00@db/films', /not a URL/],
    ['postgres://u:p#1@db/films', /not a URL|escape it/],
    ['postgres:///films', /names no host/],
    ['postgres:///films?host=db', /names no host/],
    ['postgres://db/films/more', /one database/],
    ['postgres://db/films?sslmode=require', /verify-full/],
    ['postgres://db/films?sslmode=prefer', /verify-full/],
    ['postgres://db/films?sslmode=no-verify', /verify-full/],
    ['postgres://db/films?sslmode=verify-ca', /verify-full/],
    ['postgres://db/films?sslmode=', /verify-full/],
    ['postgres://db/films?sslmode=disable&sslmode=verify-full', /twice/],
    ['postgres://db/films?sslrootcert=/etc/ca.pem', /without sslmode/],
    ['postgres://db/films?sslmode=disable&sslrootcert=/etc/ca.pem', /without sslmode/],
    ['postgres://db/films?sslmode=verify-full&sslcert=a.pem', /together/],
    ['postgres://db/films?ssl=true', /unknown parameter/],
    // The driver would go to PGHOST or to this machine instead.
    ['postgres://db/films?host=', /no readable value for host/],
    ['postgres://db/films?host=/run%00', /no readable value for host/],
    ['postgres://db/films?sslmode=verify-full&sslrootcert=', /no readable value for sslrootcert/],
    ['postgres://db/films?sslmod=verify-full', /nearest: sslmode/],
    ['postgres://db/films?options=-c%20fsync=off', /unknown parameter/],
  ]
  for (const [url, mistake] of bad) test(`${JSON.stringify(url)} is none`, () => assert.match(databaseUrlMistake(url) ?? '', mistake))

  test('whatever it takes can be read, and a password with any character arrives as it is', () => {
    const text = fc.string({ unit: 'binary', minLength: 1 }).filter((one) => one.isWellFormed() && !/\p{Cc}/u.test(one))
    fc.assert(
      fc.property(text, text, text, (user, password, database) => {
        const parts = [user, password, database].map(encodeURIComponent)
        const url = `postgres://${parts[0]}:${parts[1]}@db/${parts[2]}`
        assert.equal(databaseUrlMistake(url), undefined, url)
        assert.deepEqual(parsePostgresUrl(url), { host: 'db', port: 5432, user, password, database, ssl: false })
      }),
    )
    fc.assert(
      fc.property(fc.webUrl({ validSchemes: ['postgres'], withQueryParameters: true }), (url) => {
        if (databaseUrlMistake(url) === undefined) assert.ok(parsePostgresUrl(url).host !== '')
      }),
    )
  })
})
