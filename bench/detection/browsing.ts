/** People at the page, in a real browser. */
import { setTimeout as pause } from 'node:timers/promises'

import { type BrowserContext, chromium, type Page } from 'playwright-core'

import { assertPageBuilt } from '../../test/support/built-page.ts'
import { chromiumPath } from '../../test/support/services.ts'
import { addressOf, addressOf6 } from './addresses.ts'
import { good } from './crowd.ts'
import type { Field } from './field.ts'
import type { Scenario } from './scenario.ts'

/** Through the proxy that this machine is, in a profile of its own. */
const withPage = async (field: Field, address: string, use: (page: Page, url: string) => Promise<void>): Promise<void> => {
  assertPageBuilt()
  const executablePath = chromiumPath()
  if (executablePath === undefined) throw new Error('there is no Chromium (scripts/services installs it)')
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'] })
  try {
    const context: BrowserContext = await browser.newContext({ extraHTTPHeaders: { 'X-Forwarded-For': address } })
    context.setDefaultTimeout(10_000)
    await use(await context.newPage(), field.server.url)
  } finally {
    await browser.close()
  }
}

const visitPage = async (page: Page, url: string): Promise<void> => {
  await page.goto(`${url}/index.html`)
  await page.locator('[data-film]').waitFor()
}

const press = (page: Page, name: string): Promise<void> => page.getByRole('button', { name, exact: true }).click()

/** Likes, dislikes and goes on, a little slower than a film a second. */
const evening = good('browsing: 12 films at the page, then its docs and a problem page', (field) =>
  withPage(field, addressOf(150), async (page, url) => {
    await visitPage(page, url)
    for (let i = 0; i < 12; i++) {
      await pause(1100)
      await press(page, ['Like', 'Dislike', 'Next'][i % 3] ?? 'Next')
    }
    for (const target of ['/docs', '/problems/quota_exceeded', '/problems/what_is_this', '/film/12', '/index.html'])
      await page.goto(`${url}${target}`)
  }),
)

/** Ten times a second, by the key that the page has for it: nearly all of it is refused. */
const impatient = good('browsing: somebody who keeps a key pressed for 4 s, and loads the page again 10 times', (field) =>
  withPage(field, addressOf6(151), async (page, url) => {
    await visitPage(page, url)
    for (let i = 0; i < 40; i++) {
      await page.keyboard.press('n')
      await pause(100)
    }
    for (let i = 0; i < 10; i++) await page.goto(`${url}/index.html`)
  }),
)

const mistyped = good('browsing: a film added with a key that is not right, five times', (field) =>
  withPage(field, addressOf(152), async (page, url) => {
    await visitPage(page, url)
    for (let i = 0; i < 5; i++) {
      const status = await page.evaluate(
        `fetch('/add_film', { method: 'POST', headers: { 'content-type': 'application/json', authorization: 'Bearer fg_wrong_${i === 3 ? 'er' : ''}' }, body: '{"name":"Dune"}' }).then((answer) => answer.status)`,
      )
      if (status !== 401) throw new Error(`a wrong key was answered with ${String(status)}`)
    }
  }),
)

export const browsing: readonly Scenario[] = [evening, impatient, mistyped]
