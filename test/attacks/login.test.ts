import assert from 'node:assert/strict'
import { test } from 'node:test'

import { goodPassword, tryLogin } from '../support/accounts.ts'
import type { Answer } from '../support/attack.ts'
import { databases } from '../support/databases.ts'
import { type LoginApp, openLoginApp, openLoginScene, sceneStartMs } from '../support/login-app.ts'
import { createManualClock } from '../support/manual-clock.ts'
import { describeUnless } from '../support/services.ts'
import { median } from '../support/statistics.ts'

const ada = { username: 'ada', password: goodPassword }
const wrong = { username: 'ada', password: 'eight kestrels over the marsh' }
const nobody = { ...wrong, username: 'nobody' }
const home = '203.0.113.5'

/** A guess from there. */
const guess = (app: LoginApp, from: string, credentials = wrong): Promise<Answer> =>
  tryLogin(app, credentials, { fields: { 'X-Forwarded-For': from } })

const count = (answers: readonly Answer[], status: number): number => answers.filter((answer) => answer.status === status).length

/** All that a client sees but what is new in every answer. */
const seen = ({ status, body, fields }: Answer) => ({
  status,
  body: body.replace(/"request_id":"[^"]*"/, ''),
  fields: fields.filter(([name]) => !['date', 'ratelimit'].includes(name)),
})

const stranger = (i: number): string => `198.51.${Math.floor(i / 250)}.${1 + (i % 250)}`

/** Each in a /64 of its own. */
const inSite = (i: number): string => `2001:db8:7:${i.toString(16)}::1`

for (const kind of databases) {
  describeUnless(kind.missing, `attacks on logins, ${kind.name}`, () => {
    test('[ASVS 6.3.1] attack: one machine tries many accounts: it is the machine that is refused, whatever it knows', async () => {
      await using scene = await openLoginScene(kind, { loginFailures: '4 per 15 minutes' })
      const { app, clock } = scene
      await app.addAccount('ada')
      const names = Array.from({ length: 6 }, (_, i) => ({ ...wrong, username: `user-${i}` }))
      const answers: Answer[] = []
      for (const name of names) answers.push(await guess(app, home, name))
      assert.deepEqual([count(answers, 401), count(answers, 429)], [4, 2])
      // The right password of an account that it had not tried yet.
      assert.equal((await guess(app, home, ada)).status, 429)
      assert.equal((await guess(app, '203.0.113.6', ada)).status, 200, 'its neighbour is somebody else')
      assert.ok(app.events.some((event) => event.event === 'authn_login_fail_max' && event.limit === 'auth.login_failures'))
      clock.advance(15 * 60_000)
      assert.equal((await guess(app, home, ada)).status, 200)
    })

    test('[ASVS 6.3.1] attack: many machines try one account: after so many guesses nothing is looked at from new places, and for no name either', async () => {
      await using scene = await openLoginScene(kind, { accountFailures: '5 per hour' })
      const { app } = scene
      await app.addAccount('ada')
      for (const username of ['ada', 'nobody']) {
        const answers: Answer[] = []
        for (let i = 0; i < 8; i++) answers.push(await guess(app, stranger(i), { ...wrong, username }))
        assert.deepEqual([count(answers, 401), count(answers, 429)], [5, 3], username)
      }
      const locked = app.events.filter(({ event }) => event === 'authn_login_lock')
      assert.equal(locked.length, 6)
    })

    test('[ASVS 6.3.1] attack: the right password while guesses are refused gets the same answer as a wrong one', async () => {
      await using scene = await openLoginScene(kind, { loginFailures: '4 per hour', accountFailures: '3 per hour' })
      const { app } = scene
      await app.addAccount('ada')
      for (let i = 0; i < 3; i++) await guess(app, stranger(i))
      const [right, not, other] = [
        await guess(app, stranger(100), ada),
        await guess(app, stranger(101), wrong),
        await guess(app, stranger(102), nobody),
      ]
      assertRefusedAlike(right, not)
      assert.equal(other.status, 401, 'another name has a count of its own')
      for (let i = 0; i < 4; i++) await guess(app, home, { ...wrong, username: `user-${i}` })
      assertRefusedAlike(await guess(app, home, ada), await guess(app, home, wrong))
      assert.equal(app.events.filter(({ event }) => event === 'session_created').length, 0)
    })

    test('[ASVS 6.1.1] attack: a thousand machines lock nobody out of a place known to be theirs', async () => {
      await using scene = await openLoginScene(kind, { accountFailures: '5 per hour' })
      const { app, clock } = scene
      await app.addAccount('ada')
      assert.equal((await guess(app, home, ada)).status, 200)
      for (let i = 0; i < 6; i++) await guess(app, stranger(i))
      assert.equal((await guess(app, stranger(99), ada)).status, 429, 'the account is under attack')
      // Not even the owner's own slips change that.
      assert.equal((await guess(app, home)).status, 401)
      assert.equal((await guess(app, home, ada)).status, 200)
      clock.advance(60 * 60_000)
      assert.equal((await guess(app, stranger(99), ada)).status, 200)
    })

    test('[ASVS 6.3.1] attack: a known place is no free pass: its own limit holds', async () => {
      await using scene = await openLoginScene(kind, { loginFailures: '4 per hour' })
      const { app } = scene
      await app.addAccount('ada')
      assert.equal((await guess(app, home, ada)).status, 200)
      const answers: Answer[] = []
      for (let i = 0; i < 6; i++) answers.push(await guess(app, home))
      assert.deepEqual([count(answers, 401), count(answers, 429)], [4, 2])
      assert.equal((await guess(app, home, ada)).status, 429)
    })

    test('attack: fifty guesses at the same moment: ten are looked at, and the right one among the others opens nothing', async () => {
      await using scene = await openLoginScene(kind)
      const { app } = scene
      await app.addAccount('ada')
      const first = await Promise.all(Array.from({ length: 50 }, () => guess(app, home)))
      const looked = app.events.filter((event) => event.event === 'authn_login_fail' && event.reason === 'wrong password').length
      assert.ok(looked <= 10, String(looked))
      assert.equal(count(first, 401), looked)
      assert.equal((await guess(app, home, ada)).status, 429)
    })

    test('right passwords cost nothing, however often', async () => {
      await using scene = await openLoginScene(kind, { loginFailures: '2 per hour', accountFailures: '2 per hour' })
      const { app } = scene
      await app.addAccount('ada')
      assert.equal((await guess(app, home)).status, 401)
      for (let i = 0; i < 5; i++) assert.equal((await guess(app, home, ada)).status, 200)
      assert.equal((await guess(app, home)).status, 401)
      assert.equal((await guess(app, home)).status, 429)
    })

    test('attack: other spellings of a name are refused and get no count of their own', async () => {
      await using scene = await openLoginScene(kind)
      const { app } = scene
      await app.addAccount('ada')
      for (const username of ['ADA', ' ada', 'ada ', 'ada\u0000', 'аda', 'a', `ada${'a'.repeat(64)}`])
        assertRefused(await guess(app, home, { ...ada, username }), 400, 'validation_failed')
    })

    test('[ASVS 6.3.8] attack: who asks whether there is an account sees the same answer for every reason', async () => {
      await using scene = await openLoginScene(kind)
      const { app } = scene
      const { statements, changes } = app.parts
      await app.addAccount('ada')
      const disabled = await app.addAccount('disabled')
      const bare = { id: `u${'b'.repeat(20)}`, username: 'bare', role: 'viewer', passwordHash: null } as const
      const by = [{ actor: 'system', action: 'test', target: 'test' }]
      const unit = [statements.setDisabled(disabled.id, true), statements.add(bare)]
      assert.equal((await changes.commit(unit, by)).result, 'committed')
      const answers = [
        await guess(app, stranger(1), wrong),
        await guess(app, stranger(2), nobody),
        await guess(app, stranger(3), { ...wrong, username: 'disabled' }),
        await guess(app, stranger(4), { ...ada, username: 'disabled' }),
        await guess(app, stranger(5), { ...ada, username: 'bare' }),
        await guess(app, stranger(6), { ...ada, username: 'nobody' }),
      ]
      const [first, ...others] = answers.map(seen)
      assert.equal(first?.status, 401)
      for (const other of others) assert.deepEqual(other, first)
      const reasons = app.events.flatMap((event) => (event.event === 'authn_login_fail' ? [event.reason] : []))
      assert.deepEqual(reasons, [
        'wrong password',
        'unknown user',
        'disabled account',
        'disabled account',
        'account without a password',
        'unknown user',
      ])
    })

    test('[ASVS 6.3.8] attack: the same questions to the database, known or not', async () => {
      await using opened = await kind.open()
      const asked: string[] = []
      const reader = new Proxy(opened.database.reader, {
        get: (target, name) => {
          const member: unknown = Reflect.get(target, name)
          if (typeof member !== 'function') return member
          return (...given: readonly unknown[]): unknown => {
            if (name === 'executeQuery') asked.push((given[0] as { sql: string }).sql)
            return Reflect.apply(member, target, given) as unknown
          }
        },
      })
      const clock = createManualClock(sceneStartMs)
      await using app = await openLoginApp({ database: { ...opened.database, reader }, clock })
      await app.addAccount('ada')
      const questions: string[][] = []
      for (const username of ['ada', 'nobody']) {
        asked.length = 0
        assert.equal((await guess(app, home, { ...wrong, username })).status, 401)
        // Not what the program asks by itself meanwhile, such as for its signing keys.
        questions.push(asked.filter((sql) => /from "(account|known_place)"/.test(sql)))
      }
      assert.equal(questions[0]?.length, 2)
      assert.deepEqual(questions[1], questions[0])
    })

    test('[ASVS 6.3.8] attack: the time of an answer tells nothing of the account', async () => {
      await using scene = await openLoginScene(kind, { loginFailures: '1000 per hour', accountFailures: '1000 per hour' })
      const { app } = scene
      await app.addAccount('ada')
      const timed = async (credentials: typeof wrong): Promise<number> => {
        const before = performance.now()
        await guess(app, home, credentials)
        return performance.now() - before
      }
      const [known, unknown]: [number[], number[]] = [[], []]
      // The first tries compile and connect. Each name comes first as often as the other.
      for (let i = 0; i < 22; i++) {
        const [first, second] = i % 2 === 0 ? [wrong, nobody] : [nobody, wrong]
        const [a, b] = [await timed(first), await timed(second)]
        if (i < 2) continue
        known.push(i % 2 === 0 ? a : b)
        unknown.push(i % 2 === 0 ? b : a)
      }
      const ratio = median(unknown) / median(known)
      assert.ok(ratio > 0.67 && ratio < 1.5, `medians ${median(known)} ms and ${median(unknown)} ms`)
      assert.ok(Math.abs(rankZ(known, unknown)) < 4, JSON.stringify({ known, unknown }))

      // What this would see: an answer for which nothing is hashed.
      const unhashed: number[] = []
      for (let i = 0; i < 20; i++) unhashed.push(await timed({ ...wrong, username: 'NOBODY' }))
      assert.ok(median(unhashed) / median(known) < 0.67)
      assert.ok(Math.abs(rankZ(known, unhashed)) > 4)
    })
  })
}

test('attack: a guesser with a whole IPv6 site gets no more than 32 machines would', async () => {
  const [sqlite] = databases
  assert.ok(sqlite)
  await using scene = await openLoginScene(sqlite, { loginFailures: '1 per hour' })
  const { app } = scene
  await app.addAccount('ada')
  const owner = inSite(200)
  assert.equal((await guess(app, owner, ada)).status, 200)
  const answers: Answer[] = []
  for (let i = 0; i < 40; i++) answers.push(await guess(app, inSite(i), { ...wrong, username: `user-${i}` }))
  assert.deepEqual([count(answers, 401), count(answers, 429)], [32, 8])
  assert.equal((await guess(app, '2001:db8:8::1')).status, 401, 'another site')
  assert.equal((await guess(app, inSite(99), ada)).status, 429, 'another machine of that site')
  assert.equal((await guess(app, owner, ada)).status, 200, "a known place in it stays its owner's")
})

/** Mann and Whitney 1947: how far from chance the ranks of two samples are, in standard deviations. */
const rankZ = (a: readonly number[], b: readonly number[]): number => {
  const u = a.reduce((sum, x) => sum + b.filter((y) => x > y).length + b.filter((y) => x === y).length / 2, 0)
  return (u - (a.length * b.length) / 2) / Math.sqrt((a.length * b.length * (a.length + b.length + 1)) / 12)
}

const assertRefused = (answer: Answer, status: number, code: string): void => {
  assert.equal(answer.status, status, answer.body)
  assert.equal(answer.json()['code'], code)
}

/** The Retry-After of two answers a moment apart may differ by a second. */
const assertRefusedAlike = (right: Answer, not: Answer): void => {
  const [one, other] = [right, not].map((answer) => seen(answer))
  assert.equal(one?.status, 429)
  assert.deepEqual(one, other)
}
