import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { after, before, test } from 'node:test'

import { type Authority, type Certificate, createAuthority } from '../support/certificates.ts'
import { type Place, postgresPlace } from '../support/databases.ts'
import { eventually } from '../support/deadline.ts'
import { becomesReady, readiness } from '../support/health.ts'
import { type PostgresServer, startPostgres } from '../support/postgres.ts'
import { assertStartRefused } from '../support/refused-start.ts'
import { startServer } from '../support/server.ts'
import { describeUnless, servicesMissing } from '../support/services.ts'

const verified = (url: string, authority: Authority): string =>
  `${url}?sslmode=verify-full&sslrootcert=${encodeURIComponent(authority.file)}`

const replaceCertificate = async (postgres: PostgresServer, { certificate, key }: Certificate): Promise<void> => {
  // As a server is moved to another machine: all connections are made anew.
  await postgres.stop('SIGINT')
  writeFileSync(join(postgres.folder, 'server.crt'), certificate)
  writeFileSync(join(postgres.folder, 'server.key'), key)
  await postgres.start()
}

/** Takes the place of the server, answers the request for TLS with these bytes, and remembers what it is told. */
const startImpostor = async (answer: string) => {
  const heard: Buffer[] = []
  const impostor = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.on('data', (bytes: Buffer) => {
      heard.push(bytes)
      if (heard.length === 1) socket.write(answer)
    })
  }).listen(0, '127.0.0.1')
  await once(impostor, 'listening')
  return {
    port: (impostor.address() as AddressInfo).port,
    heard: () => Buffer.concat(heard),
    [Symbol.asyncDispose]: async () => {
      impostor.close()
      await once(impostor, 'close')
    },
  }
}

describeUnless(servicesMissing('postgres', 'openssl'), 'somebody between the program and its PostgreSQL', () => {
  let ours: Authority
  let theirs: Authority
  let postgres: PostgresServer
  let place: Place
  let url: string

  before(async () => {
    ours = createAuthority('ours')
    theirs = createAuthority('theirs')
    postgres = await startPostgres({ tcp: { tls: ours.issue('localhost') } })
    place = await postgresPlace(postgres)
    url = postgres.tcpUrl(place.url)
  })
  after(async () => {
    await place[Symbol.asyncDispose]()
    await postgres[Symbol.asyncDispose]()
    ours[Symbol.dispose]()
    theirs[Symbol.dispose]()
  })

  test('the right certificate: every connection is encrypted, also when the server comes back; another one is never spoken to', async () => {
    const env = { ...place.env, DATABASE_URL: verified(url, ours) }
    await using server = await startServer({ dataDir: place.dataDir, env })
    const connections = (): Promise<unknown[]> =>
      postgres.query(
        "select s.ssl, s.version in ('TLSv1.2', 'TLSv1.3') as modern from pg_stat_ssl s join pg_stat_activity a using (pid) where a.usename = 'filmgate'",
      )
    const encrypted = async (): Promise<void> => {
      const found = await connections()
      assert.ok(found.length >= 2)
      assert.deepEqual(
        found,
        found.map(() => ({ ssl: true, modern: true })),
      )
    }
    await becomesReady(server)
    await encrypted()

    await replaceCertificate(postgres, theirs.issue('localhost'))
    await eventually(10_000, 'it is noticed', async () => (await readiness(server)).status === 503)
    assert.equal((await fetch(`${server.url}/v1/films/1`)).status, 503)
    assert.deepEqual(await connections(), [])

    await replaceCertificate(postgres, ours.issue('localhost'))
    await becomesReady(server)
    await encrypted()
    assert.equal(await server.kill('SIGTERM'), 0)
    assert.ok(!(server.stderr() + JSON.stringify(server.log())).includes(postgres.password))
  })

  test('a certificate of another authority is refused', () =>
    assertStartRefused(verified(url, theirs), [/localhost:\d+/, /not signed by a trusted authority/]))

  test('without sslrootcert the authorities of the system decide', () =>
    assertStartRefused(`${url}?sslmode=verify-full`, [/localhost:\d+/, /not signed by a trusted authority/]))

  test('the right certificate of the wrong host is refused', async () => {
    await replaceCertificate(postgres, ours.issue('db.example.test'))
    await assertStartRefused(verified(url, ours), [/localhost:\d+/, /certificate is for another host/])
  })

  test('the right authority for the wrong address is refused', async () => {
    await replaceCertificate(postgres, ours.issue('localhost'))
    await assertStartRefused(verified(url.replace('@localhost:', '@127.0.0.1:'), ours), [/127\.0\.0\.1:\d+/, /for another host/])
  })

  test('a certificate that has expired is refused', async () => {
    await replaceCertificate(postgres, ours.issue('localhost', -1))
    await assertStartRefused(verified(url, ours), [/localhost:\d+/, /expired/])
  })

  /** What it may answer to the request for TLS (PostgreSQL manual, section 55.2.10), and more. */
  const impostors: Readonly<Record<string, string>> = {
    'says that it has no TLS': 'N',
    'says so and asks for the password at once': 'NR\0\0\0\b\0\0\0\u0003',
    'puts words into the mouth of the server before TLS begins (CVE-2021-23222)': 'SR\0\0\0\b\0\0\0\0',
    'tells an error before anything is proven': 'ESERROR\0Mgive me the password\0\0',
    'says nothing that is known': 'HTTP/1.1 400 Bad Request\r\n\r\n',
  }
  for (const [deed, answer] of Object.entries(impostors)) {
    test(`a server that ${deed} learns nothing`, async () => {
      await using impostor = await startImpostor(answer)
      const misled = url.replace(`:${postgres.port}/`, `:${impostor.port}/`)
      await assertStartRefused(verified(misled, ours), [new RegExp(`localhost:${impostor.port}`)])
      assert.ok(impostor.heard().length >= 8)
      // The request for TLS, and at most the first message of TLS: neither holds the user, the database or the password.
      assert.doesNotMatch(impostor.heard().toString('latin1'), new RegExp(`filmgate|test_1|${postgres.password}`))
    })
  }
})
