import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'

import type { Browser, Page } from 'playwright-core'

import { claimAdmin, type LoggedIn } from '../support/accounts.ts'
import { describeUnless, servicesMissing } from '../support/services.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { openBrowser, visit } from './browser.ts'

interface Got {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

/** As a script of the page would call. */
const callIn = async (page: Page, url: string, body: unknown, accessToken = ''): Promise<Got> =>
  page.evaluate(
    async ({ url: target, text, token }) => {
      const headers = { 'content-type': 'application/json', ...(token === '' ? {} : { authorization: `Bearer ${token}` }) }
      const answer = await fetch(target, { method: 'POST', credentials: 'include', headers, body: text })
      return { status: answer.status, body: answer.status === 204 ? {} : ((await answer.json()) as Record<string, unknown>) }
    },
    { url, text: JSON.stringify(body), token: accessToken },
  )

const sessionCookies = async (page: Page) => (await page.context().cookies()).filter(({ name }) => name === '__Host-filmgate_session')

describeUnless(servicesMissing('chromium'), 'a session in a real browser', () => {
  let browser: Browser
  let server: TestServer
  let admin: LoggedIn
  /** A name under which the browser keeps secure cookies without TLS. */
  let url: string
  before(async () => {
    browser = await openBrowser()
    server = await startServer()
    admin = await claimAdmin(server)
    url = server.url.replace('127.0.0.1', 'localhost')
  })
  after(async () => {
    await browser.close()
    await server[Symbol.asyncDispose]()
  })

  const logInIn = async (page: Page): Promise<Got> => {
    const { username, password } = admin
    return callIn(page, '/v1/auth/login', { username, password, browser: true })
  }

  test('log in, refresh by the cookie after a reload, log out: no script ever sees the refresh token', async () => {
    await using at = await visit(browser, url)
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
    const next = await callIn(page, '/v1/auth/refresh', {})
    assert.equal(next.status, 200, JSON.stringify(next.body))
    const [rotated] = await sessionCookies(page)
    assert.notEqual(rotated?.value, cookie?.value)
    const stored = await page.evaluate(() => JSON.stringify([localStorage, sessionStorage].map((store) => Object.entries(store))))
    assert.ok(!stored.includes('fgr_') && !stored.includes('eyJ'))
    assert.equal((await callIn(page, '/v1/auth/logout', {})).status, 204)
    assert.deepEqual(await sessionCookies(page), [])
    assert.equal((await callIn(page, '/v1/auth/refresh', {})).status, 401)
  })

  test('attack: a page on another port of the same host, whose requests carry the cookie, and one of another site', async () => {
    const evil = createServer((_request, response) =>
      response.setHeader('content-type', 'text/html').end('<!doctype html><title>evil</title>'),
    )
    await new Promise<void>((listening) => void evil.listen(0, '127.0.0.1', listening))
    const { port } = evil.address() as AddressInfo
    try {
      await using at = await visit(browser, url)
      const { page } = at
      assert.equal((await logInIn(page)).status, 200)
      const [cookie] = await sessionCookies(page)
      // The same profile, or there would be no cookie to use.
      const other = await page.context().newPage()
      for (const origin of [`http://localhost:${port}`, `http://127.0.0.1:${port}`]) {
        await other.goto(origin)
        for (const type of ['application/json', 'text/plain', 'application/x-www-form-urlencoded'])
          for (const route of ['refresh', 'logout']) await attack(other, `${url}/v1/auth/${route}`, type)
      }
      await other.close()
      const [kept] = await sessionCookies(page)
      assert.equal(kept?.value, cookie?.value, 'neither rotated nor cleared')
      assert.equal((await callIn(page, '/v1/auth/refresh', {})).status, 200)
      const reached = server.log().filter(({ path, status }) => /refresh|logout/.test(String(path)) && [403, 415].includes(Number(status)))
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
