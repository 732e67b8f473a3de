import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { reloadWith } from '../limits/reload.ts'
import { type Answer, ask } from '../support/attack.ts'
import { runCommand, temporaryFolder } from '../support/command.ts'
import { runToEnd, startServer, type TestServer } from '../support/server.ts'

const env = { FILMGATE_PAGE_ENABLED: 'false' }
const app = 'https://app.example'
const limits = '[limits]\ntotal = "100000 per hour"\n[limits.routes]\n"GET /" = "exempt"\n'
const cors = (text: string): string => `${limits}[cors]\n${text}\n`

const told = async (server: TestServer, origin = app): Promise<readonly (string | undefined)[]> => {
  const answer = await ask(server, { target: '/', fields: { Origin: origin } })
  return ['access-control-allow-origin', 'access-control-allow-credentials', 'vary'].map((name) => answer.field(name))
}

const preflight = (server: TestServer): Promise<Answer> =>
  ask(server, {
    method: 'OPTIONS',
    target: '/',
    fields: { Origin: app, 'Access-Control-Request-Method': 'GET', 'Access-Control-Request-Headers': 'x-mine' },
  })

test('SIGHUP opens and closes: the next request knows', async () => {
  await using server = await startServer({ toml: limits, env })
  const none = [undefined, undefined, undefined]
  assert.deepEqual(await told(server), none)
  assert.equal((await preflight(server)).status, 403)
  const steps: readonly (readonly [toml: string, told: readonly (string | undefined)[], status: number])[] = [
    [cors(`origins = ["${app}"]`), [app, undefined, 'Origin'], 403],
    [cors(`origins = ["${app}"]\ncredentials = true\nallow_headers = ["X-Mine"]\nmax_age_s = 7`), [app, 'true', 'Origin'], 204],
    [cors(`origins = ["${app}"]\nallow_headers = ["x-mine"]\n[cors.routes]\n"GET /" = { origins = [] }`), none, 403],
    [cors(`allow_headers = ["x-mine"]\n[cors.routes]\n"GET /" = { origins = ["*"] }`), ['*', undefined, undefined], 204],
    [cors('origins = ["https://*.example"]'), [undefined, undefined, 'Origin'], 403],
    [limits, none, 403],
  ]
  for (const [toml, expected, status] of steps) {
    // A wildcard needs two labels: that step is refused, and what stood before stays.
    const isGood = !toml.includes('*.example')
    const before = await told(server)
    assert.equal((await reloadWith(server, toml))['ok'], isGood, toml)
    assert.deepEqual(await told(server), isGood ? expected : before, toml)
    if (!isGood) continue
    const answer = await preflight(server)
    assert.equal(answer.status, status, toml)
    if (toml.includes('max_age_s'))
      assert.deepEqual([answer.field('access-control-max-age'), answer.field('access-control-allow-headers')], ['7', 'x-mine'])
  }
  assert.match(server.stderr(), /filmgate\.toml:6: cors\.origins entry 1 must have two labels or more behind the star/)
})

test('a policy for a route that there is not stops the start, and a reload changes nothing', async () => {
  const wrong = cors('[cors.routes]\n"GET /flims" = { origins = ["*"] }\n"HEAD /" = { origins = ["*"] }')
  const { code, stderr } = await runToEnd({ toml: wrong })
  assert.equal(code, 2)
  assert.match(
    stderr,
    /filmgate\.toml:7: cors\.routes\."GET \/flims" names no route; there are .*GET \/v1\/films\/:id.* \(HEAD goes with GET\)/,
  )
  assert.match(stderr, /filmgate\.toml:8: cors\.routes\."HEAD \/" names no route/)
  await using server = await startServer({ toml: cors(`origins = ["${app}"]`), env })
  assert.equal((await reloadWith(server, wrong))['ok'], false)
  assert.deepEqual(await told(server), [app, undefined, 'Origin'])
})

test('filmgate routes shows whose pages may read what', async () => {
  using folder = temporaryFolder()
  const file = join(folder.path, 'filmgate.toml')
  const routes = '"GET /v1/films/:id" = { origins = ["*"] }\n"POST /add_film" = { origins = [] }\n'
  writeFileSync(file, `[cors]\norigins = ["${app}", "https://*.films.example"]\n[cors.routes]\n${routes}`)
  const { code, stdout } = await runCommand(['routes', '--json', '--config', file], { cwd: folder.path })
  assert.equal(code, 0)
  const described = JSON.parse(stdout) as readonly { listener: string; method: string; path: string; cors: string | null }[]
  const corsOf = (name: string) => described.find(({ method, path }) => `${method} ${path}` === name)?.cors
  const named = `${app}, https://*.films.example`
  assert.deepEqual(
    ['GET /', 'HEAD /', 'GET /v1/films/:id', 'HEAD /v1/films/:id', 'POST /add_film', 'HEAD /add_film', 'GET /livez'].map(corsOf),
    [named, named, '*', '*', null, named, null],
  )
})
