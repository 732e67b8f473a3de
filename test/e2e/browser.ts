import assert from 'node:assert/strict'

import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'

import { assertPageBuilt } from '../support/built-page.ts'
import { chromiumPath } from '../support/services.ts'

/** A name that leads here but that the browser does not trust as it trusts localhost: no clipboard, as on any plain HTTP address. */
export const plainName = 'filmgate.test'

const quiet = ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update']

/** Debian's Chromium, without a window. `names` lead to this machine; a star stands for all below. `more` are further switches. */
export const openBrowser = async (names: readonly string[] = [plainName], more: readonly string[] = []): Promise<Browser> => {
  assertPageBuilt()
  const executablePath = chromiumPath()
  assert.ok(executablePath)
  // Root, as in containers, has no sandbox. What it opens here is only this server.
  const args = [
    ...quiet,
    '--no-sandbox',
    '--disable-sync',
    `--host-resolver-rules=${names.map((name) => `MAP ${name} 127.0.0.1`).join(', ')}`,
    ...more,
  ]
  return chromium.launch({ executablePath, args })
}

export interface VisitOptions extends BrowserContextOptions {
  /** Before the page's own scripts run. */
  readonly prepare?: (page: Page) => Promise<void>
}

export interface Visit extends AsyncDisposable {
  readonly page: Page
  /** Everything that went wrong in the page so far: errors, violations of its policy, requests to anywhere else. */
  readonly faults: readonly string[]
}

/** What the browser says of each refusal of the API is no fault of the page; of one of its own files it is. */
const isRefusal = (text: string, url: string): boolean =>
  /^Failed to load resource: the server responded with a status of [45]\d\d/.test(text) && !/\/assets\/|\/index\.html/.test(url)

/** Of another Chromium than the list of features was made for: test/e2e/csp.test.ts looks at that. */
const isOtherVersion = (text: string): boolean => text.startsWith('Error with Permissions-Policy header: Unrecognized feature')

/** A browser profile of its own, on the page, with a film on it. Ends with the proof that nothing went wrong meanwhile. */
export const visit = async (browser: Browser, url: string, { prepare, ...options }: VisitOptions = {}): Promise<Visit> => {
  const context = await browser.newContext(options)
  context.setDefaultTimeout(10_000)
  const page = await context.newPage()
  const faults: string[] = []
  page.on('console', (message) => {
    const isFault =
      ['error', 'warning'].includes(message.type()) && !isRefusal(message.text(), message.location().url) && !isOtherVersion(message.text())
    if (isFault) faults.push(`${message.type()}: ${message.text()}`)
  })
  page.on('pageerror', (error) => faults.push(`thrown: ${error.message}`))
  page.on('request', (request) => {
    if (new URL(request.url()).origin !== url) faults.push(`foreign: ${request.url()}`)
  })
  await prepare?.(page)
  await page.goto(`${url}/index.html`)
  await page.locator('[data-film]').waitFor()
  const dispose = async (): Promise<void> => {
    await context.close()
    assert.deepEqual(faults, [])
  }
  return { page, faults, [Symbol.asyncDispose]: dispose }
}

export interface ShownFilm {
  readonly id: number
  readonly name: string
}

export const shownFilm = async (page: Page): Promise<ShownFilm> => ({
  id: Number(await page.locator('[data-film]').getAttribute('data-film')),
  name: (await page.locator('#film-name').textContent()) ?? '',
})

/** Button by its name, whatever keys it shows. */
export const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true })
