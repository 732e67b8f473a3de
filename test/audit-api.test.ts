import assert from 'node:assert/strict'
import { test } from 'node:test'

import { openMasterKey } from '../src/credentials/master-key.ts'
import { operatorKey } from '../src/serve/operator.ts'
import { reloadWith } from './limits/reload.ts'
import { addUser, bearer, claimAdmin, type LoggedIn } from './support/accounts.ts'
import { type Answer, ask, assertProblem } from './support/attack.ts'
import { fillTrail, keyOf, tamper, writeRows } from './support/audited.ts'
import { runCommand } from './support/command.ts'
import { databases, openAt, type Place } from './support/databases.ts'
import { eventually } from './support/deadline.ts'
import { raisedLimits, startServer, type TestServer } from './support/server.ts'
import { describeUnless } from './support/services.ts'

interface Entry {
  readonly seq: number
  readonly at: string
  readonly actor: string
  readonly action: string
  readonly target: string
  readonly details: Readonly<Record<string, unknown>>
  readonly request_id: string | null
  readonly client: string | null
}

interface Page {
  readonly items: readonly Entry[]
  readonly next: string | null
}

type Fields = Readonly<Record<string, string>>

/** Of a server on this place, whose master key is the configured one or in its data folder. */
const operatorOf = (place: Place, { dataDir }: TestServer): Fields =>
  bearer(operatorKey(openMasterKey(dataDir, place.secretsKey), Date.now()))

const read = (server: TestServer, fields: Fields, query = ''): Promise<Answer> => ask(server, { target: `/v1/audit${query}`, fields })

const pageOf = async (server: TestServer, fields: Fields, query = ''): Promise<Page> => {
  const answer = await read(server, fields, query)
  assert.equal(answer.status, 200, answer.body)
  return answer.json() as unknown as Page
}

/** All pages, by the Link field. */
const readAll = async (server: TestServer, fields: Fields, query: string): Promise<{ items: Entry[]; pages: number }> => {
  const items: Entry[] = []
  let url: URL | undefined = new URL(`/v1/audit${query}`, server.url)
  let pages = 0
  for (; url !== undefined; pages++) {
    const answer = await ask(server, { target: url.pathname + url.search, fields })
    assert.equal(answer.status, 200, answer.body)
    const page = answer.json() as unknown as Page
    items.push(...page.items)
    const link = answer.field('link')
    const target: string | undefined = /^<([^>]*)>; rel="next"$/.exec(link ?? '')?.[1]
    assert.equal(target === undefined, page.next === null)
    const next: URL | undefined = target === undefined ? undefined : new URL(target, url)
    if (next !== undefined) assert.equal(next.searchParams.get('cursor'), page.next)
    url = next
  }
  return { items, pages }
}

const start = (place: Place, toml = raisedLimits): Promise<TestServer> => startServer({ dataDir: place.dataDir, env: place.env, toml })

const written = (seq: number | bigint, at: number | bigint, details: string): string =>
  `insert into audit (seq, at, actor, action, target, details, mac) values (${seq}, ${at}, 'ub', 'test.forged', 'x', '${details}', 'x')`

for (const kind of databases) {
  describeUnless(kind.missing, `GET /v1/audit on ${kind.name}`, () => {
    test('[ASVS 16.2.1] who did what to whom, when, from where and by which request; reading it is an event and no row', async () => {
      await using place = await kind.place()
      await using server = await start(place)
      const admin = await claimAdmin(server)
      const moderator = await addUser(server, admin, 'moderator')
      const before = await pageOf(server, moderator.fields)
      const created = before.items.find(({ target, action }) => target === moderator.subject && action.startsWith('user.'))
      assert.ok(created, JSON.stringify(before.items))
      assert.equal(created.actor, admin.subject)
      assert.match(created.request_id ?? '', /^[0-9a-f]{24}$/)
      assert.equal(created.client, '127.0.0.1')
      assert.ok(Math.abs(Date.parse(created.at) - Date.now()) < 600_000)
      assert.match(created.at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
      const again = await pageOf(server, admin.fields)
      assert.deepEqual(again.items, before.items)
      const event = await server.logged((record) => record['event'] === 'sensitive_read' && record['subject'] === moderator.subject)
      assert.deepEqual([event['resource'], event['client']], ['audit', '127.0.0.1'])
      for (const secret of [admin.accessToken, admin.refreshToken, admin.password]) assert.ok(!JSON.stringify(again).includes(secret))

      const editor = await addUser(server, admin, 'editor')
      assertProblem(await read(server, editor.fields), { status: 403, code: 'forbidden' })
      assertProblem(await read(server, {}), { status: 401, code: 'unauthenticated' })
      assert.equal((await runCommand(['audit', 'verify'], { dataDir: place.dataDir, env: place.env })).code, 0)
    })

    test('pages: newest first, each row once whatever the limit, the Link field leads on, filters narrow', async () => {
      await using place = await kind.place()
      {
        await using opened = await openAt(place)
        await fillTrail(opened.database, keyOf(place), 260)
      }
      await using server = await start(place)
      const fields = operatorOf(place, server)
      const everything = await readAll(server, fields, '?limit=100')
      const seqs = everything.items.map(({ seq }) => seq)
      assert.deepEqual(
        seqs,
        seqs.toSorted((a, b) => b - a),
      )
      assert.equal(seqs.at(-1), 1)
      assert.equal(new Set(seqs).size, seqs.length)
      assert.equal(everything.pages, Math.ceil(seqs.length / 100))
      assert.equal((await pageOf(server, fields)).items.length, 50)
      assert.deepEqual(
        (await readAll(server, fields, '?limit=37')).items.map(({ seq }) => seq),
        seqs,
      )
      const one = await readAll(server, fields, '?actor=u5&limit=1')
      assert.deepEqual(
        one.items.map(({ seq }) => seq),
        [200, 103, 6],
      )
      const both = await readAll(server, fields, '?actor=u5&action=test.note&target=row%20103')
      assert.deepEqual(
        both.items.map(({ seq }) => seq),
        [103],
      )
      for (const query of [
        '?actor=nobody',
        '?actor=u5&target=row%201',
        '?action=test',
        '?since=2100-01-01T00:00:00Z',
        '?until=2000-01-01T00:00:00Z',
      ])
        assert.deepEqual(await pageOf(server, fields, query), { items: [], next: null }, query)
      // All of the filled rows are of one millisecond, 2023-11-14T22:13:20Z.
      const then = await readAll(server, fields, '?since=2023-11-14T22:13:20Z&until=2023-11-14T22:13:20.001Z&limit=99')
      assert.equal(then.items.length, 260)
      assert.equal((await pageOf(server, fields, '?until=2023-11-14T22:13:20Z')).items.length, 0)
    })

    test('what is changed while somebody reads moves nothing: no row twice, none left out', async () => {
      await using place = await kind.place()
      await using opened = await openAt(place)
      await fillTrail(opened.database, keyOf(place), 90)
      await using server = await start(place)
      const fields = operatorOf(place, server)
      const first = await pageOf(server, fields, '?action=test.note&limit=40')
      await writeRows(opened.database, keyOf(place), ['between', 'and more'])
      const second = await readAll(server, fields, `?action=test.note&limit=40&cursor=${first.next}`)
      const targets = [...first.items, ...second.items].map(({ target }) => target)
      assert.equal(new Set(targets).size, targets.length)
      for (let row = 1; row <= 90; row++) assert.ok(targets.includes(`row ${row}`))
    })

    test('attack: cursors that are forged, cut, of another list or another installation, and whatever else is no query', async () => {
      await using place = await kind.place()
      {
        await using opened = await openAt(place)
        await fillTrail(opened.database, keyOf(place), 5)
      }
      await using server = await start(place)
      const admin = await claimAdmin(server)
      await addUser(server, admin, 'viewer')
      const { next } = await pageOf(server, admin.fields, '?limit=1')
      assert.ok(next)
      const users = (await ask(server, { target: '/v1/users?limit=1', fields: admin.fields })).json() as unknown as Page
      assert.ok(users.next)
      const forged = [
        next.slice(0, -1),
        `${next.startsWith('A') ? 'B' : 'A'}${next.slice(1)}`,
        `${next}AAAA`,
        users.next,
        'A'.repeat(22),
        'A',
        '',
        'A'.repeat(2000),
        `${next}%3D`,
        Buffer.from('1700000000000:3').toString('base64url'),
      ]
      const refused = { status: 400, code: 'validation_failed', pointer: '/query/cursor' }
      for (const cursor of forged) assertProblem(await read(server, admin.fields, `?cursor=${cursor}`), refused)
      assertProblem(await ask(server, { target: `/v1/users?cursor=${next}`, fields: admin.fields }), refused)
      const queries: readonly [string, string][] = [
        ...['0', '101', '-1', '1.5', '1e1', '007', '%201', ''].map((limit): [string, string] => [`?limit=${limit}`, '/query/limit']),
        ...['now', '2026-02-30T00:00:00Z', '2026-13-01T00:00:00Z', '2026-01-01', '2026-01-01T00:00:00+01:00', '1767225600000'].flatMap(
          (time): [string, string][] => [
            [`?since=${time}`, '/query/since'],
            [`?until=${time}`, '/query/until'],
          ],
        ),
        ['?actor=', '/query/actor'],
        [`?target=${'x'.repeat(129)}`, '/query/target'],
        ['?seq=1', '/query/seq'],
        ['?limit=1&limit=2', '/query/limit'],
      ]
      for (const [query, pointer] of queries)
        assertProblem(await read(server, admin.fields, query), { status: 400, code: 'validation_failed', pointer })
    })

    test('attack: rows that somebody wrote past the program keep nobody from reading the others', async () => {
      await using place = await kind.place()
      {
        await using opened = await openAt(place)
        await fillTrail(opened.database, keyOf(place), 5)
      }
      const shown = ['{"a":{"b":1}}', '{"a":[1]}', '[1]', '7', 'null', '{', ''].map((details, i) => written(1000 + i, i, details))
      const [much, most] = [2n ** 53n + 1n, 2n ** 63n - 1n]
      const hidden = [
        written(much, 1, '{}'),
        written(most, 1, '{}'),
        written(-most, 1, '{}'),
        written(2000, most, '{}'),
        written(2001, -most, '{}'),
      ]
      await tamper(kind, place, [...shown, ...hidden, written(1500, 9e15, '{}')].join('; '))
      await using server = await start(place)
      const admin = await claimAdmin(server)
      for (const limit of [1, 100]) {
        const { items } = await readAll(server, admin.fields, `?limit=${limit}`)
        for (let n = 1; n <= 5; n++) assert.ok(items.some(({ target }) => target === `row ${n}`))
        const forged = items.filter(({ action }) => action === 'test.forged')
        assert.deepEqual(
          forged.map(({ seq }) => seq).toSorted((a, z) => a - z),
          [1000, 1001, 1002, 1003, 1004, 1005, 1006, 1500],
        )
        for (const { seq, at, details } of forged)
          assert.deepEqual(seq === 1500 ? at : details, seq === 1500 ? String(9e15) : { unreadable: true })
      }
      const listed = await runCommand(['audit', 'list', '--limit', '1000', '--json'], { dataDir: place.dataDir, env: place.env })
      assert.equal(listed.code, 0, listed.stderr)
    })

    test('the configuration: what the trail does not know yet is recorded at a start and at a reload, without a value', async () => {
      await using place = await kind.place()
      const changes = async (server: TestServer, action: string): Promise<readonly Entry[]> =>
        (await pageOf(server, operatorOf(place, server), `?action=${action}`)).items
      const toml = '[limits]\ndefault = "777 per day"\n'
      await using server = await startServer({ env: place.env, toml })
      const [first, ...more] = await changes(server, 'config.load')
      assert.ok(first && more.length === 0)
      assert.deepEqual([first.actor, first.target, first.request_id, first.client], ['system', 'configuration', null, null])
      const { digest, changed } = first.details
      assert.match(String(digest), /^[\w-]{43}$/)
      assert.ok(String(changed).split(', ').includes('limits.default'))
      const texts = [JSON.stringify(first), ...(place.secretsKey === '' ? [] : [place.secretsKey]), '777', place.url.slice(0, 20)]
      for (const value of texts.slice(1)) if (value !== 'sqlite') assert.ok(!texts[0]?.includes(value), value)

      assert.equal((await reloadWith(server, toml))['ok'], true)
      assert.equal((await reloadWith(server, '[limits]\ndefault = "nonsense"\n'))['ok'], false)
      assert.equal((await reloadWith(server, '[limits]\ndefault = "778 per day"\ntotal = "5000 per hour"\n'))['ok'], true)
      await eventually(10_000, 'the reload is recorded', async () => (await changes(server, 'config.reload')).length > 0)
      const reloads = await changes(server, 'config.reload')
      assert.deepEqual(
        reloads.map(({ details }) => details['changed']),
        ['limits.default, limits.total'],
        'the same again is none, and what is refused is none',
      )
      assert.notEqual(reloads[0]?.details['digest'], digest)

      assert.equal(await server.kill('SIGTERM'), 0)
      const { dataDir } = server
      await using again = await startServer({
        dataDir,
        env: place.env,
        toml: '[limits]\ndefault = "778 per day"\ntotal = "5000 per hour"\n',
      })
      assert.equal((await changes(again, 'config.load')).length, 1, 'the trail knows it from the reload')
      assert.equal(await again.kill('SIGTERM'), 0)
      await using other = await startServer({ dataDir, env: place.env, toml })
      const loads = await changes(other, 'config.load')
      assert.deepEqual(
        [loads.length, loads[0]?.details['changed'], loads[0]?.details['digest']],
        [2, 'limits.default, limits.total', digest],
      )
    })

    test('limits that somebody resets: by whom, and for whom', async () => {
      await using place = await kind.place()
      await using server = await start(place)
      const admin: LoggedIn = await claimAdmin(server)
      const reset = await ask(server, { method: 'DELETE', target: '/v1/limits/192.0.2.7', fields: admin.fields })
      assert.equal(reset.status, 204)
      const [entry] = (await pageOf(server, admin.fields, '?action=limits.reset')).items
      assert.deepEqual(
        [entry?.actor, entry?.target, entry?.request_id, entry?.client],
        [admin.subject, '192.0.2.7', reset.field('x-request-id'), '127.0.0.1'],
      )
      assertProblem(await ask(server, { method: 'DELETE', target: '/v1/limits/nobody', fields: admin.fields }), {
        status: 400,
        code: 'validation_failed',
      })
      assert.equal((await pageOf(server, admin.fields, '?action=limits.reset')).items.length, 1)
    })
  })
}
