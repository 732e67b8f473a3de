import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'

import { asked, browser } from '../../../test/support/asked-request.ts'
import { agentTags } from './scanner-agents.ts'
import type { Tag } from './rule.ts'

/** 3,200 real ones, dirty on purpose, and what naive filters fall for (of 36,273 others). */
const titles = (): readonly string[] => {
  const file = new URL('../../../node_modules/vega-datasets/data/movies.json', import.meta.url)
  const all = (JSON.parse(readFileSync(file, 'utf8')) as readonly { readonly Title: unknown }[]).map(({ Title }) => String(Title))
  const traps = [
    'Amateur Night; or, Get the Hook',
    'The Drop Kick',
    'Western Union',
    'The Big Sleep',
    '99 and 44/100% Dead',
    'LÈon',
    "Le Fabuleux destin d'AmÈlie Poulain",
    '1776',
    '300',
    "Rosemary's Baby -- The Return",
    '1408 -- A Room',
    '...And Justice for All',
    'Wait.. What?',
    '.com for Murder',
    'What Women Want & Need',
    "'Til There Was You",
    "Singin' and Dancin' in '42",
    "Ain't Misbehavin' or 7 Ways",
    'Select All from Above',
    'Insert Coin',
    'Delete Me',
    'Update: Where Are They Now?',
    '2 or 3 Things I Know About Her',
    'Order by Night',
    'Table for Five; Drop In',
    '<3',
    'I <3 NY',
    'Love = Hate',
    'Or = And',
    'Dogs | Cats',
    'Cat; Dog',
    'Ping Pong; Echo',
    'Script of Love',
    'On Load',
    '{Untitled}',
    '$9.99',
    '$ (Dollars)',
    'C:\\',
    'Root & Branch',
    'Windows',
    'Shell Game (1930)',
    'User (2003)',
    'Sleep (1963)',
    'Char (1938)',
    '8½',
    "7'",
    '#Horror',
    "'Breaker' and 'Maker'",
  ]
  return [...all, ...traps]
}

const assertTag = (path: string, tag: Tag): void => assert.ok(asked(path).includes(tag), `${path}: ${asked(path).join()}`)

test('no real title looks like an attack: as a query, as a path, as the name of a film', () => {
  const found: string[] = []
  for (const title of titles()) {
    const text = encodeURIComponent(title)
    const film = {
      method: 'POST',
      route: '/add_film',
      status: 201,
      verdict: 'ok',
      body: { name: title, director: title, studio: "O'Neil & Sons" },
    }
    const seen = [
      asked(`/v1/films?q=${text}`),
      asked(`/v1/films?q=${text}`, { route: '/v1/films', status: 200, verdict: 'ok' }),
      asked(`/?like=${title.replaceAll(' ', '+').replaceAll('&', '%26')}`, { route: '/', status: 400, verdict: 'validation_failed' }),
      asked(`/?${text}=1`, { route: '/', status: 400, verdict: 'validation_failed' }),
      asked(`/${text}`),
      asked(`/v1/films/${text}`, { route: '/v1/films/:id', status: 400, verdict: 'validation_failed' }),
      asked('/add_film', film),
    ]
    if (seen.some((tags) => tags.length > 0)) found.push(`${title}: ${seen.map((tags) => tags.join(' ')).join(', ')}`)
  }
  // A quote behind a number is what is tried first on a parameter that takes one.
  assert.deepEqual(
    found.filter((line) => !line.startsWith("7':")),
    [],
  )
})

test('what browsers, apps, crawlers and libraries call themselves is nothing', () => {
  const agents = [
    browser,
    'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1',
    'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)',
    'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0',
    'curl/8.14.1',
    'python-requests/2.32.3',
    'python-httpx/0.28.1',
    'Go-http-client/2.0',
    'okhttp/5.0.0',
    'node',
    'axios/1.9.0',
    'PostmanRuntime/7.45.0',
    'ory-hydra/2.3.0',
    'kube-probe/1.33',
    'Prometheus/3.4.0',
    'Wget/1.25.0',
    'Dalvik/2.1.0 (Linux; U; Android 15; Pixel 9 Build/AP4A.250105.002)',
    'Katana Restaurant App/2.1',
    'Arjuna/3 (iOS)',
    '',
  ]
  for (const agent of agents) assert.deepEqual([...agentTags(agent)], [], agent)
})

const inQuery: Readonly<Record<string, readonly string[]>> = {
  sql: [
    "1'",
    "1' OR '1'='1",
    "ada' OR 1=1--",
    "x' AND 5=5 AND 'a'='a",
    '1) AND 2345=6789 AND (4567=4567',
    '1 UNION ALL SELECT NULL,NULL-- -',
    '1 uNiOn/**/sElEcT 1,2',
    '1/*!50000UNION*//*!50000SELECT*/1',
    "1' ORDER BY 10-- abcd",
    '1 AND SLEEP(5)',
    "1'; WAITFOR DELAY '0:0:5'--",
    '1;SELECT PG_SLEEP(5)--',
    "1'||(SELECT 'a' WHERE 1=1)||'",
    'RANDOMBLOB(500000000/2)',
    '(SELECT (CASE WHEN (1=1) THEN 1 ELSE 2 END))',
    'extractvalue(1,concat(0x5c,version()))',
    '1; DROP TABLE films',
    "'; DELETE FROM users WHERE 1",
    '-1 OR 3*2*1=6',
    '1 AND 1 LIKE 1',
    'SELECT name FROM sqlite_master',
    '1 RLIKE (SELECT 1)',
  ],
  traversal: [
    '../../etc/passwd',
    '..\\..\\boot.ini',
    '....//....//x',
    '/etc/shadow',
    'php://filter/convert',
    'file:///etc/x',
    'C:\\windows\\system32',
  ],
  command: [
    '1;cat /etc/motd',
    '1|id',
    '$(id)',
    '`id`',
    '1&&whoami',
    '; ping -c 3 127.0.0.1',
    '${jndi:ldap://x/a}',
    '() { :; }; x',
    'a;env;',
    '&set&',
  ],
  script: [
    '<script>alert(1)</script>',
    '"><img src=x onerror=alert(1)>',
    'javascript:alert(1)',
    '<svg/onload=alert(1)>',
    '<!ENTITY x SYSTEM "y">',
  ],
  template: ['{{7*7}}', '${7*7}', '#{7*7}', '<%= 7*7 %>', '{{config}}', '__proto__', 'constructor.prototype'],
}

describe('attacks are known', () => {
  for (const [tag, texts] of Object.entries(inQuery)) {
    for (const text of texts) {
      test(`${tag}: ${text}`, () => {
        const encoded = encodeURIComponent(text)
        const places: Readonly<Record<string, readonly Tag[]>> = {
          value: asked(`/?like=${encoded}`, { route: '/', status: 400 }),
          name: asked(`/?${encoded}=1`),
          'encoded twice': asked(`/?like=${encodeURIComponent(encoded)}`),
          limited: asked(`/?like=${encoded}`, { route: '/', status: 429, verdict: 'quota_exceeded' }),
          'behind padding': asked(`/?pad=${'a'.repeat(6000)}&like=${encoded}`),
          body: asked('/v1/auth/login', { method: 'POST', route: '/v1/auth/login', status: 400, body: { deep: [{ username: text }] } }),
        }
        for (const [place, tags] of Object.entries(places)) assert.ok(tags.includes(tag as Tag), `${place}: ${tags.join()}`)
      })
    }
  }
})

describe('attacks are known by more than text', () => {
  test('operators of other databases, as names', () => {
    for (const target of ['/?user[$ne]=1', '/?user%5B%24gt%5D=']) assert.deepEqual(asked(target), ['sql'])
    assert.deepEqual(asked('/v1/auth/login', { route: '/v1/auth/login', body: { username: { $ne: 1 } } }), ['sql'])
  })

  test('paths, but only where no route is', () => {
    for (const path of ['/.env', '/.env.bak', '/a/.git/HEAD', '/backup.sql', '/site.tar.gz', '/config.php', '/%2eenv', '/ID_RSA'])
      assertTag(path, 'sensitive_file')
    for (const path of ['/wp-login.php', '/phpMyAdmin/', '/manager/html', '/cgi-bin/x', '/index.php', '/a/b.asp'])
      assertTag(path, 'admin_interface')
    for (const path of ['/v1/internal/', '/v1/internal/users', '/.git/config', '/.aws/credentials', '/actuator/env'])
      assertTag(path, 'honey_route')
    for (const path of [
      '/',
      '/v1/films/1',
      '/robots.txt',
      '/favicon.ico',
      '/sitemap.xml',
      '/.well-known/security.txt',
      '/api',
      '/openapi.yaml',
      '/v1/internals',
    ])
      assert.deepEqual(asked(path), [], path)
    assert.deepEqual(asked('/admin', { route: '/admin' }), [])
  })

  test('tools that say who they are, and attacks on whoever reads the agent', () => {
    for (const agent of [
      'sqlmap/1.7.2#stable (https://sqlmap.org)',
      'Mozilla/5.00 (Nikto/2.1.5)',
      'Fuzz Faster U Fool v2.1.0',
      'gobuster/3.6',
      'Mozilla/5.0 (Hydra)',
      'Wapiti/3.0.3',
      'Mozilla/5.0 (compatible; Nmap Scripting Engine; https://nmap.org/book/nse.html)',
      'masscan/1.3',
      'Mozilla/5.0 zgrab/0.x',
      'Nuclei - Open-source project (github.com/projectdiscovery/nuclei)',
      'WhatWeb/0.5.5',
      'dirsearch',
      'feroxbuster/2.10',
    ])
      assert.deepEqual([...agentTags(agent)], ['scanner_agent'], agent)
    assert.deepEqual([...agentTags('() { :; }; /bin/bash -c id')], ['command'])
    assert.deepEqual([...agentTags("Mozilla/5.0' AND 5=5 AND 'a'='a")], ['sql'])
  })
})
