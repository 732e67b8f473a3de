import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { after, before, test } from 'node:test'

import { openDatabase } from '../../src/db/open.ts'
import { type Place, postgresPlace } from '../support/databases.ts'
import { type PostgresServer, startPostgres } from '../support/postgres.ts'
import { assertStartRefused } from '../support/refused-start.ts'
import { describeUnless, servicesMissing } from '../support/services.ts'

/** Listens, and does with whoever comes as it is told. */
const startListener = async (answer: string | undefined) => {
  const listener = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.resume()
    if (answer !== undefined) socket.end(answer)
  }).listen(0, '127.0.0.1')
  await once(listener, 'listening')
  return {
    port: (listener.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      listener.close()
      await once(listener, 'close')
    },
  }
}

describeUnless(servicesMissing('postgres'), 'a start on a PostgreSQL that cannot be used: exit 2, the host and what to check', () => {
  let postgres: PostgresServer
  let place: Place
  let url: string

  before(async () => {
    postgres = await startPostgres({ tcp: {} })
    place = await postgresPlace(postgres)
    url = postgres.tcpUrl(place.url)
  })
  after(async () => {
    await place[Symbol.asyncDispose]()
    await postgres[Symbol.asyncDispose]()
  })

  test('nothing listens there', async () => {
    const gone = await startListener(undefined)
    await gone[Symbol.asyncDispose]()
    const { port } = gone
    await assertStartRefused(`postgres://u:hunter2-secret@127.0.0.1:${port}/films`, [
      new RegExp(`127\\.0\\.0\\.1:${port}`),
      /nothing listens|Is PostgreSQL running/,
    ])
  })

  test('there is no such socket', () =>
    assertStartRefused('postgres://u:hunter2-secret@localhost/films?host=/nowhere/at/all', [/\/nowhere\/at\/all/, /no such socket/]))

  test('there is no such host', () =>
    assertStartRefused('postgres://u:hunter2-secret@db.filmgate.invalid/films', [/db\.filmgate\.invalid:5432/, /no such host/]))

  test('the password is wrong', () => assertStartRefused(url.replace(postgres.password, 'hunter2-secret'), [/localhost:\d+/, /password/]))

  test('the password is missing', () => assertStartRefused(url.replace(`:${postgres.password}@`, '@'), [/localhost:\d+/, /password/]))

  test('there is no such role', () =>
    assertStartRefused(url.replace('//filmgate:', '//nobody-here:'), [/localhost:\d+/, /Check user, password/]))

  test('there is no such database', () =>
    assertStartRefused(url.replace(/\/test_\d+$/, '/no_such_films'), [/no_such_films/, /localhost:\d+/, /no such database/]))

  test('the role may not make tables there', async () => {
    await postgres.query("create role stranger login password 'hunter2-secret'")
    const asStranger = url.replace(`filmgate:${postgres.password}`, 'stranger:hunter2-secret')
    await assertStartRefused(asStranger, [/localhost:\d+/, /owner of the database/])
  })

  test('there is no connection left', async () => {
    await postgres.query('alter role filmgate connection limit 0')
    await assertStartRefused(url, [/localhost:\d+/, /connection/])
    await postgres.query('alter role filmgate connection limit -1')
  })

  test('it takes no writes', async () => {
    await postgres.query('alter role filmgate set default_transaction_read_only = on')
    await assertStartRefused(url, [/localhost:\d+/, /takes no writes/])
    await postgres.query('alter role filmgate reset default_transaction_read_only')
  })

  test('it takes no writes any more, and the schema is there', async () => {
    await (await openDatabase({ url, dataDir: place.dataDir })).close()
    await postgres.query('alter role filmgate set default_transaction_read_only = on')
    await assertStartRefused(url, [/localhost:\d+/, /standby/])
    await postgres.query('alter role filmgate reset default_transaction_read_only')
  })

  for (const encoding of ['LATIN1', 'SQL_ASCII']) {
    test(`its encoding is ${encoding}`, async () => {
      const name = `films_${encoding.toLowerCase()}`
      await postgres.query(`create database ${name} owner filmgate encoding '${encoding}' locale 'C' template template0`)
      await assertStartRefused(url.replace(/\/test_\d+$/, `/${name}`), [new RegExp(encoding), /--encoding=UTF8/])
    })
  }

  test('it stands still', async () => {
    await postgres.pause()
    try {
      await assertStartRefused(url, [/localhost:\d+/, /no answer/])
    } finally {
      postgres.resume()
    }
  })

  test('somebody listens who never says a word', async () => {
    await using silent = await startListener(undefined)
    await assertStartRefused(url.replace(`:${postgres.port}/`, `:${silent.port}/`), [new RegExp(`localhost:${silent.port}`), /no answer/])
  })

  test('it is no PostgreSQL', async () => {
    for (const answer of ['', 'HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n', 'SSH-2.0-x\r\n', '\0'.repeat(100)]) {
      await using other = await startListener(answer)
      await assertStartRefused(url.replace(`:${postgres.port}/`, `:${other.port}/`), [new RegExp(`localhost:${other.port}`)])
    }
  })
})
