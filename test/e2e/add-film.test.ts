import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import type { Browser, Page } from 'playwright-core'

import { createApiKey, formatApiKey } from '../../src/credentials/api-key.ts'
import { countFilms, query } from '../support/attack.ts'
import { describeUnless, servicesMissing } from '../support/services.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { button, openBrowser, shownFilm, visit } from './browser.ts'

const keyField = (page: Page) => page.locator('#add-key')

/** What stands beside a field and is tied to it. */
const errorOf = async (page: Page, label: string): Promise<string> => {
  const field = page.locator('#add').getByLabel(label)
  assert.equal(await field.getAttribute('aria-invalid'), 'true', label)
  const ids = ((await field.getAttribute('aria-describedby')) ?? '').split(' ')
  const id = ids.find((one) => one.endsWith('-error')) ?? 'none'
  return (await page.locator(`#${id}`).textContent()) ?? ''
}

const focused = (page: Page): Promise<unknown> => page.evaluate('document.activeElement.id')

describeUnless(servicesMissing('chromium'), 'adding a film', () => {
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

  test('with the key of the first start, by keyboard, and then it is shown and can be liked', async () => {
    await using at = await visit(browser, server.url)
    const { page } = at
    await keyField(page).focus()
    await page.keyboard.insertText(server.key())
    for (const text of ['Ponyo', 'Hayao Miyazaki', 'Ghibli', 'Adventure', '2008', '101', '7.6']) {
      await page.keyboard.press('Tab')
      await page.keyboard.insertText(text)
    }
    await page.keyboard.press('Enter')
    const said = page.locator('.added')
    await said.getByText(/^Added Ponyo as film \d+\.$/).waitFor()
    assert.equal(await page.getByLabel('Name').inputValue(), '')
    await button(page, 'Show it').click()
    const shown = await shownFilm(page)
    assert.equal(shown.name, 'Ponyo')
    for (const words of ['Directed by Hayao Miyazaki', '1 h 41 min', '7.6 of 10', 'Ghibli'])
      await page.locator('.card').getByText(words).waitFor()
    await page.keyboard.press('l')
    await page.locator('.receipt', { hasText: 'Liked Ponyo.' }).waitFor()
    const [film] = query(server, 'select * from film where id = ?', shown.id)
    const { name, director, studio, genre, year, runtime_min, rating, likes } = film ?? {}
    assert.deepEqual(
      { name, director, studio, genre, year, runtime_min, rating, likes },
      {
        name: 'Ponyo',
        director: 'Hayao Miyazaki',
        studio: 'Ghibli',
        genre: 'Adventure',
        year: 2008,
        runtime_min: 101,
        rating: 7.6,
        likes: 1,
      },
    )
  })

  test('what is wrong stands beside its field, the first of them has the focus, and nothing is stored', async () => {
    const earlier = countFilms(server)
    await using at = await visit(browser, server.url)
    const { page } = at
    await keyField(page).fill(server.key())
    await page.getByLabel('Year').fill('1500')
    await page.getByLabel('Rating').fill('very good')
    await button(page, 'Add this film').click()
    await page.getByText('3 fields need another look.').waitFor()
    assert.match(await errorOf(page, 'Name'), /^A film needs this\.$/)
    assert.match(await errorOf(page, 'Year'), /^must be at least 1870$/)
    assert.match(await errorOf(page, 'Rating'), /^must be a number$/)
    assert.equal(await page.getByLabel('Studio').getAttribute('aria-invalid'), 'false')
    await page.locator('#add-name:focus').waitFor()
    await page.keyboard.insertText('Stalker')
    await page.getByLabel('Year').fill('1979')
    await page.getByLabel('Rating').fill('')
    await button(page, 'Add this film').click()
    await page.locator('.added').getByText('Added Stalker').waitFor()
    assert.equal(await page.locator('#add [aria-invalid=true], #add .field-error').count(), 0)
    assert.equal(countFilms(server), earlier + 1)
  })

  test('no key, a key of nobody, a key that no header can carry', async () => {
    const earlier = countFilms(server)
    await using at = await visit(browser, server.url)
    const { page } = at
    await page.getByLabel('Name').fill('Solaris')
    await button(page, 'Add this film').click()
    assert.equal(await errorOf(page, 'API key'), 'Adding needs a key.')
    await page.locator('#add-key:focus').waitFor()

    await keyField(page).fill('ключ')
    await button(page, 'Add this film').click()
    assert.equal(await errorOf(page, 'API key'), 'This holds characters that no key has.')

    await keyField(page).fill(formatApiKey(createApiKey()))
    await button(page, 'Add this film').click()
    const note = page.locator('#add').getByRole('alert')
    await note.getByText('The credentials are not valid.').waitFor()
    assert.match((await note.locator('code').textContent()) ?? '', /^[0-9a-f]{24}$/)
    assert.equal(await page.getByLabel('Name').inputValue(), 'Solaris', 'what was typed is still there')
    assert.equal(countFilms(server), earlier)
  })

  test('the key is in memory alone: not on the screen, not stored, not in an address, gone after a reload', async () => {
    const key = server.key()
    await using at = await visit(browser, server.url)
    const { page } = at
    const addresses: string[] = []
    page.on('request', (request) => addresses.push(request.url()))
    await keyField(page).fill(key)
    await page.getByLabel('Name').fill('Nostalghia')
    await page.keyboard.press('Enter')
    await page.locator('.added').getByText('Added Nostalghia').waitFor()
    assert.equal(await keyField(page).getAttribute('type'), 'password')
    const places = 'JSON.stringify([location.href, document.cookie, {...localStorage}, {...sessionStorage}, history.state])'
    assert.ok(!String(await page.evaluate(places)).includes(key.slice(3)))
    assert.ok(!(await page.content()).includes(key.slice(3)))
    assert.ok(addresses.length > 0 && !addresses.join().includes(key.slice(3)))
    const cookies = await page.context().storageState({ indexedDB: true })
    assert.deepEqual(cookies, { cookies: [], origins: [] })
    await page.reload()
    await page.locator('[data-film]').waitFor()
    assert.equal(await keyField(page).inputValue(), '')
    assert.notEqual(await focused(page), 'add-key')
  })

  test('a name that is markup stays text, on the card, in the words around it and in a raw answer', async () => {
    const name = `<img src=x onerror="alert(1)"><script>alert(2)</script>{{3}}`
    await using at = await visit(browser, server.url)
    const { page } = at
    page.on('dialog', () => assert.fail('a script ran'))
    await keyField(page).fill(server.key())
    await page.getByLabel('Name').fill(name)
    await page.getByLabel('Director').fill('<b>bold</b>')
    await button(page, 'Add this film').click()
    await page.locator('.added strong').getByText(name).waitFor()
    await button(page, 'Show it').click()
    const { id, name: shown } = await shownFilm(page)
    assert.equal(shown, name)
    await page.locator('.director').getByText('Directed by <b>bold</b>').waitFor()
    await page.getByLabel('Path').fill(`/v1/films/${id}`)
    await button(page, 'Send').click()
    assert.equal(JSON.parse((await page.locator('.body').textContent()) ?? '').name, name)
    await button(page, 'Dislike').click()
    await page.locator('.receipt').getByText(`Disliked ${name}.`).waitFor()
    assert.equal(await page.locator('main img, main script, main b').count(), 0)
  })
})
