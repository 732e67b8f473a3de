import assert from 'node:assert/strict'
import { X509Certificate, createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, before as beforeAll, test } from 'node:test'

import type { Browser, Page } from 'playwright-core'

import { powerfulFeatures } from '../../src/api/site/page-fields.ts'
import type { LogRecord, TestServer } from '../support/server.ts'
import { startServer } from '../support/server.ts'
import { describeUnless, servicesMissing } from '../support/services.ts'
import { openBrowser, visit } from './browser.ts'

const isNote = ({ msg }: LogRecord): boolean => /violation of the content security policy/.test(msg)

/** The version whose features src/api/site/page-fields.ts lists. */
const listedFor = '156.'

/** What the page or the browser did, by the time the page is quiet. */
const openAt = async (browser: Browser, url: string): Promise<{ readonly page: Page; readonly said: readonly string[] }> => {
  const page = await (await browser.newContext()).newPage()
  const said: string[] = []
  page.on('console', (message) => said.push(`${message.type()}: ${message.text()}`))
  page.on('pageerror', (error) => said.push(`thrown: ${error.message}`))
  await page.goto(url)
  return { page, said }
}

/** As an injection would: into the document, past no code of ours. */
const plantScript = `(() => {
  const script = document.createElement('script')
  script.append('window.planted = true')
  document.body.append(script)
})()`

describeUnless(servicesMissing('chromium'), 'policies in a real browser', () => {
  let browser: Browser
  let server: TestServer
  let evil: Server
  /** Another origin, with a page that does with ours what it can. */
  let evilUrl: string
  const evilPages = new Map<string, string>()
  beforeAll(async () => {
    browser = await openBrowser()
    server = await startServer()
    evil = createServer((request, response) => {
      response.setHeader('content-type', 'text/html').end(`<!doctype html><body>${evilPages.get(request.url ?? '') ?? ''}`)
    })
    await new Promise<void>((resolve) => evil.listen(0, '127.0.0.1', resolve))
    evilUrl = `http://127.0.0.1:${(evil.address() as AddressInfo).port}`
  })
  after(async () => {
    await browser.close()
    evil.close()
    await server[Symbol.asyncDispose]()
  })

  const noted = (document: string, directive: string): Promise<LogRecord> =>
    server.logged((record) => isNote(record) && record['document'] === document && record['directive'] === directive)

  test('[ASVS 3.4.3] the page runs without a violation, and so do /docs and the problem pages', async () => {
    {
      await using at = await visit(browser, server.url)
      assert.equal(await at.page.locator('[data-film]').count(), 1)
    }
    for (const path of ['/docs', '/problems/not_found', '/problems/quota_exceeded']) {
      const { page, said } = await openAt(browser, server.url + path)
      assert.notEqual(await page.evaluate('getComputedStyle(document.body).maxWidth'), 'none', 'its style is there')
      assert.deepEqual(
        said.filter((text) => !text.includes('Unrecognized feature')),
        [],
      )
      await page.context().close()
    }
    assert.deepEqual(server.log().filter(isNote), [])
  })

  test('[ASVS 3.4.7] a planted inline script is blocked on every page, reported, and in the log', async () => {
    for (const path of ['/index.html', '/docs', '/problems/not_found']) {
      const { page, said } = await openAt(browser, server.url + path)
      await page.evaluate(plantScript).catch(() => undefined)
      assert.equal(await page.evaluate('window.planted'), undefined)
      assert.ok(said.some((text) => /Content Security Policy|TrustedScript/.test(text)) || path === '/index.html', said.join('\n'))
      await page.context().close()
    }
    for (const path of ['/docs', '/problems/not_found']) assert.equal((await noted(path, 'script-src-elem'))['blocked'], 'inline')
    // There, the text does not even get into the element.
    assert.match(String((await noted('/index.html', 'require-trusted-types-for'))['blocked']), /^trusted-types-sink$/)
  })

  test('[ASVS 3.4.3] markup that got into the page runs nothing: no inline script, no handler, not even a script of this server', async () => {
    const url = `${server.url}/index.html`
    const injected = async (change: (text: string) => string) => {
      const page = await (await browser.newContext()).newPage()
      const said: string[] = []
      page.on('console', (message) => said.push(message.text()))
      await page.route(url, async (route) => {
        const response = await route.fetch()
        const text = await response.text()
        const changed = change(text)
        assert.notEqual(changed, text)
        await route.fulfill({ response, body: changed })
      })
      await page.goto(url)
      return { page, said }
    }
    const markups = [
      ['script-src', '<script>window.planted = 1</script>'],
      ['script-src', '<svg onload="window.planted = 1"></svg>'],
      ['script-src', '<iframe srcdoc="<script>parent.planted = 1</script>"></iframe>'],
      ['script-src', '<script src="./v1/films/1"></script>'],
      ['img-src', '<img src="data:," onerror="window.planted = 1">'],
      ['style-src', '<link rel="stylesheet" href="https://evil.example/x.css">'],
      ['style-src', '<style>body { display: none }</style>'],
      ['object-src', '<object data="https://evil.example/"></object>'],
      ['base-uri', '<base href="https://evil.example/">'],
    ] as const
    const all = markups.map(([, markup]) => markup).join('')
    const planted = await injected((text) => text.replace('<div id="page">', `${all}$&`))
    await planted.page.locator('[data-film]').waitFor()
    assert.equal(await planted.page.evaluate('window.planted'), undefined)
    for (const [directive] of markups) {
      const refused = planted.said.filter((text) => text.includes(directive)).length
      assert.ok(refused >= markups.filter(([one]) => one === directive).length, `${directive}: ${planted.said.join('\n')}`)
    }
    await planted.page.context().close()
    // Its own script, without its digest on the element.
    const { page, said } = await injected((text) => text.replace(/ integrity="[^"]*"/, ''))
    assert.ok(
      said.some((text) => text.includes('script-src')),
      said.join(),
    )
    assert.equal(await page.locator('[data-film]').count(), 0)
    await page.context().close()
  })

  test('[ASVS 3.4.6] no page of another origin frames ours, and none is reached through a window that it opened', async () => {
    const targets = ['/index.html', '/docs', '/problems/not_found', '/v1/films/1', '/nothing']
    evilPages.set('/frames', targets.map((path) => `<iframe src="${server.url}${path}"></iframe>`).join(''))
    const { page } = await openAt(browser, `${evilUrl}/frames`)
    await page.waitForLoadState('networkidle')
    const frames = page.frames().slice(1)
    assert.equal(frames.length, targets.length)
    for (const frame of frames) assert.ok(!frame.url().startsWith(server.url), frame.url())

    // COOP: the window that opened it knows nothing of it, and cannot be reached back.
    const popup = page.waitForEvent('popup')
    await page.evaluate(`window.opened = window.open(${JSON.stringify(`${server.url.replace('127.0.0.1', 'localhost')}/docs`)})`)
    const opened = await popup
    await opened.waitForLoadState()
    assert.deepEqual([await opened.evaluate('window.opener'), await page.evaluate('window.opened.closed')], [null, true])
    await page.context().close()
  })

  test('[ASVS 3.2.1] an answer of the API is text in a browser: nothing in it runs, loads or is markup', async () => {
    const name = `<img src=x onerror="window.planted=1"><script>window.planted=1</script>`
    const fields = { authorization: `Bearer ${server.key()}`, 'content-type': 'application/json' }
    const added = await fetch(`${server.url}/add_film`, { method: 'POST', headers: fields, body: JSON.stringify({ name }) })
    const targets = [
      added.headers.get('location') ?? '',
      `/nothing/${encodeURIComponent(name)}`,
      `/?like=${encodeURIComponent(name)}`,
      '/openapi.json',
    ]
    for (const target of targets) {
      const { page } = await openAt(browser, server.url + target)
      assert.equal(await page.evaluate('window.planted'), undefined, target)
      assert.equal(await page.locator('script, img, iframe, a, form').count(), 0, target)
      // As a script, a style, a picture or a frame of another page it is nothing either: nosniff, CORP, and its type.
      await page.context().close()
    }
    evilPages.set(
      '/embeds',
      `<script src="${server.url}/v1/films/1"></script><img src="${server.url}/v1/films/1"><link rel=stylesheet href="${server.url}/v1/films/1">`,
    )
    const { page } = await openAt(browser, 'about:blank')
    const failed: string[] = []
    page.on('requestfailed', (request) => failed.push(`${request.resourceType()} ${request.failure()?.errorText}`))
    await page.goto(`${evilUrl}/embeds`, { waitUntil: 'load' })
    // CORP knows sites and ports of an origin apart: 127.0.0.1 at another port is another origin.
    assert.deepEqual(failed.map((one) => one.replace(/\.NotSameOrigin.*$/, '')).toSorted(), [
      'image net::ERR_BLOCKED_BY_RESPONSE',
      'script net::ERR_BLOCKED_BY_RESPONSE',
      'stylesheet net::ERR_BLOCKED_BY_RESPONSE',
    ])
    await page.context().close()
  })

  test('features of the browser: the pages may use none, the page two of passkeys and the clipboard', async (t) => {
    const isListed = browser.version().startsWith(listedFor)
    if (!isListed) t.diagnostic(`the list of features is that of Chromium ${listedFor}, this is ${browser.version()}`)
    for (const [path, expected] of [
      ['/docs', []],
      ['/problems/not_found', []],
      ['/index.html', ['clipboard-write', 'publickey-credentials-create', 'publickey-credentials-get']],
    ] as const) {
      const { page, said } = await openAt(browser, server.url.replace('127.0.0.1', 'localhost') + path)
      const allowed = await page.evaluate<string[]>('document.featurePolicy.allowedFeatures()')
      assert.deepEqual(allowed.filter((feature) => powerfulFeatures.includes(feature)).toSorted(), expected)
      // A name that it does not know would be a warning for everybody who looks.
      if (isListed) assert.deepEqual(said, [])
      assert.equal(await page.evaluate('crossOriginIsolated'), false, 'isolated, but without the powers of it')
      await page.context().close()
    }
    const { page } = await openAt(browser, 'about:blank')
    await page.goto(`${evilUrl}/`)
    const unruled = (await page.evaluate<string[]>('document.featurePolicy.allowedFeatures()')).filter(
      (feature) => !powerfulFeatures.includes(feature) && !feature.startsWith('ch-'),
    )
    const givenUp = [
      'browsing-topics',
      'interest-cohort',
      'local-network-access',
      'private-state-token-issuance',
      'private-state-token-redemption',
      'unload',
    ]
    if (isListed) assert.deepEqual(unruled.toSorted(), givenUp, 'a feature that no page needs and none is denied')
    await page.context().close()
  })

  test('[ASVS 3.4.7] a page of another origin cannot fill the log with reports of its own', async () => {
    const before = server.log().filter(isNote).length
    const attacks = `
      const body = JSON.stringify({ 'csp-report': { 'document-uri': location.href, 'effective-directive': 'script-src', 'blocked-uri': 'inline' } })
      const types = ['application/csp-report', 'application/reports+json', 'text/plain', 'application/json']
      Promise.allSettled(types.flatMap((type) => ['cors', 'no-cors'].map((mode) =>
        fetch('${server.url}/csp-report', { method: 'POST', mode, headers: { 'content-type': type }, body })))).then((all) => all.map((one) => one.status + ':' + (one.value?.type ?? '')))`
    const { page } = await openAt(browser, 'about:blank')
    await page.goto(`${evilUrl}/`)
    const fates = await page.evaluate<string[]>(attacks)
    assert.deepEqual(
      fates.filter((fate) => fate.startsWith('fulfilled') && !fate.endsWith('opaque')),
      [],
      'nothing of the answers can be read',
    )
    assert.equal((await fetch(`${server.url}/v1/films/1`)).status, 200)
    assert.equal(server.log().filter(isNote).length, before)
    await page.context().close()
  })
})

describeUnless(servicesMissing('chromium'), 'policies in a real browser, over TLS', () => {
  test('[ASVS 3.4.7] the page runs over HTTP/2, and a violation comes by the Reporting API', async () => {
    await using server = await startServer({ env: { FILMGATE_TLS_MODE: 'dev' } })
    const certificate = new X509Certificate(
      readFileSync(join(server.dataDir, 'dev-tls.pem'), 'utf8').replace(/^[^]*?(?=-----BEGIN CERT)/, ''),
    )
    const spki = createHash('sha256')
      .update(certificate.publicKey.export({ type: 'spki', format: 'der' }))
      .digest('base64')
    // As if its authority had been trusted: a page with a certificate error reports nothing. And at once, not within a minute.
    const browser = await openBrowser([], [`--ignore-certificate-errors-spki-list=${spki}`, '--short-reporting-delay'])
    try {
      const url = server.url.replace('127.0.0.1', 'localhost')
      await using at = await visit(browser, url)
      assert.equal(await at.page.evaluate(`performance.getEntriesByType('navigation')[0].nextHopProtocol`), 'h2')
      const { page } = await openAt(browser, `${url}/docs`)
      await page.evaluate(plantScript).catch(() => undefined)
      const note = await server.logged(isNote)
      assert.deepEqual([note['document'], note['directive'], note['blocked']], ['/docs', 'script-src-elem', 'inline'])
      const sent = await server.logged((record) => record['request_id'] === note['request_id'] && record.msg === 'request')
      assert.deepEqual([sent['status'], sent['route']], [204, '/csp-report'])
      await page.context().close()
    } finally {
      await browser.close()
    }
  })
})
