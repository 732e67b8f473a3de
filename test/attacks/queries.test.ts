import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'

import { type Answer, type Ask, ask, assertLogged, assertProblem, assertQuietLog, assertSafe, query } from '../support/attack.ts'
import { startServer } from '../support/server.ts'

const server = await startServer()
after(() => server[Symbol.asyncDispose]())

const votes = (): Record<string, unknown>[] => query(server, 'select film_id, voter, value from vote order by film_id, voter')
const counters = (id: number): Record<string, unknown> | undefined => query(server, 'select likes, dislikes from film where id = ?', id)[0]
const get = (target: string, fields: Ask['fields'] = {}, method = 'GET'): Promise<Answer> => ask(server, { method, target, fields })

const refusedQueries: Readonly<Record<string, readonly [query: string, pointer: string]>> = {
  'not digits': ['like=abc', '/query/like'],
  '16 digits': ['like=1000000000000000', '/query/like'],
  '16 digits with zeros in front': ['like=0000000000000001', '/query/like'],
  empty: ['like=', '/query/like'],
  'without a value': ['dislike', '/query/dislike'],
  'a minus': ['like=-1', '/query/like'],
  'an encoded plus': ['like=%2B1', '/query/like'],
  'a plus, which is a blank': ['like=+1', '/query/like'],
  'a blank behind': ['like=1%20', '/query/like'],
  'a line feed behind': ['like=1%0a', '/query/like'],
  'a NUL behind': ['like=1%00', '/query/like'],
  'a fraction': ['like=1.0', '/query/like'],
  'an exponent': ['like=1e3', '/query/like'],
  hexadecimal: ['like=0x1', '/query/like'],
  'Arabic digits': [`like=${encodeURIComponent('١٢٣')}`, '/query/like'],
  'full-width digits': [`like=${encodeURIComponent('１')}`, '/query/like'],
  '%ff': ['like=%ff', '/query/like'],
  'a broken escape': ['like=%zz', '/query/like'],
  SQL: ['like=1%20or%201=1', '/query/like'],
  twice: ['like=1&like=2', '/query/like'],
  'twice, the same': ['like=1&like=1', '/query/like'],
  'twice, once encoded': ['like=1&%6cike=2', '/query/like'],
  'thrice, dislike': ['dislike=1&dislike=2&dislike=3', '/query/dislike'],
  'both with the same id': ['like=7&dislike=7', '/query/dislike'],
  'both with the same id in two spellings': ['like=7&dislike=007', '/query/dislike'],
  'an unknown parameter': ['foo=1', '/query/foo'],
  'an unknown parameter beside a good one': ['like=1&foo=1', '/query/foo'],
  'the other case': ['Like=1', '/query/Like'],
  'brackets (PHP, qs)': ['like[]=1', '/query/like[]'],
  'an object (qs)': ['like[$gt]=1', '/query/like[$gt]'],
  'a dotted name': ['like.x=1', '/query/like.x'],
  'a NUL in the name': ['like%00=1', '/query/like\0'],
  'a blank behind the name': ['like%20=1', '/query/like '],
  __proto__: ['__proto__=1', '/query/__proto__'],
  '__proto__ with brackets': ['__proto__[like]=1', '/query/__proto__[like]'],
  'the name constructor': ['constructor=1', '/query/constructor'],
  'the name toString': ['toString=1', '/query/toString'],
  'a nameless parameter': ['=1', '/query/'],
  'a semicolon as separator': ['like=1;dislike=2', '/query/like'],
  'a second question mark': ['?like=1', '/query/?like'],
  'a method override': ['_method=POST', '/query/_method'],
  'a JSON-P callback': ['callback=alert', '/query/callback'],
}

describe('a query that is refused votes for nothing', { concurrency: 8 }, () => {
  for (const [attack, [text, pointer]] of Object.entries(refusedQueries)) {
    test(attack, async () => {
      const answer = await get(`/?${text}`)
      assertProblem(answer, { status: 400, code: 'validation_failed', pointer })
      await assertLogged(server, answer, 'validation_failed')
      assert.deepEqual(votes(), [])
    })
  }

  test('1,000 repetitions', async () => {
    const answer = await get(`/?${Array.from({ length: 500 }, () => 'like=1').join('&')}`)
    assertProblem(answer, { status: 400, code: 'validation_failed', pointer: '/query/like' })
  })

  for (const target of ['/v1/films/1?like=1', '/v1/films/1?x', '/v1/films/1?']) {
    test(`a query where none is known: ${target}`, async () => {
      const answer = await get(target)
      if (target.endsWith('?')) assert.equal(answer.status, 200)
      else assertProblem(answer, { status: 400, code: 'validation_failed' })
    })
  }
  test('a query on HEAD /add_film', async () => assert.equal((await get('/add_film?x=1', {}, 'HEAD')).status, 400))
})

interface Receipt {
  readonly film_id: number
  readonly value: string
  readonly recorded: boolean
}
const receipt = (answer: Answer): Receipt => {
  assert.equal(answer.status, 200, answer.body)
  assertSafe(answer)
  return answer.json()['vote'] as Receipt
}

describe('a vote that nobody meant is not recorded', { concurrency: 8 }, () => {
  const own = `http://localhost:${server.port}`
  const hostWithPort = { Host: `localhost:${server.port}` }
  const intents: Readonly<Record<string, Ask['fields']>> = {
    'a prefetch': { 'Sec-Purpose': 'prefetch' },
    'a prerender': { 'Sec-Purpose': 'prefetch;prerender' },
    'an old prefetch': { Purpose: 'prefetch' },
    'a cross-site image': { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'no-cors', 'Sec-Fetch-Dest': 'image' },
    'a page of a sibling domain': { 'Sec-Fetch-Site': 'same-site' },
    'an unknown Sec-Fetch-Site': { 'Sec-Fetch-Site': 'x' },
    'an empty Sec-Fetch-Site': { 'Sec-Fetch-Site': '' },
    'two Sec-Fetch-Site fields': { 'Sec-Fetch-Site': ['none', 'cross-site'] },
    'a foreign Origin': { Origin: 'https://evil.example' },
    'Origin null (a sandboxed frame)': { Origin: 'null' },
    'an empty Origin': { Origin: '' },
    'two Origins, ours first': { Origin: ['http://localhost', 'https://evil.example'] },
    'an Origin that begins like ours': { Origin: 'http://localhost.evil.example' },
    'an Origin that ends like ours': { Origin: 'http://evillocalhost' },
    'an Origin with our name as user': { Origin: 'http://localhost@evil.example' },
    'an Origin on another port': { ...hostWithPort, Origin: 'http://localhost:1' },
    'an Origin on the default port': { ...hostWithPort, Origin: 'http://localhost' },
    'an Origin of another scheme': { Origin: 'file://localhost' },
    'an Origin under another of our names': { ...hostWithPort, Origin: `http://127.0.0.1:${server.port}` },
    'a foreign Referer': { Referer: 'https://evil.example/page?http://localhost/' },
    'a Referer that is no URL': { Referer: 'localhost' },
    'our Origin, a foreign Referer': { ...hostWithPort, Origin: own, Referer: 'https://evil.example/' },
  }
  for (const [attack, fields] of Object.entries(intents)) {
    test(attack, async () => {
      assert.deepEqual(receipt(await get('/?like=5', fields)), { film_id: 5, value: 'like', recorded: false })
      assert.deepEqual(votes(), [])
    })
  }

  test('HEAD never votes', async () => {
    const answer = await get('/?like=5', {}, 'HEAD')
    assert.equal(answer.status, 200)
    assertSafe(answer)
    await assertLogged(server, answer, 'ok')
    assert.deepEqual(votes(), [])
  })
  for (const method of ['POST', 'PUT', 'OPTIONS', 'TRACE', 'QUERY', 'LINK']) {
    test(`${method} never votes`, async () => {
      const answer = await get('/?like=5', {}, method)
      if (method === 'OPTIONS') assert.equal(answer.status, 204)
      else assertProblem(answer, { status: 405, code: 'method_not_allowed' })
      assert.match(answer.field('allow') ?? '', /GET/)
      assert.deepEqual(votes(), [])
    })
  }
  for (const id of ['0', '3201', '999999999999999']) {
    test(`film ${id}, which is not there`, async () => {
      assert.deepEqual(receipt(await get(`/?dislike=${id}`)), { film_id: Number(id), value: 'dislike', recorded: false })
      assert.deepEqual(votes(), [])
    })
  }
})

describe('one voter, one vote', () => {
  const own = `http://localhost:${server.port}`
  const bearer = { Authorization: `Bearer ${server.key()}` }

  test('a deliberate vote is recorded, from a page of our own too', async () => {
    const pages: readonly Ask['fields'][] = [
      {},
      { 'Sec-Fetch-Site': 'none' },
      { Host: `localhost:${server.port}`, 'Sec-Fetch-Site': 'same-origin', Origin: own, Referer: `${own}/index.html` },
      { Host: `LOCALHOST:${server.port}`, Origin: own },
    ]
    for (const fields of pages) assert.equal(receipt(await get('/?like=10', fields)).recorded, true)
    assert.deepEqual(counters(10), { likes: 1, dislikes: 0 })
  })

  test('a later vote replaces the earlier one', async () => {
    for (const value of ['like', 'like', 'dislike', 'like', 'dislike', 'dislike'])
      assert.equal(receipt(await get(`/?${value}=11`)).recorded, true)
    assert.deepEqual(counters(11), { likes: 0, dislikes: 1 })
  })

  test('zeros in front and encoded names are the same film', async () => {
    for (const text of ['like=12', 'like=000000000000012', '%6cike=%31%32', '&like=12&'])
      assert.equal(receipt(await get(`/?${text}`)).film_id, 12)
    assert.deepEqual(counters(12), { likes: 1, dislikes: 0 })
  })

  test('20 parallel votes of one voter count once', async () => {
    const values = Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? 'like' : 'dislike'))
    const answers = await Promise.all(values.map((value) => get(`/?${value}=13`)))
    for (const answer of answers) assert.equal(receipt(answer).recorded, true)
    const { likes, dislikes } = counters(13) ?? {}
    assert.equal(Number(likes) + Number(dislikes), 1)
    assert.deepEqual(
      votes()
        .filter((vote) => vote['film_id'] === 13)
        .map((vote) => vote['value']),
      [likes === 1 ? 1 : -1],
    )
  })

  test('like and dislike of two films in one request are two votes', async () => {
    const answer = await get('/?like=14&dislike=15')
    assert.equal(answer.status, 200)
    assert.deepEqual(answer.json()['votes'], [
      { film_id: 14, value: 'like', recorded: true },
      { film_id: 15, value: 'dislike', recorded: true },
    ])
    assert.equal(answer.json()['vote'], undefined)
    assert.deepEqual(
      [counters(14), counters(15)],
      [
        { likes: 1, dislikes: 0 },
        { likes: 0, dislikes: 1 },
      ],
    )
  })

  test('a key votes for its subject, beside the anonymous vote of its address', async () => {
    for (const fields of [bearer, {}, bearer]) assert.equal(receipt(await get('/?like=16', fields)).recorded, true)
    assert.deepEqual(counters(16), { likes: 2, dislikes: 0 })
    const voters = votes()
      .filter((vote) => vote['film_id'] === 16)
      .map((vote) => String(vote['voter']))
    assert.ok(voters.includes('s:starter'), voters.join())
  })

  test('another address is another voter, a forged one is not', async () => {
    await get('/?like=17')
    await get('/?like=17', {
      'X-Forwarded-For': '203.0.113.9',
      Forwarded: 'for=203.0.113.9',
      'X-Real-IP': '203.0.113.9',
      'True-Client-IP': '203.0.113.9',
    })
    await get('/?like=17', { 'User-Agent': 'another', Cookie: 'voter=x' })
    assert.deepEqual(counters(17), { likes: 1, dislikes: 0 })
    await ask(server, { target: '/?like=17', from: '127.0.0.2' })
    assert.deepEqual(counters(17), { likes: 2, dislikes: 0 })
  })

  test('the table of votes holds no address and no key', () => {
    const voters = votes().map((vote) => String(vote['voter']))
    for (const voter of voters) assert.match(voter, /^(s:starter|c:[\w-]{22})$/)
    const [id = ''] = /(?<=fg_)\w{12}/.exec(server.key()) ?? []
    assert.ok(!voters.some((voter) => voter.includes(id)))
  })

  test('counters equal the votes', () => {
    const wrong = query(
      server,
      `select id from film where likes <> (select count(*) from vote where film_id = film.id and value = 1)
       or dislikes <> (select count(*) from vote where film_id = film.id and value = -1)`,
    )
    assert.deepEqual(wrong, [])
  })

  test('the log is quiet: one line each, no error', () => assertQuietLog(server))
})
