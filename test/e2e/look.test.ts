import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import type { Browser, Page } from 'playwright-core'

import { describeUnless, servicesMissing } from '../support/services.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { lowContrasts } from './contrast.ts'
import { button, openBrowser, visit } from './browser.ts'

const schemes = ['light', 'dark'] as const
const genres =
  ',Drama,Comedy,Action,Adventure,Thriller/Suspense,Horror,Romantic Comedy,Musical,Documentary,Western,Black Comedy,Concert/Performance'.split(
    ',',
  )

/** Everything that the page can show at once: a film with hard texts, errors beside fields, a refusal, an answer, a command. */
const fill = async (page: Page, key: string): Promise<void> => {
  await page.locator('#add-key').fill(key)
  await page.getByLabel('Name').fill('W'.repeat(200))
  await page.getByLabel('Genre').fill('G'.repeat(200))
  await page.getByLabel('Director').fill('A director with quite a long name, and a second one, '.repeat(3).trim())
  await button(page, 'Add this film').click()
  await button(page, 'Show it').click()
  await button(page, 'Add a film').click()
  await page.getByLabel('JSON body').fill(`{"name":"${'long'.repeat(100)}"}`)
  await button(page, 'Send').click()
  await page.locator('.answer').waitFor()
  await page.getByLabel('Send an API key').check()
  await page.getByLabel('Year').fill('1')
  await button(page, 'Add this film').click()
  await page.locator('#add .field-error').first().waitFor()
}

describeUnless(servicesMissing('chromium'), 'how the page looks', () => {
  let browser: Browser
  let server: TestServer
  before(async () => {
    browser = await openBrowser()
    server = await startServer()
  })
  after(async () => {
    await browser.close()
    await server[Symbol.asyncDispose]()
  })

  for (const colorScheme of schemes) {
    test(`360 pixels are enough, ${colorScheme}: nothing is cut off or needs scrolling sideways`, async () => {
      await using at = await visit(browser, server.url, { viewport: { width: 360, height: 740 }, colorScheme })
      await fill(at.page, server.key())
      assert.equal(await at.page.evaluate('document.documentElement.scrollWidth'), 360)
      const outside = `[...document.querySelectorAll('main *:not(.unseen, .year, svg *)')]
        .filter((one) => one.checkVisibility() && one.getBoundingClientRect().right > 360).map((one) => one.outerHTML.slice(0, 100))`
      assert.deepEqual(await at.page.evaluate(outside), [])
    })

    test(`contrast, ${colorScheme}: every text as WCAG AA asks`, async () => {
      await using at = await visit(browser, server.url, { colorScheme, reducedMotion: 'reduce' })
      const { page } = at
      const { texts: few } = await lowContrasts(page)
      await fill(page, server.key())
      const { texts, low } = await lowContrasts(page)
      assert.deepEqual(low, [])
      assert.ok(texts > few && few > 20)
      await page.locator('.wordmark').evaluate((one) => one.style.setProperty('color', 'rgb(128 128 128 / 0.5)'))
      assert.equal((await lowContrasts(page)).low.length, 1, 'a planted one is found')
      await page.locator('.wordmark').evaluate((one) => one.style.removeProperty('color'))
      for (const genre of genres) {
        await page.locator('.card').evaluate((card, name) => card.setAttribute('data-genre', name), genre)
        assert.equal(await page.locator('.card').getAttribute('data-genre'), genre)
        assert.deepEqual((await lowContrasts(page)).low, [], genre)
      }
    })
  }

  test('light and dark follow the system', async () => {
    await using at = await visit(browser, server.url, { colorScheme: 'light' })
    const colours = async (): Promise<unknown> =>
      at.page.evaluate('[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color].join()')
    const light = await colours()
    await at.page.emulateMedia({ colorScheme: 'dark' })
    assert.notEqual(await colours(), light)
  })

  test('who asks for less motion sees none', async () => {
    await using at = await visit(browser, server.url, { reducedMotion: 'reduce' })
    const moving = `[...document.querySelectorAll('*')].filter((one) => {
      const { animationName, transitionDuration } = getComputedStyle(one)
      return animationName !== 'none' || transitionDuration !== '0s'
    }).length`
    assert.equal(await at.page.evaluate(moving), 0)
    await at.page.emulateMedia({ reducedMotion: 'no-preference' })
    assert.ok(Number(await at.page.evaluate(moving)) > 0, 'else this proves nothing')
  })

  test('the whole page by keyboard: each stop can be seen, and the first leads past the top', async () => {
    await using at = await visit(browser, server.url)
    const { page } = at
    const stop = `(() => {
      const one = document.activeElement
      const seen = one.matches('[type=radio]') ? one.nextElementSibling : one
      const { outlineStyle, outlineWidth } = getComputedStyle(seen)
      return { name: one.textContent.trim() || one.id || one.type, outline: outlineStyle + ' ' + outlineWidth, end: one === document.body }
    })()`
    const stops: { name: string; outline: string; end: boolean }[] = []
    for (;;) {
      await page.keyboard.press('Tab')
      const here = (await page.evaluate(stop)) as (typeof stops)[number]
      if (here.end) break
      stops.push(here)
    }
    assert.equal(stops[0]?.name, 'To the film')
    assert.ok(stops.length > 20)
    assert.deepEqual(
      stops.filter(({ outline }) => outline !== 'solid 3px'),
      [],
    )
  })

  test('the policy is in force: markup from text, inline script and other servers are refused', async () => {
    const at = await visit(browser, server.url)
    const { page } = at
    await assert.rejects(page.evaluate('document.body.innerHTML = "<b>x</b>"'), /TrustedHTML/)
    await assert.rejects(page.evaluate('fetch("https://example.org/")'), /Failed to fetch/)
    await page.evaluate('document.head.append(Object.assign(document.createElement("style"), { textContent: "body { color: red }" }))')
    for (const word of ['connect-src', 'style-src', 'TrustedHTML'])
      assert.ok(
        at.faults.some((fault) => fault.includes(word)),
        `${word}: ${at.faults.join('\n')}`,
      )
    await page.context().close()
  })
})
