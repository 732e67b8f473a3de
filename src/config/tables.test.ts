import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { entryName } from '../config.ts'
import { assertMistakes, openConfigFolder } from '../../test/support/config-file.ts'

// Stands in for the notation of the limits, which belongs to a layer.
const checkLimits = (text: string): string | undefined => (/^\d+ per \w+$/.test(text) ? undefined : 'is not a limit')

const { load, mistakes } = openConfigFolder(checkLimits)

describe('tables', () => {
  test('routes keep what they do to the limits: add, only, exempt', () => {
    const toml = '[limits.routes]\n"GET /" = "5 per second"\n"POST /add_film" = { only = "1 per day" }\n"GET /v1/films" = "exempt"'
    const { limits, origins } = load(toml)
    assert.deepEqual(limits.routes, {
      'GET /': { add: '5 per second' },
      'POST /add_film': { only: '1 per day' },
      'GET /v1/films': 'exempt',
    })
    assert.match(origins.get('limits.routes."POST /add_film"') ?? '', /:3$/)
  })

  test('API keys do the same to their limits, by their ids', () => {
    const toml = '[limits.keys]\nAb3dEf6hIj9k = "5 per second"\n000000000000 = { only = "1 per day" }\nzzzzzzzzzzzz = "exempt"'
    const { limits, origins } = load(toml)
    assert.deepEqual(limits.keys, { Ab3dEf6hIj9k: { add: '5 per second' }, '000000000000': { only: '1 per day' }, zzzzzzzzzzzz: 'exempt' })
    assert.match(origins.get('limits.keys.000000000000') ?? '', /:3$/)
    assert.equal(entryName('limits.keys', '000000000000'), 'limits.keys.000000000000')
  })

  test('throttled routes have a pace and defaults for the rest', () => {
    const toml = `[throttle.routes]
"GET /" = { pace = "1 per second" }
[throttle.routes."POST /add_film"]
pace = "10 per minute"
burst = 3
max_wait_ms = 500
max_waiting = 7
`
    const { throttle, origins } = load(toml)
    assert.deepEqual(throttle.routes, {
      'GET /': { pace: '1 per second', burst: 1, maxWaitMs: 8000, maxWaiting: 2 },
      'POST /add_film': { pace: '10 per minute', burst: 3, maxWaitMs: 500, maxWaiting: 7 },
    })
    assert.match(origins.get(entryName('throttle.routes', 'POST /add_film')) ?? '', /:3$/)
  })

  const wrong: readonly (readonly [string, RegExp])[] = [
    ['limits.routes."GET" = "1 per day"', /limits\.routes\.GET must be named by method and path/],
    ['limits.routes."GET /" = { onyl = "1 per day" }', /limits\.routes\."GET \/" must be limits such as/],
    ['limits.routes."GET /" = "often"', /limits\.routes\."GET \/" is not a limit/],
    ['limits.routes = 1', /must be a table of routes/],
    ['limits.keys = "exempt"', /must be a table of API keys/],
    ['limits.keys.Ab3dEf6hIj9k = "often"', /^F:1: limits\.keys\.Ab3dEf6hIj9k is not a limit$/],
    ['limits.keys.Ab3dEf6hIj9k = { only = "1 per day", of = "x" }', /limits\.keys\.Ab3dEf6hIj9k must be limits such as/],
    ['limits.keys.Ab3dEf6hIj9 = "1 per day"', /^F:1: limits\.keys\.Ab3dEf6hIj9 must be named by the id of an API key/],
    ['limits.keys.fg_Ab3dEf6hIj9k = "1 per day"', /must be named by the id of an API key/],
    [
      `[limits.keys]\nfg_Ab3dEf6hIj9k_${'s'.repeat(49)} = "exempt"`,
      /^F:2: limits\.keys\.fg_Ab3dEf6hIj9k_\*{3} must be named by the id of the API key alone, .*revoke it$/,
    ],
    ['throttle = 1', /must be a table: \[throttle\]/],
    ['throttle.pace = 1', /^F:1: throttle\.pace is not a known key/],
    ['throttle.routs = 1', /the nearest is throttle\.routes$/],
    ['throttle.routes = 1', /must be a table of routes/],
    ['throttle.routes."GET /" = "1 per second"', /^F:1: throttle\.routes\."GET \/" must have a pace: \{ pace/],
    ['[throttle.routes."GET /"]\nburst = 2', /^F:1: throttle\.routes\."GET \/" must have a pace/],
    ['throttle.routes.home = { pace = "1 per second" }', /^F:1: throttle\.routes\.home must be named by method and path/],
    ['[throttle.routes."GET /"]\npace = 1', /^F:2: throttle\.routes\."GET \/"\.pace must be a string, but is an integer$/],
    ['[throttle.routes."GET /"]\npace = "often"', /^F:2: throttle\.routes\."GET \/"\.pace is not a limit$/],
    ['throttle.routes."GET /".pace = "1 per second; 9 per day"', /\.pace must be one limit/],
    ['throttle.routes."GET /".pace = "1 per second burst 2"', /\.pace must be a limit without a burst, which is a key of its own$/],
    ['throttle.routes."GET /" = { pace = "1 per day", burst = 0 }', /\.burst must be an integer from 1 to 1000$/],
    ['throttle.routes."GET /" = { pace = "1 per day", max_wait_ms = 8.0 }', /\.max_wait_ms must be an integer .* but is a float$/],
    ['throttle.routes."GET /" = { pace = "1 per day", max_waits = 1 }', /\.max_waits is not a known key; the nearest is max_wait_ms$/],
    ['throttle.routes."GET /" = { pace = "1 per day", __proto__ = 1 }', /\.__proto__ is not a known key/],
    ['throttle.routes."GET /" = { pace = "1 per day", constructor = 1 }', /\.constructor is not a known key/],
  ]
  for (const [toml, expected] of wrong) test(`in the file: ${JSON.stringify(toml)}`, () => assertMistakes(mistakes(toml), [expected]))

  test('nothing waits as long as its connection may be idle', () => {
    const toml = '[throttle.routes]\n"GET /" = { pace = "1 per day" }\n"POST /a" = { pace = "1 per day", max_wait_ms = 100 }\n'
    assertMistakes(mistakes(toml, { FILMGATE_SERVER_REQUEST_TIMEOUT_MS: '8000' }), [
      /^F:2: throttle\.routes\."GET \/" lets requests wait for 8000 ms, but server\.request_timeout_ms is 8000: max_wait_ms must be less$/,
    ])
    assert.equal(mistakes(toml, { FILMGATE_SERVER_REQUEST_TIMEOUT_MS: '8001' }).length, 0)
    assertMistakes(mistakes(toml, { FILMGATE_SERVER_REQUEST_TIMEOUT_MS: 'x' }), [/^FILMGATE_SERVER_REQUEST_TIMEOUT_MS/])
  })

  test('what is wrong with several keys of a throttled route is all reported', () => {
    const toml = '[throttle.routes."GET /"]\npace = "often"\nburst = 0\nmax_waiting = "2"\nwait = 1\n'
    assertMistakes(mistakes(toml), [
      /^F:2: .*\.pace/,
      /^F:3: .*\.burst/,
      /^F:4: .*\.max_waiting .*but is a string$/,
      /^F:5: .*\.wait is not/,
    ])
  })
})
