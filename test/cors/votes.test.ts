import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { type Ask, ask, query } from '../support/attack.ts'
import { raisedLimits, startServer, type TestServer } from '../support/server.ts'

const env = { FILMGATE_PAGE_ENABLED: 'false' }
const app = 'https://app.example'

const isRecorded = async (server: TestServer, fields: NonNullable<Ask['fields']>, method = 'GET'): Promise<boolean> => {
  const before = votes(server)
  const id = 1 + (asked++ % 3000)
  const answer = await ask(server, { method, target: `/?like=${id}`, fields })
  assert.equal(answer.status, 200, answer.body)
  const isStored = votes(server) > before
  if (method === 'GET') assert.deepEqual(answer.json()['vote'], { film_id: id, value: 'like', recorded: isStored })
  return isStored
}
let asked = 0
const votes = (server: TestServer): number => Number(query(server, 'select count(*) as n from vote')[0]?.['n'])

/** What the browser of a visitor says of a script on that page. */
const from = (origin: string) => ({ Origin: origin, Referer: `${origin}/`, 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'cors' })

describe('[ASVS 3.5.2] a vote by GET of another origin', () => {
  test('counts for the pages that the operator named, and for none that looks like them', async () => {
    await using server = await startServer({ toml: `${raisedLimits}[cors]\norigins = ["${app}", "https://*.films.example"]\n`, env })
    for (const origin of [app, 'https://a.films.example']) assert.equal(await isRecorded(server, from(origin)), true, origin)
    assert.equal(await isRecorded(server, { Origin: app }), true)
    const refused: Readonly<Record<string, NonNullable<Ask['fields']>>> = {
      'another origin': from('https://evil.test'),
      'the name of the wildcard': from('https://films.example'),
      null: from('null'),
      'a suffix': from(`${app}.evil.test`),
      'another scheme': from('http://app.example'),
      'two origins': { ...from(app), Origin: [app, 'https://evil.test'] },
      'an image of the named page, which sends no Origin': {
        Referer: `${app}/`,
        'Sec-Fetch-Site': 'cross-site',
        'Sec-Fetch-Mode': 'no-cors',
      },
      'a link on the named page': { Referer: `${app}/`, 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'navigate' },
      'a prefetch by the named page': { ...from(app), 'Sec-Purpose': 'prefetch' },
      'an old prefetch by the named page': { ...from(app), Purpose: 'prefetch' },
    }
    for (const [attack, fields] of Object.entries(refused)) assert.equal(await isRecorded(server, fields), false, attack)
    assert.equal(await isRecorded(server, from(app), 'HEAD'), false)
  })

  test('of everybody ("*") counts for nobody: whoever may read is not yet meant by the visitor', async () => {
    await using server = await startServer({ toml: `${raisedLimits}[cors]\norigins = ["*"]\n`, env })
    for (const origin of [app, 'null', 'https://evil.test', '*']) assert.equal(await isRecorded(server, from(origin)), false, origin)
    assert.equal(await isRecorded(server, {}), true)
  })

  test('follows the policy of its route', async () => {
    const routes = '[cors.routes]\n"GET /" = { origins = ["https://votes.example"] }\n'
    await using server = await startServer({ toml: `${raisedLimits}[cors]\norigins = ["${app}"]\n${routes}`, env })
    assert.equal(await isRecorded(server, from(app)), false)
    assert.equal(await isRecorded(server, from('https://votes.example')), true)
  })
})
