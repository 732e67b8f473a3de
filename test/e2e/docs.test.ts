import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import type { Browser, Page } from 'playwright-core'

import { docsPage } from '../../src/api/site/docs/page.ts'
import type { ApiDescription } from '../../src/api/site/document.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { describeUnless, servicesMissing } from '../support/services.ts'
import { openBrowser } from './browser.ts'
import { lowContrasts } from './contrast.ts'

const paths = ['/docs', '/problems/quota_exceeded'] as const

describeUnless(servicesMissing('chromium'), 'the pages to read', () => {
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

  const open = async (path: string, options: Parameters<Browser['newContext']>[0] = {}): Promise<Page> => {
    const page = await (await browser.newContext(options)).newPage()
    await page.goto(server.url + path)
    return page
  }

  for (const colorScheme of ['light', 'dark'] as const) {
    test(`360 pixels are enough, ${colorScheme}: nothing is cut off or needs scrolling sideways`, async () => {
      for (const path of paths) {
        const page = await open(path, { viewport: { width: 360, height: 740 }, colorScheme })
        await page.evaluate(`for (const one of document.querySelectorAll('details')) one.open = true`)
        assert.equal(await page.evaluate('document.documentElement.scrollWidth'), 360)
        const outside = `[...document.querySelectorAll('main *:not(pre *)')].filter((one) => one.getBoundingClientRect().right > 360)
          .map((one) => one.outerHTML.slice(0, 100))`
        assert.deepEqual(await page.evaluate(outside), [])
        await page.context().close()
      }
    })

    test(`contrast, ${colorScheme}: every text as WCAG AA asks`, async () => {
      for (const path of paths) {
        const page = await open(path, { colorScheme })
        await page.evaluate(`for (const one of document.querySelectorAll('details')) one.open = true`)
        const { texts, low } = await lowContrasts(page)
        assert.deepEqual(low, [])
        assert.ok(texts > (path === '/docs' ? 1000 : 20), String(texts))
        await page.locator('h1').evaluate((one) => one.style.setProperty('color', 'rgb(128 128 128 / 0.5)'))
        assert.equal((await lowContrasts(page)).low.length, 1, 'a planted one is found')
        await page.context().close()
      }
    })
  }

  test('light and dark follow the system', async () => {
    const page = await open('/docs', { colorScheme: 'light' })
    const colours = (): Promise<unknown> =>
      page.evaluate('[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color].join()')
    const light = await colours()
    await page.emulateMedia({ colorScheme: 'dark' })
    assert.notEqual(await colours(), light)
    await page.context().close()
  })

  test('by keyboard: the first stop leads past the contents, each stop can be seen', async () => {
    const page = await open('/docs')
    await page.keyboard.press('Tab')
    assert.equal(await page.evaluate('document.activeElement.textContent'), 'To the text')
    assert.equal(await page.evaluate(`getComputedStyle(document.activeElement).outlineStyle`), 'solid')
    await page.keyboard.press('Enter')
    assert.equal(await page.evaluate('location.hash'), '#start')
    await page.keyboard.press('Tab')
    assert.equal(await page.evaluate(`document.activeElement.closest('main') !== null`), true)
    await page.context().close()
  })

  test('headings form an outline, and every call has its own place', async () => {
    const page = await open('/docs')
    const levels = await page.evaluate<number[]>(`[...document.querySelectorAll('h1, h2, h3, h4')].map((one) => Number(one.tagName[1]))`)
    assert.equal(levels.filter((level) => level === 1).length, 1)
    for (const [i, level] of levels.entries()) assert.ok(level <= (levels[i - 1] ?? 0) + 1, `heading ${i}`)
    await page.goto(`${server.url}/docs#filmById`)
    assert.equal(await page.locator('article:target h3').textContent(), 'GET /v1/films/{id}')
    await page.context().close()
  })

  test('without scripts it is the same page', async () => {
    const [withThem, without] = [await open('/docs'), await open('/docs', { javaScriptEnabled: false })]
    assert.equal(await without.content(), await withThem.content())
    await Promise.all([withThem.context().close(), without.context().close()])
  })

  test('hostile text in the description is text to a browser, too: nothing runs even where no policy is', async () => {
    const { body } = await fetch(`${server.url}/openapi.json`).then(async (answer) => ({ body: await answer.text() }))
    const payload = `"'></code></pre></style><script>planted = 1</script><img src=x onerror=planted=1><a href=javascript:planted=1>`
    const escaped = JSON.stringify(payload).slice(1, -1)
    // Every text that is not a name of OpenAPI's own.
    const hostile = body.replaceAll(
      /"(description|summary|title|operationId|pattern|format|name)":"((?:[^"\\]|\\.)*)"/g,
      `"$1":"$2${escaped}"`,
    )
    assert.ok(hostile.length > body.length + 1000 * 50)
    const page = await (await browser.newContext()).newPage()
    await page.setContent(docsPage(JSON.parse(hostile) as ApiDescription, `https://films.example/${payload}`))
    assert.ok((await page.locator('body').textContent())?.includes(payload))
    assert.equal(await page.locator('script, img, iframe, [onerror], [onload], [href^="javascript:" i], style ~ style').count(), 0)
    assert.equal(await page.evaluate('window.planted'), undefined)
    await page.context().close()
  })
})
