import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'

import type { BrowserContext, Frame, Page } from 'playwright-core'

import { makeDevCertificate } from '../../src/tls/dev-certificate.ts'
import type { Origins } from '../cors/cases.ts'
import { openBrowser } from './browser.ts'

/** Pages of other people, in a browser: each of the origins is a page that can send requests. */
export interface ForeignPages extends AsyncDisposable {
  readonly context: BrowserContext
  readonly origins: Omit<Origins, 'own'>
  readonly wildcard: string
  /** Its page is in its own URL, so it has no origin either. */
  readonly dataFrame: Frame
  readonly pageOf: (name: keyof Omit<Origins, 'own'>) => Page | Frame
}

/** One page, one with frames that have no origin, and redirects to wherever the query says. */
const serve: RequestListener = (request, response) => {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost')
  if (pathname === '/redirect') {
    const fields = { location: searchParams.get('to') ?? '', 'access-control-allow-origin': '*', 'access-control-allow-headers': '*' }
    response.writeHead(302, fields).end()
    return
  }
  const frame =
    pathname === '/frame' ? '<iframe sandbox="allow-scripts" src="/"></iframe><iframe src="data:text/html,<title>x</title>"></iframe>' : ''
  response.setHeader('content-type', 'text/html').end(`<!doctype html><title>foreign</title>${frame}`)
}

const listen = async (server: Server): Promise<number> => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

const close = (server: Server): void => {
  server.closeAllConnections()
  server.close()
}

export const openForeignPages = async (): Promise<ForeignPages> => {
  await using opened = new AsyncDisposableStack()
  const plain = Array.from({ length: 3 }, () => opened.adopt(createServer(serve), close))
  const { cert, key } = await makeDevCertificate(Date.now())
  const secure = opened.adopt(createSecureServer({ cert, key }, serve), close)
  const [one, two, three] = await Promise.all(plain.map(listen))
  const tls = await listen(secure)
  const origins = {
    app: `http://localhost:${one}`,
    sub: `https://a.b.films.test:${tls}`,
    partner: `http://localhost:${two}`,
    apex: `https://films.test:${tls}`,
    port: `http://localhost:${three}`,
    scheme: `http://a.films.test:${one}`,
    address: `http://127.0.0.1:${one}`,
    other: `https://evil.test:${tls}`,
    null: 'null',
  }
  const browser = opened.adopt(await openBrowser(['films.test', '*.films.test', 'evil.test']), (it) => it.close())
  // The names of these pages are in no certificate; a page of the API itself may otherwise not send what these tests send.
  const context = await browser.newContext({ ignoreHTTPSErrors: true, bypassCSP: true })
  context.setDefaultTimeout(10_000)
  const pages = new Map<string, Page | Frame>()
  const frames = await framesOf(await context.newPage(), `${origins.other}/frame`)
  for (const [name, origin] of Object.entries(origins).filter(([, value]) => value !== 'null')) {
    const page = await context.newPage()
    await page.goto(origin)
    pages.set(name, page)
  }
  pages.set('null', frames.sandboxed)
  const kept = opened.move()
  return {
    context,
    origins,
    wildcard: `https://*.films.test:${tls}`,
    dataFrame: frames.data,
    pageOf: (name) => pages.get(name)!,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}

const framesOf = async (page: Page, url: string): Promise<{ readonly sandboxed: Frame; readonly data: Frame }> => {
  await page.goto(url)
  const [, sandboxed, data] = page.frames()
  if (sandboxed === undefined || data === undefined) throw new Error('the page has no frames')
  return { sandboxed, data }
}

export interface Sent {
  readonly url: string
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly credentials?: boolean
  readonly body?: string
}

export interface Read {
  readonly status: number
  /** Those that the page was shown. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** As a script of that page would; undefined where the browser does not let it read the answer, or sends nothing. */
export const send = (page: Page | Frame, sent: Sent): Promise<Read | undefined> =>
  page.evaluate(async ({ url, method = 'GET', headers = {}, credentials = false, body }) => {
    try {
      const content = body === undefined ? {} : { body }
      const answer = await fetch(url, { method, headers, credentials: credentials ? 'include' : 'omit', cache: 'no-store', ...content })
      return { status: answer.status, headers: Object.fromEntries(answer.headers), body: await answer.text() }
    } catch {
      return undefined
    }
  }, sent)
