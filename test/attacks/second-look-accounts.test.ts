import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'

import { Client } from 'pg'

import { addUser, bearer, claimAdmin, goodPassword, logIn, type LoggedIn, send, tryLogin, tryRefresh } from '../support/accounts.ts'
import { type Answer, ask } from '../support/attack.ts'
import { databases } from '../support/databases.ts'
import { eventually } from '../support/deadline.ts'
import { openLoginScene } from '../support/login-app.ts'
import { parseAnswer } from '../support/raw.ts'
import { codeAt, enrolTotp } from '../support/second-factor.ts'
import { startServer, type TestServer } from '../support/server.ts'

interface HeldBack {
  /** Sends the rest; resolves with the status of the answer. */
  finish(): Promise<number | undefined>
}

/** A request of whose body one byte is sent. Resolves when the server has let the head through. */
const holdBack = async ({ port }: Pick<TestServer, 'port'>, target: string, token: string, body: unknown): Promise<HeldBack> => {
  const socket = connect({ port, host: '127.0.0.1' })
  const text = JSON.stringify(body)
  let got = ''
  socket.setEncoding('latin1').on('data', (chunk: string) => (got += chunk))
  const fields = [`Host: 127.0.0.1:${port}`, `Authorization: Bearer ${token}`, 'Content-Type: application/json', 'Connection: close']
  const head = [`POST ${target} HTTP/1.1`, ...fields, `Content-Length: ${Buffer.byteLength(text)}`, 'Expect: 100-continue']
  socket.write(`${head.join('\r\n')}\r\n\r\n`)
  await once(socket, 'data')
  const [asked = '', early = ''] = got.split('\r\n\r\n')
  assert.match(asked, /^HTTP\/1\.1 100 /, early)
  socket.write(text.slice(0, 1))
  // Came later and is answered: the head of the other was looked at.
  assert.equal((await ask({ port }, { target: '/v1/films/1', fields: bearer(token) })).status, 200)
  return {
    finish: async () => {
      socket.write(text.slice(1))
      await once(socket, 'close')
      return parseAnswer(got.slice(asked.length + 4)).status
    },
  }
}

const makeKey = async (server: TestServer, { fields }: LoggedIn, scopes: readonly string[]): Promise<{ id: string; key: string }> => {
  const made = await send(server, 'POST', '/v1/keys', { name: 'program', scopes }, { fields })
  assert.equal(made.status, 201, made.body)
  return made.json() as { id: string; key: string }
}

const assertDone = (answer: Answer): void => assert.ok(answer.status === 200 || answer.status === 204, answer.body)

const film = { name: 'Held back', studio: 'Nobody' }

test('attack: an admin that is disabled goes on with a request whose body was held back [ASVS 7.4.2] [ASVS 8.3.2]', async () => {
  await using server = await startServer()
  const ada = await claimAdmin(server)
  const eve = await addUser(server, ada, 'admin', 'eve-the-admin')
  const successor = { username: 'mallory', password: 'nine otters cross the bay', role: 'admin' }
  const [user, key, added] = [
    await holdBack(server, '/v1/users', eve.accessToken, successor),
    await holdBack(server, '/v1/keys', eve.accessToken, { name: 'later', scopes: ['films:delete'] }),
    await holdBack(server, '/add_film', eve.accessToken, film),
  ]
  assertDone(await send(server, 'PATCH', `/v1/users/${eve.subject}`, { disabled: true }, { fields: ada.fields }))
  for (const request of [user, key, added]) assert.equal(await request.finish(), 401)
  const users = await ask(server, { target: '/v1/users', fields: ada.fields })
  assert.ok(!users.body.includes('mallory'), users.body)
})

test('attack: a stolen session makes itself a key after its owner has ended it [ASVS 7.4.1]', async () => {
  await using server = await startServer()
  const ada = await claimAdmin(server)
  const bob = await addUser(server, ada, 'editor')
  const key = await holdBack(server, '/v1/keys', bob.accessToken, { name: 'later', scopes: ['films:write'] })
  assertDone(await ask(server, { method: 'DELETE', target: `/v1/auth/sessions/${bob.sid}`, fields: ada.fields }))
  assert.equal(await key.finish(), 401)
})

test('attack: keys go on with held-back requests when they are revoked, or their owner is less [ASVS 8.3.2]', async () => {
  await using server = await startServer()
  const ada = await claimAdmin(server)
  const bob = await addUser(server, ada, 'editor')
  const [revoked, kept] = [await makeKey(server, bob, ['films:write']), await makeKey(server, bob, ['films:write'])]
  const [first, second, third] = [
    await holdBack(server, '/add_film', revoked.key, film),
    await holdBack(server, '/add_film', kept.key, film),
    await holdBack(server, '/add_film', kept.key, film),
  ]
  assertDone(await ask(server, { method: 'DELETE', target: `/v1/keys/${revoked.id}`, fields: bob.fields }))
  assert.equal(await first.finish(), 401)
  // What is still allowed is answered as if nothing had happened.
  assert.equal(await second.finish(), 201)
  assertDone(await send(server, 'PATCH', `/v1/users/${bob.subject}`, { role: 'viewer' }, { fields: ada.fields }))
  assert.equal(await third.finish(), 403)
})

test('attack: tokens that somebody puts into a path, a query or an agent are read from the log', async () => {
  await using server = await startServer()
  const ada = await claimAdmin(server)
  const { key } = await makeKey(server, ada, ['films:read'])
  const pending = `fgm_${ada.refreshToken.slice(4)}`
  const secrets = [key, ada.refreshToken, pending, ada.accessToken]
  for (const secret of secrets) {
    await ask(server, { target: `/v1/keys/${secret}`, fields: ada.fields })
    await ask(server, { target: `/v1/auth/sessions/${secret}`, fields: bearer(secret) })
    await ask(server, { target: `/${secret}?${secret}=${secret}`, fields: { 'User-Agent': secret, Referer: `http://x/?t=${secret}` } })
  }
  await ask(server, { target: '/v1/films/999999999' })
  await server.logged(({ path }) => path === '/v1/films/999999999')
  const log = JSON.stringify(server.log())
  assert.ok(log.includes('[redacted]'))
  for (const secret of secrets) assert.ok(!log.includes(secret.slice(0, 20)), `the log has ${secret.slice(0, 8)}…`)
})

for (const kind of databases) {
  test(
    `attack (${kind.name}): a stolen session without the second factor takes it away while it is added [ASVS 7.5.1]`,
    { skip: kind.missing },
    async () => {
      await using place = await kind.place()
      await using server = await startServer({ env: place.env })
      const ada = await claimAdmin(server)
      for (let round = 0; round < 15; round++) {
        const bob = await addUser(server, ada, 'viewer', `bob-${round}`)
        const thief = await logIn(server, bob)
        const offered = await ask(server, { method: 'POST', target: '/v1/me/totp', fields: bob.fields })
        const code = codeAt(String(offered.json()['secret']), Date.now())
        const confirming = send(server, 'PUT', '/v1/me/totp', { code }, { fields: bob.fields })
        // Each on a connection of its own, so that they come a little later, one after the other.
        const taking = Array.from({ length: 8 }, () => ask(server, { method: 'DELETE', target: '/v1/me/totp', fields: thief.fields }))
        const [confirmed] = await Promise.all([confirming, ...taking])
        // What is only offered may be taken back by any session, which ends all others: seen before the unit, or by the unit itself.
        if (confirmed.status === 409 || confirmed.status === 401) continue
        assert.equal(confirmed.status, 200, confirmed.body)
        assert.equal((await tryLogin(server, bob)).json()['mfa_required'], true, `round ${round}: the factor is gone`)
      }
    },
  )
}

for (const kind of databases) {
  test(
    `attack (${kind.name}): a reader of the audit trail asks for what the database cannot hold, so that it seems to fail`,
    { skip: kind.missing },
    async () => {
      await using place = await kind.place()
      await using server = await startServer({ env: place.env })
      const { fields } = await claimAdmin(server)
      for (const name of ['actor', 'action', 'target']) {
        assert.equal((await ask(server, { target: `/v1/audit?${name}=a%00b`, fields })).status, 400, name)
        // Half a surrogate pair is read as U+FFFD.
        assert.equal((await ask(server, { target: `/v1/audit?${name}=%ED%A0%80`, fields })).status, 200, name)
      }
      assert.deepEqual(
        server.log().filter(({ event }) => event === 'sys_store_failure'),
        [],
      )
    },
  )
}

const onPostgres = databases.filter(({ name }) => name === 'postgres')

for (const kind of onPostgres) {
  test(
    'attack: a login with the old password is half done at the moment in which the password is changed [ASVS 7.4.3]',
    { skip: kind.missing },
    async () => {
      await using place = await kind.place()
      await using server = await startServer({ env: place.env })
      const ada = await claimAdmin(server)
      await enrolTotp(server, ada, Date.now())
      const [change, look] = [new Client({ connectionString: place.url }), new Client({ connectionString: place.url })]
      try {
        await Promise.all([change.connect(), look.connect()])
        // What the unit of a new password does, stopped before its end.
        await change.query('begin')
        await change.query('update account set epoch = epoch + 1')
        await change.query('delete from pending_login')
        const begun = tryLogin(server, ada)
        const waiting = "select pid from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
        const isHeld = eventually(10_000, 'the login waits for the change', async () => (await look.query(waiting)).rows.length > 0)
        await Promise.race([begun, isHeld])
        await change.query('commit')
        assert.equal((await begun).status, 401)
      } finally {
        await Promise.all([change.end(), look.end()])
      }
    },
  )
}

for (const kind of databases) {
  test(
    `attack (${kind.name}): a used refresh token is sent again and again, so that all credentials are asked about anew`,
    { skip: kind.missing },
    async () => {
      await using scene = await openLoginScene(kind)
      const { app } = scene
      await app.addAccount('ada')
      const first = await logIn(app, { username: 'ada', password: goodPassword })
      assert.equal((await tryRefresh(app, first.refreshToken)).status, 200)
      assert.equal((await tryRefresh(app, first.refreshToken)).status, 401)
      const generation = (): number => app.parts.changes.generation() ?? NaN
      const before = generation()
      for (let time = 0; time < 20; time++) assert.equal((await tryRefresh(app, first.refreshToken)).status, 401)
      // That of the first time may be heard late, once from here and once from the database.
      assert.ok(generation() - before <= 2, `${generation() - before} times`)
    },
  )
}

test('attack: others keep the hashes busy, so that changes of a password that nobody looked at lock its owner out', async () => {
  const guesses = 24
  await using server = await startServer({ env: { FILMGATE_AUTH_LOGIN_FAILURES: `${guesses} per 15 minutes` } })
  const ada = await claimAdmin(server)
  const change = (current: string): Promise<Answer> =>
    send(server, 'PUT', '/v1/me/password', { current_password: current, new_password: goodPassword }, { fields: ada.fields })
  // Some more than may wait: the password is right, and those that are looked at hear that it is no new one.
  const flood = await Promise.all(Array.from({ length: guesses }, () => change(goodPassword)))
  assert.ok(flood.some(({ status }) => status === 503))
  for (let time = 0; time < guesses; time++) assert.equal((await change('not the password of ada')).status, 403, `guess ${time}`)
  assert.equal((await change('not the password of ada')).status, 429)
})
