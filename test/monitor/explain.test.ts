import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'

import { reloadWith } from '../limits/reload.ts'
import { type Answer, ask } from '../support/attack.ts'
import { as, assertBanned, behindProxy } from '../support/decide.ts'
import { assertDescribed, readDocument } from '../support/openapi.ts'
import { asOperator } from '../support/operator.ts'
import { raisedLimits, startServer, type TestServer } from '../support/server.ts'

interface Decided {
  readonly id: string
  readonly rule: string
  readonly target: string
  readonly observed: boolean
  readonly expires_at: string
  readonly evidence: {
    readonly bucket: { readonly capacity: number; readonly leak_per_second: number; readonly level: number }
    readonly signals: readonly { readonly request_id: string; readonly status: number; readonly route: string | null }[]
  }
}

const paths = ['/.env', '/.git/config', '/.aws/credentials', '/wp-config.php.bak', '/id_rsa', '/backup.sql', '/.ssh/id_rsa', '/.htpasswd']

/** Looks for what no film API has, until it is refused or there is nothing left to look for. */
const probe = async (server: TestServer, client: string): Promise<readonly Answer[]> => {
  const answers: Answer[] = []
  for (let i = 0; i < 24; i++) {
    const answer = await as(server, client, { target: `${paths[i % paths.length] ?? ''}?a-secret-of-mine` })
    answers.push(answer)
    if (answer.status === 429) break
  }
  return answers
}

const server = await startServer({ toml: raisedLimits, env: behindProxy })
after(() => server[Symbol.asyncDispose]())
const fields = asOperator(server)
const document = await readDocument(server)
const get = (target: string) => ask(server, { target: `/v1/security/${target}`, fields })

describe('what a rule decided', () => {
  test('is explained by the request that was refused: the rule, what filled its bucket, until when', async () => {
    const answers = await probe(server, '203.0.113.70')
    const refused = answers.at(-1)
    assert.ok(refused)
    assertBanned(refused)
    await server.logged((record) => record.msg === 'request' && record['request_id'] === refused.field('x-request-id'))
    const explained = await get(`explain/${refused.field('x-request-id') ?? ''}`)
    assertDescribed(document, 'GET /v1/security/explain/:about', explained)
    const { decisions } = explained.json() as unknown as { decisions: readonly Decided[] }
    const [decision] = decisions
    assert.ok(decision)
    const { rule, target, observed, evidence } = decision
    assert.deepEqual([target, observed], ['203.0.113.70', false])
    const asked = new Set(answers.map((answer) => answer.field('x-request-id')))
    assert.ok(evidence.signals.length > 0 && evidence.signals.every((signal) => asked.has(signal.request_id)))
    assert.ok(evidence.bucket.level > evidence.bucket.capacity)
    assert.doesNotMatch(explained.body, /a-secret-of-mine|htpasswd/, 'nothing that the client wrote')
    const rules = await get('rules')
    assertDescribed(document, 'GET /v1/security/rules', rules)
    const known = (rules.json()['items'] as readonly { name: string; mode: string; decided: number }[]).find(({ name }) => name === rule)
    assert.deepEqual([known?.mode, known?.decided], ['enforce', 1])
    const again = await get(`decisions/${decision.id}`)
    assert.deepEqual((again.json() as unknown as Decided).evidence, evidence)
  })

  test('refuses nobody from the moment that rules are only observed, and again when they are enforced; lifted, it still explains', async () => {
    const client = '203.0.113.73'
    const refused = (await probe(server, client)).at(-1)
    assert.ok(refused)
    assertBanned(refused)
    const id = refused.field('x-request-id') ?? ''
    const decided = async () =>
      ((await get(`explain/${id}`)).json() as { decisions: readonly (Decided & { lifted_at: string | null })[] }).decisions[0]
    const first = await decided()
    await reloadWith(server, `${raisedLimits}\n[monitor]\nmode = "observe"\n`)
    assert.equal((await as(server, client)).status, 200)
    const listed = (await get(`decisions?target=${client}`)).json()['items'] as readonly Decided[]
    assert.deepEqual([(await decided())?.observed, listed.map(({ observed }) => observed)], [true, [true]])
    await reloadWith(server, raisedLimits)
    assertBanned(await as(server, client))
    assert.equal((await decided())?.observed, false)
    assert.equal((await ask(server, { method: 'DELETE', target: `/v1/security/decisions/${first?.id ?? ''}`, fields })).status, 204)
    const last = await decided()
    assert.deepEqual([last?.id, last?.rule, last?.lifted_at === null], [first?.id, first?.rule, false])
  })

  test('names what a request led to that itself went well: one of forty-one votes of a network', async () => {
    const voters = Array.from({ length: 41 }, (_, i) => `192.0.2.${i + 1}`)
    const votes: Answer[] = []
    for (const client of voters) votes.push(await as(server, client, { target: '/?like=7' }))
    assert.ok(votes.every(({ status }) => status === 200))
    const created = await server.logged(({ rule }) => rule === 'vote-stuffing')
    assert.equal(created['target'], '192.0.2.0/24')
    const explained = await get(`explain/${votes[35]?.field('x-request-id') ?? ''}`)
    assertDescribed(document, 'GET /v1/security/explain/:about', explained)
    const { kind, decisions } = explained.json() as { kind: string; decisions: readonly Decided[] }
    assert.deepEqual([kind, decisions.map(({ id, rule }) => [id, rule])], ['request', [[created['decision'], 'vote-stuffing']]])
  })

  test('and one of the requests that led to it names it, too, by what it filled', async () => {
    const client = '203.0.113.71'
    await probe(server, client)
    const explained = await get(`explain/${client}`)
    const { events, decisions } = explained.json() as unknown as {
      events: readonly { event: string; client: string }[]
      decisions: readonly Decided[]
    }
    assert.equal(decisions[0]?.target, client)
    assert.ok(events.some(({ event }) => event === 'decision_created'))
    assert.ok(events.every((one) => one.client === client))
  })
})

test('a rule never decides about this machine, a trusted proxy or the allow list, whatever they do', async () => {
  const env = {
    ...behindProxy,
    FILMGATE_SERVER_TRUSTED_PROXIES: '127.0.0.1/32,198.51.100.0/24',
    FILMGATE_MONITOR_ALLOW: '203.0.113.80/32,2001:db8:80::/64',
  }
  await using careful = await startServer({ toml: raisedLimits, env })
  for (const client of ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.9', '198.51.100.9', '203.0.113.80', '2001:db8:80::7']) {
    const answers = await probe(careful, client)
    assert.ok(
      answers.every(({ status }) => status === 404),
      client,
    )
  }
  const told = () => careful.log().filter(({ event }) => event === 'decision_created')
  assertBanned((await probe(careful, '203.0.113.81')).at(-1) as Answer)
  await careful.logged(({ event }) => event === 'decision_created')
  assert.deepEqual([...new Set(told().map(({ target }) => target))], ['203.0.113.81'])
})

test('in observe mode the same is told and explained, and nobody is refused', async () => {
  await using observing = await startServer({ toml: raisedLimits, env: { ...behindProxy, FILMGATE_MONITOR_MODE: 'observe' } })
  const answers = await probe(observing, '203.0.113.72')
  assert.ok(answers.every(({ status }) => status === 404))
  const explained = await ask(observing, { target: '/v1/security/explain/203.0.113.72', fields: asOperator(observing) })
  const { decisions } = explained.json() as unknown as { decisions: readonly Decided[] }
  assert.ok(decisions.length > 0 && decisions.every(({ observed }) => observed), explained.body)
  const created = await observing.logged((record) => record['event'] === 'decision_created')
  assert.equal(created['observed'], true)
  assert.equal(observing.log().filter((record) => record['event'] === 'decision_enforced').length, 0)
})
