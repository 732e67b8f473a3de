/** Good traffic: people, and programs that mean well, with the mistakes that both make. */
import { setTimeout as pause } from 'node:timers/promises'

import { addUser, claimAdmin, goodPassword } from '../../test/support/accounts.ts'
import { makeKey } from '../../test/support/keys.ts'
import { addressOf, addressOf6, neighbour } from './addresses.ts'
import { keyHolder, logIn } from './attackers.ts'
import type { Field } from './field.ts'
import type { Scenario } from './scenario.ts'
import type { Answer, Visitor } from './visitor.ts'

const lapse = { limits: 'raised', lapse: true } as const

export const good = (name: string, run: Scenario['run'], field?: Scenario['field']): Scenario => ({
  name,
  label: 'good',
  run,
  ...(field === undefined ? {} : { field }),
})

/** The same numbers each time. */
const createChance = (seed: number): (() => number) => {
  let state = seed
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647
}

interface Office {
  readonly visitor: Visitor
  readonly usernames: readonly string[]
  readonly keys: readonly string[]
}

/** 500 users of one app behind one address: 20 have accounts and log in, each with keys for 25 devices. */
const openOffice = async (field: Field): Promise<Office> => {
  const admin = await claimAdmin(field.server)
  const usernames: string[] = []
  const keys: string[] = []
  for (let i = 0; i < 20; i++) {
    const user = await addUser(field.server, admin, 'editor', `colleague-${i}`)
    usernames.push(user.username)
    for (let k = 0; k < 25; k++) keys.push((await makeKey(field.server, user, ['votes:write', 'films:write'])).key)
  }
  return { visitor: field.visitor(addressOf(100), { userAgent: 'FilmNight/3.2 (Android 15)' }), usernames, keys }
}

/** What one of them does next. One in 50 asks for what is not there, one in 100 sends what is wrong, one in 200 has a key that is over. */
const officeStep = ({ visitor, keys }: Office, chance: () => number) => {
  const phone = visitor.as(keys[Math.floor(chance() * keys.length)] ?? '')
  const film = 1 + Math.floor(chance() * 3000)
  const kind = chance()
  if (kind < 0.005) return visitor.as(`fg_${'a'.repeat(12)}_${'b'.repeat(32)}`).ask('/')
  if (kind < 0.015) return phone.ask(`/?like=${film}&like=${film}`)
  if (kind < 0.035) return phone.ask(`/v1/films/${3300 + Math.floor(chance() * 20)}`)
  if (kind < 0.05) return phone.ask('/add_film', { method: 'POST', body: { name: `A film that ${film} people made` } })
  return phone.ask(kind < 0.4 ? '/' : kind < 0.7 ? `/?like=${film}` : kind < 0.8 ? `/?dislike=${film}` : `/v1/films/${film}`)
}

/** Four hours: everybody logs in once, one of six types the password wrong first, and 5,000 requests. */
const officeDay = good(
  'an app with 500 users behind one address, 4 hours',
  async (field) => {
    const office = await openOffice(field)
    const chance = createChance(7)
    for (let i = 0; i < 5000; i++) {
      field.pass(2.9)
      if (i % 100 === 0) {
        const username = office.usernames[(i / 100) % office.usernames.length] ?? ''
        if (chance() < 0.17) await logIn(office.visitor, username, 'not what it is')
        await logIn(office.visitor, username, goodPassword)
      } else await officeStep(office, chance)
    }
  },
  lapse,
)

/** The same under the limits that everybody has: most of it is refused, and their app asks again when it is told to. */
const officeLimited = good('the same app for 20 s, under the default limits', async (field) => {
  const visitor = field.visitor(addressOf(101), { userAgent: 'FilmNight/3.2 (Android 15)' })
  const until = performance.now() + 20_000
  while (performance.now() < until) {
    const { retryAfterSeconds } = await visitor.ask('/')
    if (retryAfterSeconds !== undefined && retryAfterSeconds > 30) break
    await pause(1000 * (retryAfterSeconds ?? 0.5))
  }
})

const typos = good(
  'a password wrong 8 times, a try each 3 s, then right',
  async (field) => {
    const admin = await claimAdmin(field.server)
    await addUser(field.server, admin, 'editor', 'forgetful')
    const visitor = field.visitor(addressOf6(102))
    // As fast as somebody types who is angry.
    for (let i = 0; i < 8; i++) {
      await logIn(visitor, 'forgetful', `Was-it-${1000 + i}?`)
      await pause(3000)
    }
    const { status } = await logIn(visitor, 'forgetful', goodPassword)
    if (status !== 200) throw new Error(`the right password was answered with ${status}`)
  },
  { lapse: true },
)

const learner = good('somebody who learns the API: names and values that are wrong', async (field) => {
  const visitor = field.visitor(addressOf(103), { userAgent: 'curl/8.14.1' })
  const tried = [
    '/?likes=1',
    '/?Like=1',
    '/?like=Frozen',
    '/?like=',
    '/?like=1&limit=5',
    '/v1/films/Frozen',
    '/v1/film/1',
    '/v1/films/',
    '/v2/films/1',
  ]
  for (const target of [
    ...tried,
    '/films',
    '/docs/',
    '/help',
    '/?dislike=-1',
    '/?like=1&like=2',
    '/v1/films/0',
    '/v1/films/1.0',
    '/?like=1',
  ])
    await visitor.ask(target)
  for (const body of [{}, { title: 'Frozen' }, { name: 7 }, { name: 'Frozen', year: '2013' }])
    await visitor.ask('/add_film', { method: 'POST', body })
})

const importer = good(
  'an import: 600 films, one a second, one row in 20 wrong',
  async (field) => {
    const { key } = await keyHolder(field, 'editor', ['films:write'])
    const visitor = field.visitor(addressOf(104), { userAgent: 'python-requests/2.32.3' }).as(key)
    for (let i = 0; i < 600; i++) {
      field.pass(1)
      const film = { name: `Film ${i} of a long list`, year: 1920 + (i % 100), rating: (i % 100) / 10 }
      await visitor.ask('/add_film', { method: 'POST', body: i % 20 === 7 ? { ...film, year: `c. ${film.year}` } : film })
    }
  },
  lapse,
)

const crawler = good('a crawler that obeys', async (field) => {
  const visitor = field.visitor(addressOf6(105), { userAgent: 'Mozilla/5.0 (compatible; Examplebot/2.1; +https://search.example/bot)' })
  const pages = [
    '/robots.txt',
    '/index.html',
    '/docs',
    '/openapi.json',
    '/sitemap.xml',
    '/favicon.ico',
    '/.well-known/security.txt',
    '/v1/films/1',
  ]
  const problems =
    'validation_failed bad_request unauthenticated forbidden not_found method_not_allowed quota_exceeded gone_long_ago'.split(' ')
  for (const target of [
    ...pages,
    ...problems.map((code) => `/problems/${code}`),
    ...Array.from({ length: 60 }, (_, i) => `/v1/films/${2 + i}`),
  ]) {
    const { retryAfterSeconds } = await visitor.ask(target)
    if (retryAfterSeconds !== undefined && retryAfterSeconds > 10) break
    await pause(1000 * (retryAfterSeconds ?? 0.1))
  }
})

/** A check a minute is more than 50 an hour: from then on it sees 429, and asks again a minute later. */
const uptime = good(
  'uptime monitors of 3 places, a check a minute, 3 hours',
  async (field) => {
    const places = [addressOf(106), addressOf(107), addressOf6(108)].map((address) =>
      field.visitor(address, { userAgent: 'Mozilla/5.0 (compatible; UptimeExample/2.0; https://uptime.example)' }),
    )
    for (let i = 0; i < 180; i++) {
      field.pass(60)
      for (const place of places) await place.ask(i % 2 === 0 ? '/' : '/v1/films/1', { method: 'HEAD' })
    }
  },
  { lapse: true },
)

const links = good(
  'a link checker: 200 links, 30 of them dead, 2 a second',
  async (field) => {
    const visitor = field.visitor(addressOf(109), { userAgent: 'Mozilla/5.0 (compatible; LinkCheck/1.4; +https://links.example)' })
    for (let i = 0; i < 200; i++) {
      field.pass(0.5)
      const dead = i % 7 === 3
      const target = dead ? (i % 5 === 0 ? `/films/${i}.html` : `/v1/films/${90_000 + i}`) : `/v1/films/${1 + i}`
      const { status } = await visitor.ask(target, { method: 'HEAD' })
      if (status === 404) await visitor.ask(target)
    }
  },
  lapse,
)

/** Whoever deployed it is on holiday. */
const staleKey = good(
  'an app whose key was revoked, a request each 30 s, a day',
  async (field) => {
    const { owner, key } = await keyHolder(field, 'editor', ['films:write'])
    const visitor = field.visitor(addressOf(110), { userAgent: 'node' })
    await visitor.as(owner.accessToken).ask(`/v1/keys/${key.split('_')[1]}`, { method: 'DELETE' })
    for (let i = 0; i < 2880; i++) {
      field.pass(30)
      await visitor.as(key).ask('/v1/films/1')
    }
  },
  lapse,
)

const traveller = good(
  'a phone on the way: 8 networks in a day, one key',
  async (field) => {
    const { key } = await keyHolder(field, 'viewer', ['votes:write'])
    const phone = field.visitor(addressOf(111)).as(key)
    for (let i = 0; i < 240; i++) {
      field.pass(360)
      await phone.at(i % 3 === 0 ? addressOf6(112 + Math.floor(i / 30)) : addressOf(112 + Math.floor(i / 30))).ask(`/?like=${1 + i}`)
    }
  },
  lapse,
)

const campus = good(
  'a film evening: 40 people of one /24 vote for the same five films within an hour',
  async (field) => {
    for (let i = 0; i < 200; i++) {
      field.pass(18)
      await field.visitor(neighbour(i % 40)).ask(`/?like=${1 + (Math.floor(i / 40) % 5)}`)
    }
  },
  lapse,
)

const otherOrigin = good(
  "a developer's page that is not allowed yet: 60 calls",
  async (field) => {
    const visitor = field.visitor(addressOf(130))
    const fields = { Origin: 'http://localhost:5173', 'Sec-Fetch-Site': 'cross-site' }
    for (let i = 0; i < 30; i++) {
      field.pass(20)
      await visitor.ask('/v1/films/1', { fields })
      await visitor.ask('/add_film', { method: 'OPTIONS', fields: { ...fields, 'Access-Control-Request-Method': 'POST' } })
    }
  },
  lapse,
)

/** What a moderator may read, all of it. */
const auditor = good(
  'a moderator reads every page of the audit and of the users',
  async (field) => {
    const admin = await claimAdmin(field.server)
    for (let i = 0; i < 12; i++) await addUser(field.server, admin, 'viewer', `viewer-${i}`)
    const { key } = await makeKey(field.server, admin, ['security:read', 'users:read'])
    const visitor = field.visitor(addressOf(132)).as(key)
    for (const list of ['/v1/audit?limit=1', '/v1/users?limit=1', '/v1/audit?limit=1']) {
      let next: string | undefined = list
      while (next !== undefined) {
        const { body }: Answer = await visitor.ask(next)
        const { next: cursor } = JSON.parse(body) as { next?: string | null }
        next = cursor == null ? undefined : `${list}&cursor=${encodeURIComponent(cursor)}`
      }
    }
  },
  { limits: 'raised' },
)

const strictClients = good('every answer used by a client that follows Retry-After', async (field) => {
  const visitor = field.visitor(addressOf(131))
  for (let i = 0; i < 12; i++) {
    const { retryAfterSeconds } = await visitor.ask('/')
    await pause(1000 * (retryAfterSeconds ?? 0))
  }
})

export const crowd: readonly Scenario[] = [
  officeDay,
  officeLimited,
  typos,
  learner,
  importer,
  crawler,
  uptime,
  links,
  staleKey,
  traveller,
  campus,
  otherOrigin,
  auditor,
  strictClients,
]
