import assert from 'node:assert/strict'
import { test } from 'node:test'

import { goodPassword, listSessions, logIn, send, tryLogin } from '../support/accounts.ts'
import type { Answer } from '../support/attack.ts'
import { databases } from '../support/databases.ts'
import { type LoginApp, openLoginScene } from '../support/login-app.ts'
import { describeUnless } from '../support/services.ts'

const ada = { username: 'ada', password: goodPassword }
const name = '__Host-filmgate_session'
/** What a browser says of a request from our own page. */
const ownPage = { Origin: 'http://localhost', 'Sec-Fetch-Site': 'same-origin' }
const cleared = `${name}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0`

type Fields = Readonly<Record<string, string | readonly string[]>>

const browserLogin = (app: LoginApp, fields: Fields = ownPage): Promise<Answer> =>
  send(app, 'POST', '/v1/auth/login', { ...ada, browser: true }, { fields })

const call = (
  app: LoginApp,
  route: 'refresh' | 'logout',
  cookie: string | readonly string[],
  fields: Fields = ownPage,
  body: unknown = {},
) => send(app, 'POST', `/v1/auth/${route}`, body, { fields: { ...fields, Cookie: cookie } })

/** `name=value` of the cookie that was set. */
const cookieOf = (answer: Answer): string => {
  const pair = answer.field('set-cookie')?.split(';')[0] ?? ''
  assert.match(pair, /^__Host-filmgate_session=fgr_[A-Za-z0-9_-]{43}$/)
  return pair
}

const maxAge = (answer: Answer): number => Number(/Max-Age=(\d+)$/.exec(answer.field('set-cookie') ?? '')?.[1])

const bearerOf = (answer: Answer) => ({ fields: { Authorization: `Bearer ${String(answer.json()['access_token'])}` } })

/** Foreign in any way that a browser can tell of, or nothing that says that it is ours. */
const foreign: readonly Fields[] = [
  {},
  { Origin: 'https://evil.example' },
  { Origin: 'null' },
  { Origin: '' },
  { Origin: 'http://localhost.evil.example' },
  { Origin: 'http://evil.localhost' },
  { Origin: 'http://localhost:8080' },
  { Origin: 'file://localhost' },
  { Origin: 'http://localhost', 'Sec-Fetch-Site': 'cross-site' },
  { Origin: 'http://localhost', 'Sec-Fetch-Site': 'same-site' },
  { Origin: 'https://evil.example', 'Sec-Fetch-Site': 'same-origin' },
  { 'Sec-Fetch-Site': 'cross-site' },
  { 'Sec-Fetch-Site': 'same-site' },
  { 'Sec-Fetch-Site': 'none' },
  { 'Sec-Fetch-Site': 'SAME-ORIGIN' },
  { Referer: 'http://localhost/index.html' },
]

for (const kind of databases) {
  describeUnless(kind.missing, `attacks on browser mode, ${kind.name}`, () => {
    test('[ASVS 10.1.1] the refresh token is in the cookie alone, which no script, no other host and no plain connection sees', async () => {
      await using scene = await openLoginScene(kind)
      const { app } = scene
      await app.addAccount('ada')
      const answer = await browserLogin(app)
      assert.equal(answer.status, 200, answer.body)
      assert.deepEqual(Object.keys(answer.json()), ['access_token', 'token_type', 'expires_in'])
      const fourteenDays = 14 * 86_400
      const attributes = `Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=${fourteenDays}`
      const cookie = cookieOf(answer)
      assert.equal(answer.field('set-cookie'), `${cookie}; ${attributes}`)
      assert.ok(!answer.body.includes('fgr_'))
      const next = await call(app, 'refresh', cookie)
      assert.equal(next.status, 200, next.body)
      assert.deepEqual(Object.keys(next.json()), ['access_token', 'token_type', 'expires_in'])
      assert.equal(next.field('set-cookie'), `${cookieOf(next)}; ${attributes}`)
      assert.notEqual(cookieOf(next), cookie)
      assert.equal((await listSessions(app, bearerOf(next))).status, 200)
    })

    test('the cookie never outlives the session', async () => {
      await using scene = await openLoginScene(kind, { maxAgeMs: 3_600_000, idleMs: 3_000_000 })
      const { app, clock } = scene
      await app.addAccount('ada')
      const first = await browserLogin(app)
      assert.equal(maxAge(first), 3000)
      clock.advance(1_500_000)
      const second = await call(app, 'refresh', cookieOf(first))
      assert.equal(maxAge(second), 2100)
    })

    test('attack: another page uses the cookie of its visitor, or logs the visitor in: refused, and nothing has happened', async () => {
      await using scene = await openLoginScene(kind)
      const { app } = scene
      await app.addAccount('ada')
      const cookie = cookieOf(await browserLogin(app))
      for (const fields of foreign) {
        for (const route of ['refresh', 'logout'] as const) {
          const answer = await call(app, route, cookie, fields)
          assert.equal(answer.status, 403, `${route} ${JSON.stringify(fields)}`)
          // To clear it would be a logout by a foreign page.
          assert.equal(answer.field('set-cookie'), undefined)
        }
        const planted = await browserLogin(app, fields)
        assert.equal(planted.status, 403, JSON.stringify(fields))
        assert.equal(planted.field('set-cookie'), undefined)
      }
      assert.equal(app.events.filter(({ event }) => event === 'session_created').length, 1)
      assert.equal((await call(app, 'refresh', cookie)).status, 200, 'the cookie was not used up')
    })

    test('either of the two fields is enough where a browser sends one', async () => {
      await using scene = await openLoginScene(kind)
      const { app } = scene
      await app.addAccount('ada')
      for (const fields of [{ Origin: 'http://localhost' }, { 'Sec-Fetch-Site': 'same-origin' }, { Origin: 'https://localhost' }])
        assert.equal((await browserLogin(app, fields)).status, 200, JSON.stringify(fields))
    })

    test('attack: two cookies of that name, one of them planted: neither is used, both are cleared', async () => {
      await using scene = await openLoginScene(kind)
      const { app } = scene
      await app.addAccount('ada')
      const [own, planted] = [cookieOf(await browserLogin(app)), cookieOf(await browserLogin(app))]
      for (const cookies of [`${own}; ${planted}`, `${planted};${own}`, `a=b; ${own}; ${own}`, [own, planted]]) {
        for (const route of ['refresh', 'logout'] as const) {
          const answer = await call(app, route, cookies)
          assert.equal(answer.status, 400, JSON.stringify(cookies))
          assert.equal(answer.field('set-cookie'), cleared)
        }
      }
      for (const cookie of [own, planted]) assert.equal((await call(app, 'refresh', cookie)).status, 200)
    })

    test('attack: a cookie and a body token at once, and each in the place of the other', async () => {
      await using scene = await openLoginScene(kind)
      const { app } = scene
      await app.addAccount('ada')
      const cookie = cookieOf(await browserLogin(app))
      const inCookie = cookie.slice(name.length + 1)
      const { refreshToken: inBody } = await logIn(app, ada)
      for (const route of ['refresh', 'logout'] as const)
        assert.equal((await call(app, route, cookie, ownPage, { refresh_token: inBody })).status, 400)
      // Stolen out of the cookie, or planted into one.
      assert.equal((await send(app, 'POST', '/v1/auth/refresh', { refresh_token: inCookie })).status, 401)
      const planted = await call(app, 'refresh', `${name}=${inBody}`)
      assert.deepEqual([planted.status, planted.field('set-cookie')], [401, cleared])
      assert.equal((await call(app, 'refresh', cookie)).status, 200, 'nothing was used up')
      assert.equal((await send(app, 'POST', '/v1/auth/refresh', { refresh_token: inBody })).status, 200)
    })

    test('attack: names that only look like the cookie, values that only look like a token', async () => {
      await using scene = await openLoginScene(kind)
      const { app } = scene
      await app.addAccount('ada')
      const token = cookieOf(await browserLogin(app)).slice(name.length + 1)
      for (const other of [
        `__host-filmgate_session=${token}`,
        `filmgate_session=${token}`,
        `x${name}=${token}`,
        `${name}x=${token}`,
        `${name} =${token}`,
        `%5F_Host-filmgate_session=${token}`,
        `a="; ${name}"=${token}`,
      ])
        assert.equal((await call(app, 'refresh', other)).status, 401, other)
      for (const value of [`"${token}"`, '', `${token},x`, `${token}%20`, token.toUpperCase()]) {
        const answer = await call(app, 'refresh', `${name}=${value}`)
        assert.deepEqual([answer.status, answer.field('set-cookie')], [401, cleared], value)
      }
      assert.equal((await call(app, 'refresh', `theme=dark; ${name}=${token}; lang=en`)).status, 200)
    })

    test('[ASVS 7.4.1] logout by the cookie ends the session and clears it; a refused cookie is cleared, too', async () => {
      await using scene = await openLoginScene(kind)
      const { app } = scene
      await app.addAccount('ada')
      const login = await browserLogin(app)
      const out = await call(app, 'logout', cookieOf(login))
      assert.deepEqual([out.status, out.field('set-cookie')], [204, cleared])
      assert.equal((await listSessions(app, bearerOf(login))).status, 401)
      const answer = await call(app, 'refresh', cookieOf(login))
      assert.deepEqual([answer.status, answer.field('set-cookie')], [401, cleared])
      assert.equal((await call(app, 'logout', cookieOf(login))).status, 204)
    })

    test('[ASVS 10.4.5] attack: a stolen cookie is used a second time: the session ends', async () => {
      await using scene = await openLoginScene(kind)
      const { app } = scene
      await app.addAccount('ada')
      const first = await browserLogin(app)
      const second = await call(app, 'refresh', cookieOf(first))
      assert.equal((await call(app, 'refresh', cookieOf(first))).status, 401)
      assert.equal((await call(app, 'refresh', cookieOf(second))).status, 401)
      assert.equal((await listSessions(app, bearerOf(second))).status, 401)
    })

    test('[ASVS 7.2.4] who logs in anew in the same browser leaves no session behind', async () => {
      await using scene = await openLoginScene(kind)
      const { app } = scene
      await app.addAccount('ada')
      const first = await browserLogin(app)
      const second = await browserLogin(app, { ...ownPage, Cookie: cookieOf(first) })
      assert.equal((await listSessions(app, bearerOf(first))).status, 401)
      const listed = (await listSessions(app, bearerOf(second))).json()['items'] as { browser: boolean }[]
      assert.deepEqual(
        listed.map(({ browser }) => browser),
        [true],
      )
      assert.equal((await tryLogin(app, ada)).status, 200)
    })
  })
}
