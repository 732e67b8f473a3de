import type { Browser, Page } from 'playwright-core'

import { claimAdmin, type LoggedIn } from '../support/accounts.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { openBrowser } from './browser.ts'

/** A browser, and a server with one account. */
export interface AccountScene extends AsyncDisposable {
  readonly browser: Browser
  readonly server: TestServer
  readonly admin: LoggedIn
  /** By a name, which passkeys need, and one that a browser trusts without TLS, which secure cookies need. */
  readonly url: string
}

export const openAccountScene = async (): Promise<AccountScene> => {
  await using opened = new AsyncDisposableStack()
  const server = opened.use(await startServer())
  const browser = opened.adopt(await openBrowser(), (one) => one.close())
  const admin = await claimAdmin(server)
  const kept = opened.move()
  const url = server.url.replace('127.0.0.1', 'localhost')
  return { browser, server, admin, url, [Symbol.asyncDispose]: () => kept.disposeAsync() }
}

export interface Got {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

export interface Call {
  readonly route: string
  readonly body?: unknown
  readonly token?: string
}

/** As a script of the page would call. */
export const call = (page: Page, { route, body, token }: Call): Promise<Got> =>
  page.evaluate(
    async ({ target, text, bearer }) => {
      const headers = {
        ...(text === undefined ? {} : { 'content-type': 'application/json' }),
        ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
      }
      const content = text === undefined ? {} : { body: text }
      const answer = await fetch(target, { method: 'POST', credentials: 'include', headers, ...content })
      return { status: answer.status, body: answer.status === 204 ? {} : ((await answer.json()) as Record<string, unknown>) }
    },
    { target: route, text: body === undefined ? undefined : JSON.stringify(body), bearer: token },
  )
