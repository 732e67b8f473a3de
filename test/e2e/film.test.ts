import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import type { Browser, Page, Route } from 'playwright-core'

import { query } from '../support/attack.ts'
import { eventually } from '../support/deadline.ts'
import { describeUnless, servicesMissing } from '../support/services.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { button, openBrowser, shownFilm, visit } from './browser.ts'

const receipt = (page: Page, words: string) => page.locator('.receipt', { hasText: words }).waitFor()

const votes = (server: TestServer): Record<string, unknown>[] => query(server, 'select film_id, value from vote order by film_id')

const verdicts = (server: TestServer): unknown[] =>
  server
    .log()
    .filter(({ msg, route }) => msg === 'request' && route === '/')
    .map(({ verdict }) => verdict)

describeUnless(servicesMissing('chromium'), 'a film, as a person meets it', () => {
  let browser: Browser
  before(async () => {
    browser = await openBrowser()
  })
  after(() => browser.close())

  test('likes and dislikes by mouse are in the database, and each brings the next film', async () => {
    await using server = await startServer()
    await using at = await visit(browser, server.url)
    const { page } = at
    const first = await shownFilm(page)
    await button(page, 'Like').click()
    await receipt(page, `Liked ${first.name}.`)
    const second = await shownFilm(page)
    await button(page, 'Dislike').click()
    await receipt(page, `Disliked ${second.name}.`)
    const third = await shownFilm(page)
    await button(page, 'Next').click()
    await page.locator(`[data-film]:not([data-film="${third.id}"])`).waitFor()
    const expected = [
      { film_id: first.id, value: 1 },
      { film_id: second.id, value: -1 },
    ]
    assert.deepEqual(
      votes(server),
      expected.toSorted((a, b) => a.film_id - b.film_id),
    )
    const [stored] = query(server, 'select name from film where id = ?', first.id)
    assert.equal(stored?.['name'], first.name)
  })

  test('every action has a key; none acts while somebody types, or with the keys switched off', async () => {
    await using server = await startServer()
    await using at = await visit(browser, server.url)
    const { page } = at
    // The same film may come twice: then its second vote replaces the first.
    const voted = new Set<number>()
    for (const [key, words] of [
      ['l', 'Liked'],
      ['d', 'Disliked'],
      ['ArrowRight', 'Liked'],
      ['ArrowLeft', 'Disliked'],
    ] as const) {
      const { id, name } = await shownFilm(page)
      voted.add(id)
      await page.keyboard.press(key)
      await receipt(page, `${words} ${name}.`)
      await page.locator(`[data-film]:not([data-film="${id}"])`).waitFor()
    }
    assert.equal(votes(server).length, voted.size, 'votes')
    const { id } = await shownFilm(page)
    await page.keyboard.press('n')
    await page.locator(`[data-film]:not([data-film="${id}"])`).waitFor()

    const shown = await shownFilm(page)
    await page.getByLabel('Studio').focus()
    await page.keyboard.type('land')
    await page.keyboard.press('Control+l')
    await page.getByRole('checkbox', { name: /^Keys:/ }).uncheck()
    await button(page, 'Add a film').focus()
    await page.keyboard.press('l')
    await page.getByRole('checkbox', { name: /^Keys:/ }).check()
    assert.deepEqual(await shownFilm(page), shown)
    assert.equal(await page.getByLabel('Studio').inputValue(), 'land')
    assert.equal(votes(server).length, voted.size, 'votes')
  })

  test('a button keeps the focus, and what happened is said aloud', async () => {
    await using server = await startServer()
    await using at = await visit(browser, server.url)
    const { page } = at
    const { name } = await shownFilm(page)
    await button(page, 'Like').focus()
    await page.keyboard.press('Enter')
    await receipt(page, `Liked ${name}.`)
    assert.equal(await page.evaluate('document.activeElement.textContent.startsWith("Like")'), true)
    const next = await shownFilm(page)
    const announced = await page.locator('.stage > [role=status]').textContent()
    assert.ok(announced?.startsWith(`Liked ${name}. Now: ${next.name}`), announced ?? '')
  })

  test('the ring follows the fields of the answers; what is pressed too early waits its second, and is not refused', async () => {
    await using server = await startServer({ toml: '' })
    await using at = await visit(browser, server.url)
    const { page } = at
    await page.getByText('49 of 50 left this hour').waitFor()
    assert.equal(await page.locator('.ring .left').getAttribute('stroke-dasharray'), '98 100')
    await button(page, 'Next').click()
    await button(page, 'Next').click()
    await page.getByText('48 of 50 left this hour').waitFor()
    await button(page, 'Like').click()
    await page.getByText('47 of 50 left this hour').waitFor()
    assert.match((await page.locator('.quota .fine').textContent()) ?? '', /^more in (1 h|5\d min( \d+ s)?)$/)
    await page.reload()
    await page.getByText('46 of 50 left this hour').waitFor()
    await eventually(5000, 'four good answers in the log', () => verdicts(server).filter((one) => one === 'ok').length === 4)
    // After a reload the page knows nothing of the second that is not over: it is told once, and waits.
    assert.deepEqual(
      verdicts(server).filter((one) => one !== 'ok'),
      verdicts(server).slice(3, -1),
    )
  })

  test('a quota that is used up is counted down, and then all works again by itself', async () => {
    await using server = await startServer({ toml: '[limits.routes]\n"GET /" = { only = "2 per 10 seconds" }\n' })
    await using at = await visit(browser, server.url)
    const { page } = at
    // Somebody else on the same address takes the second one, which the page cannot know.
    assert.equal((await fetch(server.url)).status, 200)
    const { id } = await shownFilm(page)
    await button(page, 'Next').click()
    await page.getByText(/^Next film in \d+ s$/).waitFor()
    assert.equal(await button(page, 'Next').getAttribute('aria-disabled'), 'true')
    await page.keyboard.press('n')
    await page.getByText(/^Next film in/).waitFor({ state: 'detached', timeout: 20_000 })
    assert.equal(await button(page, 'Next').getAttribute('aria-disabled'), 'false')
    await button(page, 'Next').click()
    await page.locator(`[data-film]:not([data-film="${id}"])`).waitFor()
    await eventually(5000, 'four lines in the log', () => verdicts(server).length === 4)
    assert.deepEqual(verdicts(server), ['ok', 'ok', 'quota_exceeded', 'ok'])
  })

  test('a refusal is shown with its title, its detail and the id that is in the log', async () => {
    await using server = await startServer({ toml: '[votes]\nanonymous = false\n' })
    await using at = await visit(browser, server.url)
    const { page } = at
    const shown = await shownFilm(page)
    await button(page, 'Like').click()
    const note = page.getByRole('alert')
    await note.getByText('Anonymous votes are switched off here.').waitFor()
    const id = await note.locator('code').textContent()
    const record = await server.logged(({ request_id: known }) => known === id)
    assert.equal(record['verdict'], 'unauthenticated')
    assert.deepEqual(await shownFilm(page), shown, 'the film is still there')
  })

  test('what stands between may answer instead: that is told, and the page goes on', async () => {
    await using server = await startServer()
    await using at = await visit(browser, server.url)
    const { page } = at
    const { name } = await shownFilm(page)
    const problem = { status: 503, contentType: 'application/problem+json', body: '{"title":"Busy","detail":"Come back later."}' }
    const answers: readonly (readonly [Parameters<Route['fulfill']>[0], string])[] = [
      [{ contentType: 'text/html', body: '<p>Sign in</p>' }, 'The answer cannot be read'],
      [{ contentType: 'application/json', body: 'null' }, 'The answer cannot be read'],
      [{ status: 502, contentType: 'text/html', body: '<p>Bad gateway</p>' }, 'The server answered 502 Bad Gateway'],
      [{ status: 429, headers: { 'retry-after': '1' } }, 'The server answered 429 Too Many Requests'],
      [{ ...problem, headers: { 'retry-after': '4' } }, 'Busy'],
    ]
    for (const [answer, title] of answers) {
      await page.route(`${server.url}/?like=*`, (route) => route.fulfill(answer))
      await button(page, 'Like').click()
      await page.getByRole('alert').getByText(title).waitFor()
      await page.unroute(`${server.url}/?like=*`)
    }
    await page.getByText(/^Next film in \d s$/).waitFor()
    await page.keyboard.press('l')
    assert.match((await page.locator('.stage > [role=status]').textContent()) ?? '', /^Not yet: there is a pause of \d s\.$/)
    await page.getByText(/^Next film in/).waitFor({ state: 'detached' })
    await button(page, 'Like').click()
    await receipt(page, `Liked ${name}.`)
    assert.equal(await page.getByRole('alert').count(), 0)
  })

  test('a server that stands still is not waited for without end', async () => {
    await using server = await startServer()
    await using at = await visit(browser, server.url)
    const { page } = at
    server.process.kill('SIGSTOP')
    await button(page, 'Next').click()
    await button(page, 'Send').click()
    await page.getByText('The server cannot be reached').waitFor({ timeout: 30_000 })
    await page.getByText('There is no answer to show').waitFor({ timeout: 30_000 })
    server.process.kill('SIGCONT')
    await button(page, 'Send').click()
    await page.locator('.answer').waitFor()
    const { name } = await shownFilm(page)
    await button(page, 'Like').click()
    await receipt(page, `Liked ${name}.`)
  })

  test('a server that is gone is said to be gone; when it is back, the page goes on', async () => {
    await using first = await startServer()
    const { port, dataDir } = first
    await using at = await visit(browser, first.url)
    const { page } = at
    await first.kill('SIGTERM')
    await button(page, 'Next').click()
    await page.getByText('The server cannot be reached').waitFor()
    await using second = await startServer({ dataDir, env: { FILMGATE_SERVER_PORT: String(port) } })
    assert.equal(second.port, port)
    const { name } = await shownFilm(page)
    await button(page, 'Like').click()
    await receipt(page, `Liked ${name}.`)
    assert.equal(await page.getByText('The server cannot be reached').count(), 0)
    assert.equal(votes(second).length, 1)
    // The browser's own word for a connection that failed.
    const refused = at.faults.filter((fault) => fault.includes('ERR_CONNECTION_REFUSED'))
    assert.equal(refused.length, 1)
    ;(at.faults as string[]).splice(at.faults.indexOf(refused[0] ?? ''), 1)
  })
})
