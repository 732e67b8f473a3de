import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import type { TLSSocket } from 'node:tls'

import { countFilms } from '../support/attack.ts'
import { createAuthority } from '../support/certificates.ts'
import { temporaryFolder } from '../support/command.ts'
import { eventually } from '../support/deadline.ts'
import { freePort } from '../support/free-port.ts'
import { type Edit, type Proxy, type ProxyName, proxyNames, publicHost, startProxy } from '../support/proxies.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { describeUnless } from '../support/services.ts'
import { upstreamOverTls } from './edits.ts'
import { behindProxy, proxiesMissing, startProxies } from './scene.ts'
import { askThrough, connectTo, fieldOf, type Reply, requestText, talk } from './wire.ts'

interface Outcome {
  readonly method: 'GET' | 'POST'
  /** Undefined where the connection ended without an answer. */
  readonly reply: Reply | undefined
  /** The connection had served before and ended without a byte: what only reads is sent again then, as every client does (RFC 9112 section 9.3.1). */
  readonly again: boolean
}

/** A client that asks one thing after the other on a connection that it keeps, until it is told to stop. */
const keepAsking = async (
  proxy: Proxy,
  from: string,
  key: string,
  method: Outcome['method'],
  isOver: () => boolean,
): Promise<Outcome[]> => {
  const outcomes: Outcome[] = []
  let socket: TLSSocket | undefined
  const fields = { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' }
  const ask = async (bytes: string): Promise<Reply | undefined> => {
    socket ??= await connectTo(proxy, { from })
    const { replies, ended } = await talk(socket, bytes, { answers: 1, keep: true, quietMs: 90_000 })
    const [reply] = replies
    if (ended || reply === undefined || fieldOf(reply, 'connection') === 'close') {
      socket.destroy()
      socket = undefined
    }
    return reply
  }
  while (!isOver()) {
    const hasServed = socket !== undefined
    const body = JSON.stringify({ name: `Drain ${proxy.name} ${from} ${outcomes.length}`, studio: 'Drain', year: 2001 })
    const bytes = method === 'GET' ? requestText({ target: '/v1/films/1' }) : requestText({ method, target: '/add_film', fields, body })
    const first = await ask(bytes)
    const again = first === undefined && hasServed && method === 'GET'
    const reply = again ? await ask(bytes) : first
    outcomes.push({ method, reply, again })
    // Who was told to come later does not come at once.
    if (reply?.status === 502 || reply?.status === 503) await pause(50)
  }
  socket?.destroy()
  return outcomes
}

const second: Readonly<Record<ProxyName, (port: number) => readonly Edit[]>> = {
  caddy: (port) => [['reverse_proxy 127.0.0.1:3000 {', `reverse_proxy 127.0.0.1:3000 127.0.0.1:${port} {`]],
  nginx: (port) => [['#server 127.0.0.1:3100;', `server 127.0.0.1:${port};`]],
  haproxy: (port) => [['#server second 127.0.0.1:3100', `server second 127.0.0.1:${port}`]],
}

/** A busy machine takes longer to start Filmgate than the files allow for. */
const patient: Readonly<Record<ProxyName, readonly Edit[]>> = {
  caddy: [['lb_try_duration 10s', 'lb_try_duration 60s']],
  nginx: [],
  haproxy: [['retries 10', 'retries 100']],
}

/** Waits until each of these clients was answered so often by this server, later than `since` lines of its log. */
const answeredBy = (server: TestServer, clients: readonly string[], { since = 0, times = 1 } = {}): Promise<void> =>
  eventually(60_000, `each client answered ${times} times`, () => {
    const seen = server.log().slice(since)
    return clients.every((client) => seen.filter((record) => record['client'] === client).length >= times)
  })

const tally = (outcomes: readonly Outcome[]): Readonly<Record<string, number>> => {
  const counts: Record<string, number> = {}
  for (const { method, reply, again } of outcomes) {
    const kind = `${method} ${reply?.status ?? 'no answer'}${again ? ', asked again' : ''}`
    counts[kind] = (counts[kind] ?? 0) + 1
  }
  return counts
}

describeUnless(proxiesMissing, 'Filmgate ends and begins again behind a proxy', () => {
  const authority = createAuthority('Restarts')
  after(() => authority[Symbol.dispose]())

  test('one instance: nothing is lost while it drains; Caddy and HAProxy hold what reads until it is back, nginx says 503 and when to ask again', async () => {
    using folder = temporaryFolder()
    const port = await freePort()
    const begin = () => startServer({ dataDir: join(folder.path, 'data'), env: { ...behindProxy, FILMGATE_SERVER_PORT: String(port) } })
    const first = await begin()
    const filmsBefore = countFilms(first)
    const key = first.key()
    await using stack = new AsyncDisposableStack()
    const certificate = authority.issue(publicHost)
    const proxies = await startProxies(stack, (name) => ({ certificate, upstream: port, edits: patient[name] }))
    let over = false
    const asking = proxies.map(async (proxy, i) => {
      const methods = ['GET', 'GET', 'GET', 'POST', 'POST'] as const
      const all = await Promise.all(methods.map((method, n) => keepAsking(proxy, `127.0.${10 + i}.${n + 1}`, key, method, () => over)))
      return all.flat()
    })
    const clients = proxyNames.flatMap((_, i) => [1, 2, 3, 4, 5].map((n) => `127.0.${10 + i}.${n}`))
    stack.defer(() => {
      over = true
    })
    // Each client is at work, then all the way through the restart, then again.
    await answeredBy(first, clients)
    assert.equal(await first.kill('SIGTERM'), 0)
    await using successor = await begin()
    await answeredBy(successor, clients, { times: 2 })
    over = true
    const outcomes = await Promise.all(asking)
    await first[Symbol.asyncDispose]()

    let stored = 0
    for (const [i, name] of proxyNames.entries()) {
      const counts = tally(outcomes[i] ?? [])
      const allowed = { GET: name === 'nginx' ? [200, 503] : [200], POST: [201, 502, 503] }
      for (const { method, reply, again } of outcomes[i] ?? []) {
        // HAProxy passes on to its client that a connection to Filmgate ended while it sent a request on it.
        if (name === 'haproxy' && method === 'POST' && reply === undefined) continue
        assert.ok(reply !== undefined && allowed[method].includes(reply.status), `${name}: ${JSON.stringify(counts)} ${reply?.body}`)
        assert.ok(!again || name === 'haproxy', `${name}: ${JSON.stringify(counts)}`)
        if (reply.status === 503 || reply.status === 502) {
          assert.match(fieldOf(reply, 'content-type') ?? '', /^application\/problem\+json/)
          assert.equal(fieldOf(reply, 'retry-after'), '5')
          assert.ok(fieldOf(reply, 'strict-transport-security'))
        }
      }
      stored += counts['POST 201'] ?? 0
    }
    // No film that was acknowledged is missing, and none was added twice by a proxy that tried again.
    assert.equal(countFilms(successor) - filmsBefore, stored)
  })

  test('two instances: one ends, and no request is lost', async () => {
    await using one = await startServer({ env: behindProxy })
    await using other = await startServer({ env: behindProxy })
    await using stack = new AsyncDisposableStack()
    const certificate = authority.issue(publicHost)
    const proxies = await startProxies(stack, (name) => ({ certificate, upstream: one.port, edits: second[name](other.port) }))
    let over = false
    const asking = proxies.map(async (proxy, i) => {
      const all = await Promise.all([1, 2, 3, 4].map((n) => keepAsking(proxy, `127.0.${20 + i}.${n}`, one.key(), 'GET', () => over)))
      return all.flat()
    })
    const clients = proxyNames.flatMap((_, i) => [1, 2, 3, 4].map((n) => `127.0.${20 + i}.${n}`))
    stack.defer(() => {
      over = true
    })
    await Promise.all([answeredBy(one, clients), answeredBy(other, clients)])
    assert.equal(await one.kill('SIGTERM'), 0)
    await answeredBy(other, clients, { since: other.log().length, times: 5 })
    over = true
    for (const [i, name] of proxyNames.entries()) {
      const counts = tally((await asking[i]) ?? [])
      const { 'GET 200': _good, 'GET 200, asked again': askedAgain = 0, ...others } = counts
      assert.deepEqual(others, {}, name)
      assert.ok(askedAgain === 0 || name === 'haproxy', `${name}: ${JSON.stringify(counts)}`)
    }
  })

  test('a Filmgate that speaks TLS itself: the proxy checks its certificate, and HSTS stands there once [ASVS 12.3.3]', async () => {
    using folder = temporaryFolder()
    using stranger = createAuthority('Somebody else')
    const paths = { cert: join(folder.path, 'cert.pem'), key: join(folder.path, 'key.pem') }
    const { certificate, key } = authority.issue(publicHost)
    writeFileSync(paths.cert, certificate)
    writeFileSync(paths.key, key, { mode: 0o600 })
    const env = { ...behindProxy, FILMGATE_TLS_MODE: 'files', FILMGATE_TLS_CERT: paths.cert, FILMGATE_TLS_KEY: paths.key }
    await using server = await startServer({ env })
    const outside = { certificate: authority.issue(publicHost), upstream: server.port }
    await Promise.all(
      proxyNames.map(async (name) => {
        await using proxy = await startProxy(name, { ...outside, edits: upstreamOverTls(authority.file)[name] })
        const reply = await askThrough(proxy, { from: '127.0.0.41' })
        assert.equal(reply.status, 200, `${name}: ${reply.body} ${proxy.said()}`)
        assert.equal(fieldOf(reply, 'strict-transport-security'), 'max-age=63072000; includeSubDomains')
        const record = await server.logged(({ request_id: id }) => id === fieldOf(reply, 'x-request-id'))
        assert.equal(record['client'], '127.0.0.41')
        // The same name, but from an authority that the proxy was not told of.
        const shortened: readonly Edit[] =
          name === 'caddy' ? [['lb_try_duration 10s', 'lb_try_duration 1s']] : name === 'haproxy' ? [['retries 10', 'retries 1']] : []
        await using wary = await startProxy(name, { ...outside, edits: [...upstreamOverTls(stranger.file)[name], ...shortened] })
        const refused = await askThrough(wary, { from: '127.0.0.42' })
        assert.ok([502, 503].includes(refused.status), `${name}: ${refused.status}`)
      }),
    )
    assert.deepEqual(
      server.log().filter(({ client }) => client === '127.0.0.42'),
      [],
    )
  })
})
