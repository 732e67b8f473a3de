import assert from 'node:assert/strict'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { after, before, describe, test } from 'node:test'

import Fastify from 'fastify'

import * as layers from '../../src/layers/index.ts'
import { cases, configurations, type ServerName, titleOf } from '../cors/cases.ts'
import { claimAdmin } from '../support/accounts.ts'
import { query } from '../support/attack.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { describeUnless, servicesMissing } from '../support/services.ts'
import { type ForeignPages, openForeignPages, send } from './foreign-pages.ts'

/** The second when it may come. */
async function* twoLines(goOn: Promise<void>): AsyncGenerator<string> {
  yield '{"line":1}\n'
  await goOn
  yield '{"line":2}\n'
}

const chromiumMissing = servicesMissing('chromium')

describeUnless(chromiumMissing, '[ASVS 3.4.2] [ASVS 3.5.2] CORS in a real browser', () => {
  let pages: ForeignPages
  const servers = new Map<ServerName, TestServer>()
  const at = (name: ServerName): TestServer => {
    const server = servers.get(name)
    assert.ok(server)
    return server
  }

  const votesAt = (name: ServerName): number => Number(query(at(name), 'select count(*) as n from vote')[0]?.['n'])
  const like = (name: ServerName): string => `${at(name).url}/?like=5`

  before(async () => {
    pages = await openForeignPages()
    const toml = configurations({ ...pages.origins, own: '' }, pages.wildcard)
    const start = async (name: ServerName) =>
      servers.set(name, await startServer({ toml: toml[name], env: { FILMGATE_PAGE_ENABLED: 'false' } }))
    await Promise.all((Object.keys(toml) as ServerName[]).map(start))
  })
  after(async () => {
    await pages?.[Symbol.asyncDispose]()
    for (const server of servers.values()) await server[Symbol.asyncDispose]()
  })

  describe('it agrees with the table, case by case', { concurrency: 4 }, () => {
    for (const one of cases) {
      test(titleOf(one), async () => {
        const { page, method, target, headers, credentials, isReadable, status } = one
        const server = at(one.server)
        const own = page === 'own' ? await pages.context.newPage() : undefined
        await own?.goto(`${server.url}/problems/forbidden`)
        const read = await send(own ?? pages.pageOf(page as Exclude<typeof page, 'own'>), {
          url: server.url + target,
          method,
          headers,
          credentials,
        })
        await own?.close()
        assert.equal(read !== undefined, isReadable)
        if (read === undefined) return
        assert.equal(read.status, status)
        // What is exposed is shown, and nothing else but what every page sees.
        assert.match(read.headers['x-request-id'] ?? '', /^[0-9a-f]{24}$/)
        if (page !== 'own') assert.equal(read.headers['x-content-type-options'], undefined)
      })
    }
  })

  test('Origin null in all its forms: a frame in a sandbox, a data: URL, a redirect over a foreign server', async () => {
    const url = `${at('named').url}/`
    assert.equal(await send(pages.pageOf('null'), { url }), undefined)
    assert.equal(await send(pages.dataFrame, { url }), undefined)
    assert.equal((await send(pages.dataFrame, { url: `${url}v1/films/1` }))?.status, 200, 'it can send, and read what is for everybody')
    const detour = (origin: string): string => `${origin}/redirect?to=${encodeURIComponent(url)}`
    const app = pages.pageOf('app')
    assert.equal(await send(app, { url: detour(pages.origins.other) }), undefined, 'a foreign server sends somebody on')
    assert.equal((await send(app, { url: detour(pages.origins.app) }))?.status, 200, 'its own server does')
    await at('named').logged(({ event, origin }) => event === 'malicious_cors' && origin === 'null')
  })

  test('[limits case 15] what a page must know of its limits it can read, on 429 too; and where its film is', async () => {
    const toml = `[cors]\norigins = [${JSON.stringify(pages.origins.app)}]\n[limits.routes]\n"GET /v1/films/:id" = { only = "2 per hour" }\n`
    await using server = await startServer({ toml, env: { FILMGATE_PAGE_ENABLED: 'false' } })
    const app = pages.pageOf('app')
    const film = { url: `${server.url}/v1/films/1` }
    const first = await send(app, film)
    assert.deepEqual([first?.status, first?.headers['ratelimit-policy']], [200, '"hour";q=2;w=3600'])
    const second = await send(app, { ...film, headers: { 'if-none-match': first?.headers['etag'] ?? '' } })
    assert.equal(second?.status, 304)
    const third = await send(app, film)
    assert.equal(third?.status, 429)
    assert.match(third.headers['ratelimit'] ?? '', /^"hour";r=0;t=\d+$/)
    assert.ok(Number(third.headers['retry-after']) > 3500)
    assert.match(third.body, /"violated-policies":\["hour"\]/)
    const added = await send(app, {
      url: `${server.url}/add_film`,
      method: 'POST',
      headers: { authorization: `Bearer ${server.key()}`, 'content-type': 'application/json' },
      body: '{"name":"From afar","studio":"Elsewhere"}',
    })
    assert.ok(added)
    assert.equal(added.status, 201, added.body)
    assert.match(added.headers['location'] ?? '', /^\/v1\/films\/\d+$/)
    const refused = await send(app, { url: `${server.url}/v1/me`, headers: { authorization: 'Bearer x' } })
    assert.match(refused?.headers['www-authenticate'] ?? '', /invalid_token/)
  })

  test('a vote by GET: recorded for a page that was named, not for one of "*", nor for an image of the named one', async () => {
    assert.match((await send(pages.pageOf('other'), { url: like('open') }))?.body ?? '', /"recorded":false/)
    assert.equal(votesAt('open'), 0)
    assert.equal(await send(pages.pageOf('other'), { url: like('named') }), undefined)
    await pages.pageOf('app').evaluate(async (url) => {
      await new Promise((loaded) => Object.assign(new Image(), { onerror: loaded, onload: loaded, src: url }))
      // Cross-Origin-Resource-Policy keeps even what nobody could read out of the page; the request was sent.
      await fetch(url, { mode: 'no-cors' }).catch(() => undefined)
    }, like('named'))
    assert.equal(votesAt('named'), 0)
    assert.match((await send(pages.pageOf('app'), { url: like('named') }))?.body ?? '', /"recorded":true/)
    assert.equal(votesAt('named'), 1)
  })

  test('[ASVS 3.5.1] with credentials for a page of the same site, the session cookie comes with its requests, and refreshes nothing', async () => {
    const server = at('credentials')
    const { username, password } = await claimAdmin(server)
    const url = server.url.replace('127.0.0.1', 'localhost')
    const own = await pages.context.newPage()
    await own.goto(`${url}/problems/forbidden`)
    const json = { method: 'POST', credentials: true, headers: { 'content-type': 'application/json' } }
    const login = { ...json, url: `${url}/v1/auth/login`, body: JSON.stringify({ username, password, browser: true }) }
    assert.equal((await send(own, login))?.status, 200)
    const cookie = async () => (await pages.context.cookies()).find(({ name }) => name === '__Host-filmgate_session')?.value
    const kept = await cookie()
    assert.ok(kept)
    const app = pages.pageOf('app')
    for (const route of ['refresh', 'logout']) {
      const read = await send(app, { ...json, url: `${url}/v1/auth/${route}`, body: '{}' })
      assert.equal(read?.status, 403, 'it came, with the cookie, and the page may read why not')
      assert.match(read.body, /The session cookie is for pages of this server/)
    }
    const foreignLogin = await send(app, login)
    assert.equal(foreignLogin?.status, 403, 'nor does it log its visitor in')
    assert.equal(await cookie(), kept)
    assert.equal((await send(own, { ...json, url: `${url}/v1/auth/refresh`, body: '{}' }))?.status, 200)
    await own.close()
  })

  test('a stream is read while it comes, by whom it is for', async () => {
    const policies = new layers.CorsPolicies({ origins: [pages.origins.app] })
    const app = Fastify({ forceCloseConnections: true })
    await app.register(layers.corsFields, { policies })
    await app.register(layers.corsPreflights, { policies, observe: () => undefined })
    const routes = layers.collectRoutes(app)
    const { promise: isRead, resolve: goOn } = Promise.withResolvers<void>()
    app.get('/export', (_request, reply) => {
      return reply.type('application/x-ndjson').send(Readable.from(twoLines(isRead)))
    })
    app.get('/go-on', (_request, reply) => {
      goOn()
      return reply.send()
    })
    layers.addMethodAnswers(app, routes)
    await app.listen({ host: '127.0.0.1', port: 0 })
    try {
      const url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
      // The second line comes only after the page has read the first.
      const read = await pages.pageOf('app').evaluate(async (base) => {
        const answer = await fetch(`${base}/export`)
        const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader()
        const first = await reader.read()
        await fetch(`${base}/go-on`)
        const second = await reader.read()
        return [first.value, second.value]
      }, url)
      assert.deepEqual(read, ['{"line":1}\n', '{"line":2}\n'])
      assert.equal(await send(pages.pageOf('port'), { url: `${url}/go-on` }), undefined)
    } finally {
      await app.close()
    }
  })
})
