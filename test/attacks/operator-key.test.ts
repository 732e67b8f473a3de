import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'

import { createApiKey, formatApiKey, parseApiKey } from '../../src/credentials/api-key.ts'
import { openMasterKey } from '../../src/credentials/master-key.ts'
import { operatorKey } from '../../src/serve/operator.ts'
import { type Ask, ask, assertProblem, query } from '../support/attack.ts'
import { runCommand, temporaryFolder } from '../support/command.ts'
import { operatorKeyOf } from '../support/operator.ts'
import { startServer } from '../support/server.ts'

const server = await startServer()
const other = await startServer()
after(async () => {
  await server[Symbol.asyncDispose]()
  await other[Symbol.asyncDispose]()
})
const key = operatorKeyOf(server)
const parsed = parseApiKey(key)
assert.ok(parsed)
const { id, secret } = parsed

const reset = (some: string, target = '/v1/limits/192.0.2.1') =>
  ask(server, { method: 'DELETE', target, fields: { Authorization: `Bearer ${some}` } })

const resets = (): number => server.log().filter((record) => record['event'] === 'authz_admin').length

describe('the key of the operator cannot be had from outside', () => {
  const random = createApiKey().secret
  const keys: Readonly<Record<string, string>> = {
    'the key of another installation': operatorKeyOf(other),
    'its id, which is no secret, with a random secret': formatApiKey({ id, secret: random }),
    'its id with the secret of the starter key': formatApiKey({ id, secret: parseApiKey(server.key())?.secret ?? '' }),
    'its secret under a random id': formatApiKey({ id: createApiKey().id, secret }),
    'its secret under the id of the starter key': formatApiKey({ id: parseApiKey(server.key())?.id ?? '', secret }),
    'one letter of its secret changed': formatApiKey({ id, secret: `${secret.slice(0, -1)}${secret.endsWith('0') ? '1' : '0'}` }),
    'no secret': formatApiKey({ id, secret: '' }),
    'its id in capitals': formatApiKey({ id: id.toUpperCase(), secret }),
  }
  for (const [name, some] of Object.entries(keys)) {
    test(`${name}: 401, and nothing is done`, async () => {
      const answer = await reset(some)
      assertProblem(answer, { status: 401, code: 'unauthenticated' })
      assert.equal(resets(), 0)
      const event = await server.logged(
        (record) => record['event'] === 'authn_login_fail' && record['request_id'] === answer.field('x-request-id'),
      )
      assert.doesNotMatch(JSON.stringify(event), new RegExp(some.slice(3)))
    })
  }

  test('all wrong secrets are answered alike: whether the id is known cannot be read', async () => {
    const bodies = new Set<string>()
    for (const some of [keys['its id, which is no secret, with a random secret'], formatApiKey(createApiKey())])
      bodies.add((await reset(some ?? '')).body.replace(/"request_id":"\w+"/, ''))
    assert.equal(bodies.size, 1)
  })
})

test('it may do nothing but what is about limits: no film is added with it', async () => {
  const fields = { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' }
  const answer = await ask(server, { method: 'POST', target: '/add_film', fields, body: '{"name":"Moana"}' })
  assertProblem(answer, { status: 403, code: 'forbidden' })
})

describe('it stands nowhere', () => {
  const everywhere: Readonly<Record<string, Ask>> = {
    'as it is meant': { method: 'DELETE', target: '/v1/limits/192.0.2.1', fields: { Authorization: `Bearer ${key}` } },
    'as the identity': { target: `/v1/limits/${key}`, fields: { Authorization: `Bearer ${key}` } },
    'as a subject': { target: `/v1/limits/@${key}`, fields: { Authorization: `Bearer ${key}` } },
    'as a parameter': { target: `/v1/limits?key=${key}` },
    'as another scheme': { target: '/v1/limits', fields: { Authorization: `Basic ${key}` } },
    'in User-Agent': { target: '/v1/limits', fields: { 'User-Agent': key } },
    'in an unknown path': { target: `/${key}` },
  }
  for (const [name, request] of Object.entries(everywhere)) {
    test(`neither in the answer nor in the log, sent ${name}`, async () => {
      const answer = await ask(server, request)
      assert.ok(!answer.body.includes(secret))
      assert.ok(!JSON.stringify(answer.fields).includes(secret))
      await server.logged((record) => record['msg'] === 'request' && record['request_id'] === answer.field('x-request-id'))
      assert.ok(!JSON.stringify(server.log()).includes(secret))
      assert.ok(!server.stderr().includes(secret))
    })
  }

  test('not in the data folder, and the database knows nothing of it', () => {
    for (const file of readdirSync(server.dataDir)) assert.ok(!readFileSync(join(server.dataDir, file)).includes(secret), file)
    assert.ok(!JSON.stringify(query(server, 'select * from api_key')).includes(id))
  })

  test('the command line prints it nowhere, whatever goes wrong', async () => {
    const { dataDir } = server
    const url = ['--url', server.url]
    const calls = [
      ['192.0.2.1', ...url],
      ['192.0.2.1', '--reset', '--json', ...url],
      ['frozen', ...url],
      ['::1', '--url', 'http://127.0.0.1:9'],
    ]
    for (const args of calls) {
      const { stdout, stderr } = await runCommand(['limits', ...args], { dataDir })
      assert.ok(stdout.length + stderr.length > 0)
      assert.ok(!(stdout + stderr).includes(secret), args.join(' '))
    }
    for (const command of ['config', 'doctor']) {
      const { stdout, stderr } = await runCommand([command, '--json'], { dataDir })
      assert.ok(!(stdout + stderr).includes(secret), command)
    }
  })

  test('it is not sent where it could be read or to whom it is not for', async () => {
    const { dataDir } = server
    for (const url of [
      'http://films.example',
      'http://user:password@127.0.0.1:3000',
      'file:///etc/passwd',
      'http://127.0.0.1:3000/path',
      'x',
    ]) {
      const { code, stdout } = await runCommand(['limits', '::1', '--url', url], { dataDir })
      assert.deepEqual([code, stdout], [2, ''], url)
    }
  })
})

test('it follows from the master key: the same after a restart, and with another key it is worthless', async () => {
  using folder = temporaryFolder()
  const statusWith = async (masterKey: string, some: string): Promise<number> => {
    // A data folder of its own for each: one that was started with another key is refused.
    await using keyed = await startServer({ dataDir: join(folder.path, masterKey.slice(0, 8)), env: { FILMGATE_SECRETS_KEY: masterKey } })
    return (await ask(keyed, { target: '/v1/limits', fields: { Authorization: `Bearer ${some}` } })).status
  }
  const [mine, another] = ['c3a95780'.repeat(8), '1f0e6b2d'.repeat(8)]
  const own = operatorKey(openMasterKey(folder.path, mine), Date.now())
  assert.deepEqual([await statusWith(mine, own), await statusWith(mine, own), await statusWith(another, own)], [200, 200, 401])
})
