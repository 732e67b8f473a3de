import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'

import type { Browser, Page, Response } from 'playwright-core'

import { countFilms, query } from '../support/attack.ts'
import { describeUnless, servicesMissing } from '../support/services.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { button, openBrowser, plainName, visit } from './browser.ts'

interface Shown {
  readonly status: string
  readonly fields: Readonly<Record<string, string>>
  readonly body: string
}

const send = async (page: Page): Promise<Shown> => {
  const url = new URL(await page.getByLabel('Path').inputValue(), page.url()).href
  const method = await page.locator('input[name=call-method]:checked').inputValue()
  // The answer to this call: the browser asks for the icon when it likes.
  const isThis = (response: Response): boolean => response.url() === url && response.request().method() === method
  const [response] = await Promise.all([page.waitForResponse(isThis), button(page, 'Send').click()])
  const answer = page.locator('.answer', { hasText: response.headers()['x-request-id'] ?? 'none' })
  await answer.waitFor()
  const names = await answer.locator('dt').allTextContents()
  const values = await answer.locator('dd').allTextContents()
  const body = answer.locator('.body')
  return {
    status: (await answer.locator('.status').textContent()) ?? '',
    fields: Object.fromEntries(names.map((name, i) => [name, values[i] ?? ''])),
    body: (await body.count()) === 0 ? '' : ((await body.textContent()) ?? ''),
  }
}

const choose = async (page: Page, method: string, path: string, body?: string): Promise<void> => {
  await page.getByRole('radio', { name: method }).check()
  await page.getByLabel('Path').fill(path)
  if (body !== undefined) await page.getByLabel('JSON body').fill(body)
}

const withoutRequestId = (body: string): string => body.replace(/"request_id":"\w+"/, '')

const command = async (page: Page): Promise<string> => (await page.locator('.command pre').textContent()) ?? ''

describeUnless(servicesMissing('chromium'), 'any call', () => {
  let browser: Browser
  let server: TestServer
  const folder = mkdtempSync(join(tmpdir(), 'filmgate-shell-'))
  before(async () => {
    browser = await openBrowser()
    server = await startServer({ env: { FILMGATE_SERVER_HOSTS: plainName } })
    // As it lies below the folder that the server was started in.
    cpSync(join(server.dataDir, 'starter.key'), join(folder, 'filmgate-data/starter.key'))
  })
  after(async () => {
    await browser.close()
    await server[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true })
  })

  const inShell = (text: string): Shown => {
    const output = execFileSync('sh', ['-c', text], { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    const [head = '', ...rest] = output.split('\r\n\r\n')
    const [first = '', ...lines] = head.split('\r\n')
    const fields = lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()])
    return { status: first.replace('HTTP/1.1 ', ''), fields: Object.fromEntries(fields), body: rest.join('\r\n\r\n') }
  }

  test('GET, HEAD and POST with the answer as it came', async () => {
    await using at = await visit(browser, server.url)
    const { page } = at
    await choose(page, 'GET', '/v1/films/1')
    const got = await send(page)
    const direct = await fetch(`${server.url}/v1/films/1`)
    assert.deepEqual([got.status, got.body, got.fields['etag']], ['200 OK', await direct.text(), direct.headers.get('etag')])
    const record = await server.logged(({ request_id: id }) => id === got.fields['x-request-id'])
    assert.deepEqual([record['method'], record['path'], record['status']], ['GET', '/v1/films/1', 200])

    await choose(page, 'HEAD', '/add_film')
    const head = await send(page)
    assert.deepEqual([head.status, head.body, head.fields['accept-post']], ['200 OK', '', 'application/json'])
    await page.getByText('No body.').waitFor()

    await choose(page, 'POST', '/add_film', '{"name":"Mirror"}')
    assert.match((await send(page)).status, /^401 /)
    await page.getByLabel('Send an API key').check()
    await page.locator('#call-key').fill(server.key())
    const posted = await send(page)
    assert.equal(posted.status, '201 Created')
    assert.equal(posted.fields['location'], `/v1/films/${JSON.parse(posted.body).id}`)
  })

  test('JSON is indented on demand, and a refusal is an answer like any', async () => {
    await using at = await visit(browser, server.url)
    const { page } = at
    await choose(page, 'GET', '/nowhere')
    const { status, body } = await send(page)
    assert.equal(status, '404 Not Found')
    await page.getByLabel('Indent the JSON').check()
    assert.equal(await page.locator('.body').textContent(), JSON.stringify(JSON.parse(body), null, 2))
  })

  test('examples fill the form', async () => {
    await using at = await visit(browser, server.url)
    const { page } = at
    for (const [name, method, path] of [
      ['Like film 1', 'GET', '/?like=1'],
      ['Add a film', 'POST', '/add_film'],
      ['How to add', 'HEAD', '/add_film'],
    ] as const) {
      await button(page, name).click()
      assert.ok(await page.getByRole('radio', { name: method }).isChecked())
      assert.equal(await page.getByLabel('Path').inputValue(), path)
    }
  })

  test('a like by hand from this page is recorded, for this is the own origin', async () => {
    await using at = await visit(browser, server.url)
    const { page } = at
    await choose(page, 'GET', '/?like=7')
    const { body } = await send(page)
    assert.deepEqual(JSON.parse(body).vote, { film_id: 7, value: 'like', recorded: true })
    assert.equal(query(server, 'select likes from film where id = 7')[0]?.['likes'], 1)
  })

  test('a film asked for by hand counts in the ring; another call does not', async () => {
    await using at = await visit(browser, server.url)
    const { page } = at
    const left = async (): Promise<number> => Number(/^[\d,]+/.exec(await page.locator('.left-words').innerText())?.[0].replaceAll(',', ''))
    const first = await left()
    await choose(page, 'HEAD', '/')
    await send(page)
    assert.equal(await left(), first - 1)
    await choose(page, 'GET', '/v1/films/3')
    await send(page)
    assert.equal(await left(), first - 1)
  })

  test('no path leads to another server', async () => {
    await using at = await visit(browser, server.url)
    const { page } = at
    const earlier = server.log().length
    for (const path of ['//example.org/', '/\\example.org/', '/\t/example.org', 'https://example.org/', 'example.org', '', ' ']) {
      await choose(page, 'GET', path)
      assert.equal(await page.getByLabel('Path').getAttribute('aria-invalid'), 'true', path)
      assert.equal(await button(page, 'Send').getAttribute('aria-disabled'), 'true')
      await page.getByLabel('Path').press('Enter')
      assert.equal(await page.locator('.command').count(), 0)
    }
    assert.equal(await page.locator('.answer').count(), 0)
    assert.ok(server.log().length <= earlier + 4, 'only the page itself was fetched')
  })

  test('copied as curl and run in a shell, the answer is the same, and the key is not in the command', async () => {
    await using at = await visit(browser, server.url, { permissions: ['clipboard-read', 'clipboard-write'] })
    const { page } = at
    const copied = async (): Promise<string> => {
      await button(page, 'Copy as curl').click()
      await page.getByText('Copied.').waitFor()
      // The page itself may write to the clipboard, and not read what others left there.
      const other = await page.context().newPage()
      await other.goto(`${server.url}/v1/films/1`)
      const text = String(await other.evaluate('navigator.clipboard.readText()'))
      await other.close()
      return text
    }
    for (const [method, path] of [
      ['GET', `/v1/films/2`],
      ['HEAD', '/v1/films/2'],
      ['GET', `/v1/films/2?a=[1-3]&b={x,y}&c='$(id)'`],
      ['GET', '/a b/"%zz`id`'],
    ] as const) {
      await choose(page, method, path)
      const shown = await send(page)
      const text = await copied()
      assert.equal(text, await command(page))
      const inside = inShell(text)
      assert.equal(inside.status, shown.status, text)
      assert.equal(inside.fields['etag'], shown.fields['etag'])
      assert.equal(withoutRequestId(inside.body), withoutRequestId(shown.body))
    }

    const name = `It's $(id) \`x\` "q" \\ !! 100% @file ünï 🎬`
    await choose(page, 'POST', '/add_film', JSON.stringify({ name }))
    await page.getByLabel('Send an API key').check()
    await page.locator('#call-key').fill(server.key())
    const text = await copied()
    assert.ok(!text.includes(server.key().slice(3)))
    await page.getByText('Your key is not in it').waitFor()
    const earlier = countFilms(server)
    const answer = inShell(text)
    assert.equal(answer.status, '201 Created', answer.body)
    assert.equal(JSON.parse(answer.body).name, name)
    assert.equal(countFilms(server), earlier + 1)
  })

  test('without a clipboard, as on plain HTTP, the command is selected', async () => {
    const url = server.url.replace('127.0.0.1', plainName)
    await using at = await visit(browser, url)
    const { page } = at
    assert.equal(await page.evaluate('isSecureContext'), false)
    await button(page, 'Copy as curl').click()
    await page.getByText('The command is selected: press Ctrl+C.').waitFor()
    assert.equal(String(await page.evaluate('String(getSelection())')), await command(page))
    // Chromium's word on such addresses for a field that it then leaves aside.
    const [word, ...others] = at.faults
    assert.match(word ?? '', /Cross-Origin-Opener-Policy header has been ignored/)
    ;(at.faults as string[]).splice(0, at.faults.length, ...others)
  })
})
