import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'

import type { Page } from 'playwright-core'

import { describeUnless, servicesMissing } from '../support/services.ts'
import { type AccountScene, call, type Got, openAccountScene } from './account-scene.ts'
import { visit } from './browser.ts'

const sessionCookies = async (page: Page) => (await page.context().cookies()).filter(({ name }) => name === '__Host-filmgate_session')

describeUnless(servicesMissing('chromium'), 'a session in a real browser', () => {
  let scene: AccountScene
  before(async () => {
    scene = await openAccountScene()
  })
  after(() => scene?.[Symbol.asyncDispose]())

  const logInIn = async (page: Page): Promise<Got> => {
    const { username, password } = scene.admin
    return call(page, { route: '/v1/auth/login', body: { username, password, browser: true } })
  }

  test('log in, refresh by the cookie after a reload, log out: no script ever sees the refresh token', async () => {
    await using at = await visit(scene.browser, scene.url)
    const { page } = at
    const login = await logInIn(page)
    assert.equal(login.status, 200, JSON.stringify(login.body))
    assert.equal(login.body['refresh_token'], undefined)
    const [cookie, ...others] = await sessionCookies(page)
    assert.equal(others.length, 0)
    assert.deepEqual(
      [cookie?.httpOnly, cookie?.secure, cookie?.sameSite, cookie?.path, cookie?.domain],
      [true, true, 'Strict', '/', 'localhost'],
    )
    assert.equal(await page.evaluate('document.cookie'), '')
    await page.reload()
    const next = await call(page, { route: '/v1/auth/refresh', body: {} })
    assert.equal(next.status, 200, JSON.stringify(next.body))
    const [rotated] = await sessionCookies(page)
    assert.notEqual(rotated?.value, cookie?.value)
    const stored = await page.evaluate(() => JSON.stringify([localStorage, sessionStorage].map((store) => Object.entries(store))))
    assert.ok(!stored.includes('fgr_') && !stored.includes('eyJ'))
    assert.equal((await call(page, { route: '/v1/auth/logout', body: {} })).status, 204)
    assert.deepEqual(await sessionCookies(page), [])
    assert.equal((await call(page, { route: '/v1/auth/refresh', body: {} })).status, 401)
  })

  test('attack: a page on another port of the same host, whose requests carry the cookie, and one of another site', async () => {
    const evil = createServer((_request, response) =>
      response.setHeader('content-type', 'text/html').end('<!doctype html><title>evil</title>'),
    )
    await new Promise<void>((listening) => void evil.listen(0, '127.0.0.1', listening))
    const { port } = evil.address() as AddressInfo
    try {
      await using at = await visit(scene.browser, scene.url)
      const { page } = at
      assert.equal((await logInIn(page)).status, 200)
      const [cookie] = await sessionCookies(page)
      // The same profile, or there would be no cookie to use.
      const other = await page.context().newPage()
      for (const origin of [`http://localhost:${port}`, `http://127.0.0.1:${port}`]) {
        await other.goto(origin)
        for (const type of ['application/json', 'text/plain', 'application/x-www-form-urlencoded'])
          for (const route of ['refresh', 'logout']) await attack(other, `${scene.url}/v1/auth/${route}`, type)
      }
      await other.close()
      const [kept] = await sessionCookies(page)
      assert.equal(kept?.value, cookie?.value, 'neither rotated nor cleared')
      assert.equal((await call(page, { route: '/v1/auth/refresh', body: {} })).status, 200)
      const reached = scene.server
        .log()
        .filter(({ path, status }) => /refresh|logout/.test(String(path)) && [403, 415].includes(Number(status)))
      assert.ok(reached.length >= 8, 'the requests that need no leave did reach the server, and were refused')
    } finally {
      evil.closeAllConnections()
      evil.close()
    }
  })
})

/** Without leave to read the answer, as any page may; with it, which the browser asks the server for first. */
const attack = async (page: Page, target: string, type: string): Promise<void> =>
  page.evaluate(
    async (given) => {
      for (const mode of ['no-cors', 'cors'] as const)
        await fetch(given.target, {
          method: 'POST',
          mode,
          credentials: 'include',
          headers: { 'content-type': given.type },
          body: '{}',
        }).catch(() => undefined)
    },
    { target, type },
  )
