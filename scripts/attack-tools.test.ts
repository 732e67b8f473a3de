/**
 * The tools run by hand; here is what reads and judges them, on outputs that were recorded: of a Filmgate, of the server that is weak on
 * purpose, and of outputs that were cut short. Silence must never pass for "nothing found".
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'

import { describeApp } from '../src/serve/describe.ts'
import { loadConfig } from '../src/config.ts'
import { checkLimits } from '../src/serve.ts'
import { judgePaths, parseFfuf } from './attack-tools/ffuf.ts'
import { judge } from './attack-tools/finding.ts'
import { judgeH2load, parseH2load, parseNghttp } from './attack-tools/http2.ts'
import { markedRequests } from './attack-tools/injection-places.ts'
import { keptFindings } from './attack-tools/kept.ts'
import { knownPaths, pathsToTry } from './attack-tools/paths.ts'
import { judgeSlow, type Measured, parseSlowhttptest } from './attack-tools/slow-clients.ts'
import { parseSqlmap, requestText } from './attack-tools/sqlmap.ts'
import { parseSslscan } from './attack-tools/sslscan.ts'
import { parseTestssl } from './attack-tools/testssl.ts'
import { parseProgress, parseWapiti } from './attack-tools/wapiti.ts'
import { weakDescription } from './attack-tools/weak-server.ts'

const recorded = (name: string): string => readFileSync(join(import.meta.dirname, 'attack-tools/recorded', name), 'utf8')
const ids = (found: readonly { readonly id: string }[]): string[] => [...new Set(found.map(({ id }) => id))].toSorted()

const config = loadConfig({ env: {}, cwd: import.meta.dirname, checkLimits })
const description = (await describeApp(config)).description()

describe('[ASVS 12.1.1] [ASVS 12.1.2] sslscan', () => {
  test('Filmgate: only the groups of finite fields, as it was when this was recorded', () => {
    assert.deepEqual(ids(parseSslscan(recorded('sslscan-before-groups-were-named.xml'))), ['group'])
  })

  test('the weak server: old protocols, CBC, renegotiation, no TLS 1.3', () => {
    const found = parseSslscan(recorded('sslscan-weak.xml'))
    assert.deepEqual(ids(found), ['cipher', 'protocol', 'renegotiation'])
    assert.deepEqual(
      found.filter(({ id }) => id === 'protocol').map(({ where }) => where),
      ['tls 1.0', 'tls 1.1', 'tls 1.3'],
    )
  })

  test('each thing that it can say is heard', () => {
    const good = recorded('sslscan-filmgate.xml')
    const before = parseSslscan(good).length
    const planted: readonly [string, string, string][] = [
      ['heartbleed sslversion="TLSv1.2" vulnerable="0"', 'heartbleed sslversion="TLSv1.2" vulnerable="1"', 'heartbleed'],
      ['<heartbleed ', '<compression supported="1" />\n<heartbleed ', 'compression'],
      ['renegotiation supported="0"', 'renegotiation supported="1"', 'renegotiation'],
      ['ECDHE-ECDSA-AES256-GCM-SHA384', 'AES256-GCM-SHA384', 'cipher'],
      ['bits="256" cipher="TLS_AES_256_GCM_SHA384"', 'bits="112" cipher="TLS_AES_256_GCM_SHA384"', 'cipher'],
      ['version="1.1" enabled="0"', 'version="1.1" enabled="1"', 'protocol'],
      ['ecdsa-with-SHA256', 'sha1WithRSAEncryption', 'certificate'],
      ['<expired>false', '<expired>true', 'certificate'],
      ['<self-signed>false', '<self-signed>true', 'certificate'],
    ]
    for (const [from, to, id] of planted) {
      assert.ok(good.includes(from), from)
      const found = parseSslscan(good.replace(from, to))
      assert.ok(found.length > before && ids(found).includes(id), `${to}: ${JSON.stringify(found)}`)
    }
  })

  test('a scan that reached nobody is not silence', () => {
    assert.deepEqual(ids(parseSslscan('<document title="SSLScan Results"></document>')), ['certificate', 'not tested'])
  })
})

describe('[ASVS 12.1.1] testssl.sh', () => {
  test('everything but OK and INFO is a finding', () => {
    const found = parseTestssl(recorded('testssl-before-renegotiation-was-off.json'))
    assert.deepEqual(ids(found), [
      'HIGH cert_revocation',
      'HIGH secure_client_renego',
      'WARN HTTP_status_code',
      'WARN engine_problem',
      'WARN sessionresumption_ticket',
    ])
  })

  test('a scan that stopped half-way is a finding', () => {
    const lines = JSON.parse(recorded('testssl-before-renegotiation-was-off.json')) as { id: string }[]
    const cut = lines.slice(
      0,
      lines.findIndex(({ id }) => id === 'heartbleed'),
    )
    assert.ok(parseTestssl(JSON.stringify(cut)).filter(({ id }) => id === 'not tested').length > 10)
    assert.ok(parseTestssl('[]').length > 20)
  })
})

describe('h2load and nghttp', () => {
  test('as many 2xx as were asked for, over HTTP/2', () => {
    const run = parseH2load(recorded('h2load-filmgate.txt'))
    assert.deepEqual([run.total, run.statuses, run.protocol, run.tls], [500, [500, 0, 0, 0], 'h2', 'TLSv1.3'])
    assert.deepEqual(judgeH2load(run, '/'), [])
    assert.deepEqual(parseNghttp(recorded('nghttp-filmgate.txt')), [])
  })

  test('streams that break off, the wrong protocol, refusals and too many answers are found', () => {
    assert.deepEqual(ids(judgeH2load(parseH2load(recorded('h2load-weak.txt')), '/')), ['failed requests', 'wrong number of 2xx'])
    const run = parseH2load(recorded('h2load-filmgate.txt'))
    assert.deepEqual(ids(judgeH2load({ ...run, protocol: 'http/1.1' }, '/')), ['no HTTP/2'])
    assert.deepEqual(ids(judgeH2load({ ...run, statuses: [499, 0, 0, 1] }, '/')), ['unexpected statuses', 'wrong number of 2xx'])
    assert.deepEqual(ids(judgeH2load({ ...run, statuses: [3, 0, 497, 0] }, '/', 2)), ['wrong number of 2xx'])
    assert.deepEqual(judgeH2load({ ...run, statuses: [2, 0, 498, 0] }, '/', 2), [])
    assert.ok(ids(parseNghttp(recorded('nghttp-weak.txt'))).includes('no content-security-policy'))
    assert.ok(parseNghttp('').length > 2)
    assert.throws(() => parseH2load('connection refused'), /did not say/)
  })
})

describe('slowhttptest', () => {
  const rate = { requests: 1000, failed: 0, p50Ms: 1, p99Ms: 4, maxMs: 9, sentLateP99Ms: 1 }
  const measured = (name: 'filmgate' | 'weak'): Measured => ({
    attack: { name: 'slow headers', options: ['-H'], target: 'front', connections: 150, seconds: 12 },
    slow: parseSlowhttptest(recorded(`slowhttptest-${name}.txt`), recorded(`slowhttptest-${name}.csv`)),
    quiet: rate,
    beside: rate,
    heldAtEnd: name === 'weak' ? 64 : 0,
    mostHeld: 150,
  })

  test('connections that were all ended by the server', () => {
    const { slow } = measured('filmgate')
    assert.deepEqual([slow.status, slow.unavailable, slow.mostConnected], ['No open connections left', [], 150])
    assert.deepEqual(judgeSlow(measured('filmgate')), [])
  })

  test('connections that are held, a probe without an answer', () => {
    assert.equal(measured('weak').slow.status, 'Hit test time limit')
    assert.deepEqual(ids(judgeSlow(measured('weak'))), ['held', 'not available'])
  })

  test('whoever waits three times as long, or is not answered, counts; and so does an attack that did not take place', () => {
    const good = measured('filmgate')
    assert.deepEqual(judgeSlow({ ...good, beside: { ...rate, p99Ms: 12 } }), [])
    assert.deepEqual(ids(judgeSlow({ ...good, beside: { ...rate, p99Ms: 12.1 } })), ['slow beside'])
    assert.deepEqual(ids(judgeSlow({ ...good, beside: { ...rate, failed: 1 } })), ['not served'])
    assert.deepEqual(ids(judgeSlow({ ...good, quiet: { ...rate, failed: 1 } })), ['not served'])
    assert.deepEqual(ids(judgeSlow({ ...good, mostHeld: 10 })), ['not tested'])
    assert.throws(() => parseSlowhttptest('', ''), /did not say/)
  })
})

describe('sqlmap', () => {
  const audit = { route: 'GET /v1/audit?actor', target: '/v1/audit?actor=a*', places: 1 }

  test('each place tried to its end, nothing injectable', () => {
    assert.deepEqual(parseSqlmap(recorded('sqlmap-filmgate.txt'), audit), [])
  })

  test('what it injects into is found, with the database behind it', () => {
    const found = parseSqlmap(recorded('sqlmap-weak.txt'), audit)
    assert.deepEqual(ids(found), ['DBMS known', 'heuristic basic', 'injectable'])
  })

  test('a place too few, or a run that stopped, is a finding', () => {
    assert.deepEqual(ids(parseSqlmap(recorded('sqlmap-filmgate.txt'), { ...audit, places: 2 })), ['not tested'])
    assert.deepEqual(ids(parseSqlmap(recorded('sqlmap-filmgate.txt'), { ...audit, target: '/' })), ['not tested'], 'a place of its own')
    const stopped = '[12:00:00] [CRITICAL] unable to connect to the target URL\n'
    assert.deepEqual(ids(parseSqlmap(stopped, audit)), ['not tested', 'stopped'])
    const reflected =
      "[12:00:00] [INFO] heuristic (XSS) test shows that GET parameter 'q' might be vulnerable to cross-site scripting (XSS) attacks\n"
    assert.ok(ids(parseSqlmap(recorded('sqlmap-filmgate.txt') + reflected, audit)).includes('heuristic XSS'))
  })

  test('every parameter of the description has a mark, and every body', () => {
    const requests = markedRequests(description)
    for (const [path, operations] of Object.entries(description.paths)) {
      for (const [method, { parameters = [], requestBody }] of Object.entries(operations)) {
        const route = `${method.toUpperCase()} ${path}`
        const whole = requests.find((one) => one.route === route)
        assert.ok(whole, route)
        const inPath = parameters.filter((parameter) => parameter.in === 'path').length
        assert.equal(whole.target.split('*').length - 1, inPath, route)
        const [media] = Object.values(requestBody?.content ?? {})
        const withBody = requests.find((each) => each.route === `${route}, body`) ?? whole
        if (media !== undefined) assert.match(withBody.body ?? '', route === 'POST /v1/auth/passkey/options' ? /^\{\}$/ : /\*/, route)
        for (const { name, in: place } of parameters)
          if (place === 'query')
            assert.match(requests.find((one) => one.route === `${route}?${name}`)?.target ?? '', /=.+\*$/, `${route} ${name}`)
      }
    }
    assert.ok(requests.reduce((sum, { places }) => sum + places, 0) > 90)
  })

  test('a request as sqlmap reads it', () => {
    const [request] = markedRequests({ ...weakDescription, paths: { '/film': weakDescription.paths['/film'] ?? {} } }).slice(1)
    assert.ok(request)
    assert.equal(
      requestText(request, 'localhost:1', 'abc'),
      'GET /film?id=1* HTTP/1.1\r\nHost: localhost:1\r\nAuthorization: Bearer abc\r\n\r\n',
    )
  })
})

describe('wapiti', () => {
  test('what stays of Filmgate has a reason', () => {
    const found = parseWapiti(recorded('wapiti-filmgate.json')).map((one) => ({ tool: 'wapiti', ...one }))
    assert.deepEqual(judge(found, keptFindings, []).open, [])
  })

  test('the weak server: injection, script, redirects, missing fields, errors', () => {
    assert.deepEqual(ids(parseWapiti(recorded('wapiti-weak.json'))), [
      'Content Security Policy Configuration',
      'Cross Site Scripting',
      'HTTP Secure Headers',
      'Internal Server Error',
      'Open Redirect',
      'SQL Injection',
    ])
  })

  test('a module that was not launched, was cut or could not reach the server is a finding', () => {
    const found = parseProgress(recorded('wapiti-cut-short.txt'), ['xss', 'sql'])
    const texts = found.map((one) => `${one.where} ${one.text}`.trim())
    assert.ok(texts.includes('sql the module was not launched'))
    assert.ok(texts.some((one) => one.startsWith('Max attack time was reached')))
    assert.ok(texts.some((one) => one.includes('skipped due to network issues')))
    assert.deepEqual(parseProgress('[*] Launching module xss\n', ['xss']), [])
  })
})

describe('[ASVS 13.4.1] [ASVS 13.4.5] [ASVS 13.4.7] ffuf', () => {
  const known = knownPaths(description)
  const asked = ['', '.env', '.git/HEAD', 'v1/users', 'index.html~', '..%2f..%2fetc%2fpasswd', 'metrics']

  test('only what the description knows answers', () => {
    assert.deepEqual(judgePaths(parseFfuf(recorded('ffuf-filmgate.json')), asked, known, false), [])
  })

  test('files that lie about are found', () => {
    const found = judgePaths(parseFfuf(recorded('ffuf-weak.json')), [], knownPaths(weakDescription), false)
    assert.deepEqual(
      found.map(({ id, where }) => `${id} ${where}`),
      ['status 200 /.env', 'status 200 /.git/HEAD'],
    )
  })

  test('a path that was not answered, a redirect, an error, an open door, and limits that do not bite', () => {
    const there = { path: '/v1/users', status: 401, length: 1 }
    const judged = (path: string, status: number, limited = false): string[] =>
      ids(judgePaths([{ path, status, length: 1 }], [], known, limited))
    assert.deepEqual(ids(judgePaths([there], ['v1/users', 'x'], known, false)), ['not tested'])
    for (const status of [200, 301, 401, 403, 500]) assert.deepEqual(judged('/admin', status), [`status ${status}`])
    assert.deepEqual(judged('/v1/users', 500), ['status 500'])
    assert.deepEqual(judged('/admin', 400), ['status 400'], 'nothing is wrong with this address')
    assert.deepEqual(judged('/%2e%2e/x', 400), [])
    assert.deepEqual(judged('/admin', 429), ['status 429'])
    assert.deepEqual(judged('/admin', 429, true), [])
    assert.deepEqual(judged('/admin', 404, true), ['no limit'])
  })

  test('the list has what people leave lying about, around every route', () => {
    const paths = pathsToTry(description)
    assert.ok(paths.length > 1000)
    assert.equal(new Set(paths).size, paths.length)
    for (const path of ['.git/HEAD', '.env', 'metrics', 'openapi.json.bak', 'v1/users.json', 'filmgate-data/master.key', 'index.html.php'])
      assert.ok(paths.includes(path), path)
    for (const path of paths) assert.doesNotMatch(path, /\s/)
  })
})
