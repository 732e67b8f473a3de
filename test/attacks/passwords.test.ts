import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'

import { claimAdmin, goodPassword, send, tryLogin } from '../support/accounts.ts'
import { type Answer, ask, assertProblem } from '../support/attack.ts'
import { raisedLimits, startServer } from '../support/server.ts'

const toml = `${raisedLimits}
"POST /v1/auth/register" = { only = "100000 per day" }
[auth]
registration = "open"
issuer = "https://kino.example.com"
login_failures = "100000 per day"
account_failures = "100000 per day"
[concurrency]
per_client = 10000
total = 100000
`
const server = await startServer({ toml })
after(() => server[Symbol.asyncDispose]())
await claimAdmin(server, 'root')

let people = 0
const register = (password: string, username = `user-${people++}`): Promise<Answer> =>
  send(server, 'POST', '/v1/auth/register', { username, password })
const logIn = async (username: string, password: string): Promise<number> => (await tryLogin(server, { username, password })).status

/** As JSON spells it, which no text of ours could: half a character. */
const sendRaw = (target: string, body: string | Buffer): Promise<Answer> =>
  ask(server, { method: 'POST', target, body, fields: { 'Content-Type': 'application/json' } })

/** With the end as JSON escapes it. */
const spelled = (username: string, end: string): string => `{"username":"${username}","password":"${goodPassword}${end}"}`

/** Of floods: who waits for a hash is told after four seconds, on a busy machine later. */
const timeoutMs = 60_000

const letters = 'qwzxjkvbpygfmucltdhrnsiaoe'.repeat(6)
const refused = { status: 400, code: 'validation_failed', pointer: '/password' } as const

describe('what a password may be', () => {
  test('[ASVS 6.2.1] [ASVS 6.2.9] 11 characters are refused, 12, 64 and 128 are not, 129 are', async () => {
    assertProblem(await register(letters.slice(0, 11)), refused)
    assertProblem(await register(letters.slice(0, 129)), refused)
    for (const length of [12, 64, 128]) {
      const username = `long-${length}`
      assert.equal((await register(letters.slice(0, length), username)).status, 201)
      assert.equal(await logIn(username, letters.slice(0, length)), 200)
    }
  })

  test('[ASVS 6.2.5] no composition rules: small letters, one alphabet, blanks, emoji', async () => {
    for (const password of [
      goodPassword,
      'correcthorsebatterystaple',
      '918273645546372819',
      'ДЕВЯТЬ ФОНАРЕЙ НА МОЛУ',
      '🦔🦉🐈🦇🐀🦎🐍🦊🐗🦌🐿🦡',
    ])
      assert.equal((await register(password)).status, 201, password)
  })

  test('[ASVS 6.2.4] [ASVS 6.2.12] known from breaches, in whatever case', async () => {
    for (const password of ['1qaz2wsx3edc4rfv', '1QAZ2WSX3EDC4RFV', 'unbelievable', 'Unbelievable'])
      assertProblem(await register(password), refused)
  })

  test('[ASVS 6.2.11] the username, and words of issuer and product', async () => {
    assertProblem(await register('lovelace2026!', 'lovelace'), refused)
    assertProblem(await register('Love-LACE-2026!', 'love-lace'), refused)
    for (const password of ['filmgate2026!', 'Kino.Example.1', 'MOVIEmovie123']) assertProblem(await register(password), refused)
  })

  test('a refusal repeats nothing of the password, in the answer or in the log', async () => {
    const answer = await register('filmgate-zqx42!')
    assertProblem(answer, refused)
    assert.ok(!answer.body.includes('zqx42') && !JSON.stringify(server.log()).includes('zqx42'))
  })
})

describe('[ASVS 6.2.8] a password is verified as it was sent', () => {
  test('attack: blanks at the ends, case, NUL, normal forms, tails behind 72 bytes', async () => {
    const long = `${letters.slice(0, 100)}X`
    for (const [right = '', ...near] of [
      [` ${goodPassword} `, goodPassword, ` ${goodPassword}`, `${goodPassword} `],
      [goodPassword, goodPassword.toUpperCase(), 'Seven kestrels over the marsh', `${goodPassword}\0`, `${goodPassword}\n`],
      [`${goodPassword}\0one`, `${goodPassword}\0two`, goodPassword],
      [long, `${letters.slice(0, 100)}Y`, letters.slice(0, 72), letters.slice(0, 100)],
      ['r\u00e9sum\u00e9 of a sailor', 're\u0301sume\u0301 of a sailor'],
    ]) {
      const username = `exact-${people++}`
      assert.equal((await register(right, username)).status, 201, right)
      for (const guess of near) assert.equal(await logIn(username, guess), 401, JSON.stringify(guess))
      assert.equal(await logIn(username, right), 200, JSON.stringify(right))
    }
  })

  test('attack: half a character, which has no UTF-8 and would stand for any other half', async () => {
    assert.equal((await sendRaw('/v1/auth/register', spelled('halved', String.raw`\ufffd`))).status, 201)
    for (const end of [String.raw`\ud800`, String.raw`\udfff`, String.raw`\udc00\ud800`])
      for (const target of ['/v1/auth/register', '/v1/auth/login'])
        assert.equal((await sendRaw(target, spelled('halved', end))).status, 400, `${target} ${end}`)
    assert.equal((await sendRaw('/v1/auth/login', spelled('halved', String.raw`\ufffd`))).status, 200)
    const raw = Buffer.concat([Buffer.from(`{"username":"halved","password":"${goodPassword}`), Buffer.from([0xff]), Buffer.from('"}')])
    assert.equal((await sendRaw('/v1/auth/login', raw)).status, 400, 'what is no UTF-8 becomes no U+FFFD')
  })
})

describe('attack: what costs the server more than the client', () => {
  test('passwords of a kilobyte, of fifteen, of a megabyte: refused before they are hashed', async () => {
    for (const target of ['/v1/auth/login', '/v1/auth/register', '/v1/auth/claim']) {
      const body = (password: string) => ({ username: 'longer', password, ...(target.endsWith('claim') ? { code: 'x' } : {}) })
      for (const bytes of [1000, 15_000]) assertProblem(await send(server, 'POST', target, body('x'.repeat(bytes))), refused)
      assertProblem(await send(server, 'POST', target, body('x'.repeat(1_000_000))), { status: 413, code: 'payload_too_large' })
      for (const wrong of [null, 1, ['x'], { $ne: '' }, true])
        assertProblem(await sendRaw(target, JSON.stringify({ ...body(''), password: wrong })), refused)
    }
  })

  test('six hundred logins at once from three hundred clients: some are looked at, the rest refused; the API answers all the while', async () => {
    const froms = Array.from({ length: 600 }, (_, i) => `127.0.${10 + Math.floor(i / 200)}.${1 + (i % 100)}`)
    const flooding = { isOver: false }
    const flood = Promise.all(
      froms.map((from) => tryLogin(server, { username: 'root', password: 'a guess that is wrong' }, { from, timeoutMs })),
    ).finally(() => (flooding.isOver = true))
    let answered = 0
    while (!flooding.isOver) {
      const answer = await ask(server, { target: '/', timeoutMs })
      assert.equal(answer.status, 200)
      answered++
    }
    const answers = await flood
    const counts = Object.fromEntries([...Map.groupBy(answers, ({ status }) => status)].map(([status, list]) => [status, list.length]))
    assert.deepEqual(Object.keys(counts), ['401', '503'], JSON.stringify(counts))
    assert.ok((counts['503'] ?? 0) >= 100, JSON.stringify(counts))
    const busy = answers.find(({ status }) => status === 503)
    assert.equal(busy?.json()['code'], 'temporary_reduced_capacity')
    assert.equal(busy.field('retry-after'), '4')
    // While six hundred waited for their hashes, somebody else was answered again and again.
    assert.ok(answered >= 5, `answered ${answered} times`)
    assert.equal(await logIn('root', goodPassword), 200, 'and afterwards all is as before')
  })

  test('a flood from one client leaves the others their turn', async () => {
    const flood = Promise.all(
      Array.from({ length: 200 }, () => tryLogin(server, { username: 'nobody', password: 'a guess that is wrong' }, { timeoutMs })),
    )
    const other = await tryLogin(server, { username: 'root', password: goodPassword }, { from: '127.0.0.9', timeoutMs })
    assert.equal(other.status, 200)
    const refusals = (await flood).filter(({ status }) => status === 503).length
    assert.ok(refusals >= 50, `${refusals} of 200 were refused`)
  })
})
