import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { METHODS } from 'node:http'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, describe, test } from 'node:test'

import { loadConfig } from '../../src/config.ts'
import { problemKinds } from '../../src/core/errors.ts'
import { describeApp } from '../../src/serve/describe.ts'
import { openMetrics } from '../../src/serve/metrics.ts'
import { ask } from '../support/attack.ts'
import { temporaryFolder } from '../support/command.ts'
import { eventually } from '../support/deadline.ts'
import { parseMetrics } from '../support/metrics-text.ts'
import { prometheusFolder, type PrometheusServer, startPrometheus } from '../support/prometheus.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { describeUnless, prometheusPrograms, servicesMissing } from '../support/services.ts'

const rulesText = readFileSync(join(prometheusFolder, 'filmgate.rules.yml'), 'utf8')
const testsText = readFileSync(join(prometheusFolder, 'filmgate.rules.test.yml'), 'utf8')
const alertNames = [...rulesText.matchAll(/^ +- alert: (\w+)$/gm)].map(([, name = '']) => name)

interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly gridPos: { readonly h: number; readonly w: number; readonly x: number; readonly y: number }
  readonly datasource?: { readonly uid: string }
  readonly targets?: readonly { readonly expr: string; readonly datasource: { readonly uid: string } }[]
}

const dashboard = JSON.parse(readFileSync(join(import.meta.dirname, '../../deploy/grafana/filmgate.json'), 'utf8')) as {
  readonly panels: readonly Panel[]
  readonly templating: { readonly list: readonly { readonly name: string; readonly type: string }[] }
}

/** As Grafana asks: with its variables filled in. */
const filled = (expression: string): string =>
  expression.replaceAll('$__rate_interval', '1m').replaceAll('$__range', '1h').replaceAll('$instance', '.*')
const dashboardExpressions = dashboard.panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr }) => [title, filled(expr)] as const),
)

const promtool = async (args: readonly string[], input = ''): Promise<{ readonly code: number; readonly said: string }> => {
  const child = spawn(prometheusPrograms()?.promtool ?? '', args, { cwd: prometheusFolder, stdio: 'pipe' })
  child.stdin.end(input)
  const [said, complaint, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit') as Promise<[number]>])
  return { code, said: said + complaint }
}

const missing = servicesMissing('prometheus')

describeUnless(missing, 'promtool', () => {
  const good: readonly (readonly string[])[] = [
    ['check', 'config', 'prometheus.yml'],
    ['check', 'rules', 'filmgate.rules.yml'],
    ['test', 'rules', 'filmgate.rules.test.yml'],
  ]
  for (const args of good) {
    test(`${args.join(' ')} finds nothing`, async () => {
      const { code, said } = await promtool(args)
      assert.equal(code, 0, said)
    })
  }
})

describe('the dashboard', () => {
  test('asks the data source that is chosen, and nothing of it lies on something else', () => {
    assert.deepEqual(
      dashboard.templating.list.map(({ name, type }) => [name, type]),
      [
        ['datasource', 'datasource'],
        ['instance', 'query'],
      ],
    )
    const places = new Set<string>()
    for (const { title, type, gridPos, datasource, targets = [] } of dashboard.panels) {
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          assert.ok(x < 24 && !places.has(`${x} ${y}`), `${title} lies on another, or beside the board`)
          places.add(`${x} ${y}`)
        }
      }
      if (type === 'row') continue
      assert.equal(datasource?.uid, '${datasource}', title)
      assert.ok(targets.length > 0, `${title} asks nothing`)
      for (const target of targets) assert.equal(target.datasource.uid, '${datasource}', title)
    }
    assert.equal(new Set(dashboard.panels.map(({ id }) => id)).size, dashboard.panels.length)
  })
})

test('what a flood can make at most, every route by every method and status, is within what Prometheus takes of one scrape', async () => {
  const [, limit] = /^ +sample_limit: (\d+)$/m.exec(readFileSync(join(prometheusFolder, 'prometheus.yml'), 'utf8')) ?? []
  using folder = temporaryFolder()
  const config = loadConfig({ env: { FILMGATE_DATA_DIR: folder.path }, cwd: folder.path, checkLimits: () => undefined })
  const { routes } = await describeApp(config)
  const metrics = openMetrics({ droppedLines: 0, isFailing: false })
  metrics.serves(routes)
  const statuses = [...new Set(Object.values(problemKinds).map(({ status }) => status)), 200, 201, 204, 304, 308, null]
  for (const route of [...new Set(routes.map(({ url }) => url)), null])
    for (const method of [...METHODS, 'INVENTED', null])
      for (const status of statuses) metrics.ended({ method, route, status, durationMs: 1, verdict: 'ok' })
  const { samples } = parseMetrics(await metrics.text())
  assert.ok(samples.length > 10_000 && samples.length < Number(limit), `${samples.length} of ${limit}`)
})

test('each alert is in the tests of the rules', () => {
  assert.ok(alertNames.length >= 14)
  for (const name of alertNames) assert.match(testsText, new RegExp(`\\b${name}\\b`), `${name} is tested by nothing`)
})

interface Target {
  readonly health: string
}

interface Rules {
  readonly groups: readonly {
    readonly rules: readonly { readonly name: string; readonly query: string; readonly health: string; readonly lastError?: string }[]
  }[]
}

/** Names of metrics with what is asked of their labels: `name{a="b"}`. */
const selectorsOf = (expression: string): { readonly name: string; readonly labels: readonly string[] }[] =>
  [...expression.matchAll(/([a-zA-Z_:][\w:]*)\{([^}]*)\}/g)].map(([, name = '', matchers = '']) => ({
    name,
    labels: [...matchers.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map(([, label = '']) => label),
  }))

const groupedBy = (expression: string): string[] =>
  [...expression.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, labels = '']) => labels.split(',').map((label) => label.trim()))

describeUnless(missing, 'a real Prometheus with the shipped files', () => {
  let server: TestServer
  let prometheus: PrometheusServer
  after(async () => {
    await prometheus?.[Symbol.asyncDispose]()
    await server?.[Symbol.asyncDispose]()
  })

  test('scrapes a real server, whose output promtool has nothing to say about', async () => {
    server = await startServer()
    for (const target of ['/', '/?like=1', '/v1/films/1', '/nothing/here']) await ask(server, { target })
    const output = await (await fetch(`${server.opsUrl}/metrics`)).text()
    const { code, said } = await promtool(['check', 'metrics'], output)
    assert.deepEqual([code, said], [0, ''])
    const misnamed = await promtool(['check', 'metrics'], '# HELP a_total A.\n# TYPE a_total gauge\na_total 1\n')
    assert.notEqual(misnamed.code, 0, 'promtool finds what is wrong')

    prometheus = await startPrometheus(new URL(server.opsUrl).host)
    await eventually(30_000, 'the target is up', async () => {
      const { activeTargets } = (await prometheus.api('targets')) as { activeTargets: readonly Target[] }
      return activeTargets.length > 0 && activeTargets.every(({ health }) => health === 'up')
    })
  })

  test('every rule is evaluated without an error, and none fires for a server that is well', async () => {
    let rules: Rules['groups'][number]['rules'] = []
    await eventually(30_000, 'all rules were evaluated', async () => {
      rules = ((await prometheus.api('rules')) as Rules).groups.flatMap((group) => group.rules)
      return rules.every(({ health }) => health !== 'unknown')
    })
    assert.deepEqual(
      rules.map(({ name, health, lastError }) => [name, health, lastError]),
      alertNames.map((name) => [name, 'ok', undefined]),
    )
    const { result } = (await prometheus.api('query', { query: 'ALERTS{alertstate="firing"}' })) as { result: readonly unknown[] }
    assert.deepEqual(result, [])
  })

  test('every expression of the rules and the dashboard can be read, and asks only for metrics and labels that there are', async () => {
    const { groups } = (await prometheus.api('rules')) as Rules
    const rules = groups.flatMap((group) => group.rules.map(({ name, query }) => [name, query] as const))
    const asked = [
      ...new Set([...rules, ...dashboardExpressions].flatMap(([, expression]) => selectorsOf(expression).map(({ name }) => name))),
    ]
    let missingNames: readonly string[] = asked
    // What the engine tells of itself, such as of collections, may need another scrape.
    await eventually(30_000, 'all are there', async () => {
      const names = new Set((await prometheus.api('label/__name__/values')) as readonly string[])
      missingNames = asked.filter((name) => !names.has(name))
      return missingNames.length === 0
    }).catch(() => assert.fail(`asked for, and not there: ${missingNames.join(', ')}`))
    const labelsOf = new Map<string, Set<string>>()
    const expressions = [...rules, ...dashboardExpressions]
    assert.ok(expressions.length > 40)
    for (const [where, expression] of expressions) {
      await prometheus.api('query', { query: expression })
      const selectors = selectorsOf(expression)
      assert.ok(selectors.length > 0, `${where}: ${expression}`)
      const known = new Set<string>()
      for (const { name, labels } of selectors) {
        const series =
          labelsOf.get(name) ?? new Set(((await prometheus.api('series', { 'match[]': name })) as readonly object[]).flatMap(Object.keys))
        labelsOf.set(name, series)
        for (const label of labels) assert.ok(series.has(label), `${where} asks for ${label} of ${name}`)
        for (const label of series) known.add(label)
      }
      for (const label of groupedBy(expression)) assert.ok(known.has(label), `${where} groups by ${label}`)
    }
  })
})
