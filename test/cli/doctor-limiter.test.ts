import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { runCommand, temporaryFolder } from '../support/command.ts'
import { createAuthority } from '../support/certificates.ts'
import { startRedis } from '../support/redis.ts'
import { describeUnless, servicesMissing } from '../support/services.ts'

interface Finding {
  readonly check: string
  readonly status: 'ok' | 'warn' | 'fail'
  readonly detail: string
  readonly fix?: string
}

const secret = '6b2d'.repeat(8) + '0f1e'.repeat(8)

const diagnose = async (store: string, env: Readonly<Record<string, string>> = { FILMGATE_SECRETS_KEY: secret }) => {
  const { code, stdout, stderr } = await runCommand(['doctor', '--json'], { env: { FILMGATE_LIMITS_STORE: store, ...env } })
  assert.equal(stderr, '')
  const findings = (JSON.parse(stdout) as Finding[]).filter(({ check }) => check.startsWith('limits'))
  for (const { check, status, fix } of findings) assert.equal(fix === undefined, status === 'ok', check)
  return { code, stdout, findings: Object.fromEntries(findings.map(({ check, ...rest }) => [check, rest])) }
}

test('doctor: counting in memory needs nothing', async () => {
  const { code, findings } = await diagnose('memory', {})
  assert.equal(code, 0)
  assert.deepEqual(findings, { 'limits store': { status: 'ok', detail: 'memory: each instance counts for itself' } })
})

describeUnless(servicesMissing('redis'), 'doctor and Redis', () => {
  test('a good server: its version, its memory, on the same machine; nobody is announced any more', async () => {
    await using redis = await startRedis({ password: 'hidden-secret' })
    const { code, stdout, findings } = await diagnose(redis.url)
    assert.equal(code, 0, stdout)
    assert.match(findings['limits store']?.detail ?? '', /^(Redis|Valkey) \d+\.\d+\.\d+ answers$/)
    assert.equal(findings['limits memory']?.status, 'ok')
    assert.equal(findings['limits TLS']?.status, 'ok')
    assert.doesNotMatch(stdout, /hidden-secret/)
    assert.ok(!stdout.includes(secret))
    assert.equal(await redis.cli('dbsize'), '1', 'what a start would leave too: the mark of the installation')
  })

  test('a server that forgets when its memory is full', async () => {
    await using redis = await startRedis({ settings: { 'maxmemory-policy': 'allkeys-lru' } })
    const { code, findings } = await diagnose(redis.url)
    assert.equal(code, 0)
    assert.equal(findings['limits memory']?.status, 'warn')
    const [, ...fix] = /^(redis-cli config set maxmemory-policy noeviction)/.exec(findings['limits memory']?.fix ?? '') ?? []
    await redis.cli(...(fix[0] ?? '').split(' ').slice(1))
    assert.equal((await diagnose(redis.url)).findings['limits memory']?.status, 'ok', 'the fix mends it')
  })

  test('one that is not there, one that refuses, one of another installation: the reason and the host, never the password', async () => {
    await using redis = await startRedis({ password: 'hidden-secret' })
    assert.equal((await diagnose(redis.url)).code, 0)
    const refused = redis.url.replace('hidden', 'wr0ng')
    const cases: readonly (readonly [store: string, key: string, reason: RegExp])[] = [
      ['redis://:hidden-secret@127.0.0.1:9', secret, /^cannot count in Redis at redis:\/\/127\.0\.0\.1:9: .*ECONNREFUSED/],
      [refused, secret, / at redis:\/\/127\.0\.0\.1:\d+: .*(WRONGPASS|invalid)/],
      [redis.url, 'c3a95780'.repeat(8), /another installation/],
    ]
    for (const [store, key, reason] of cases) {
      const { code, stdout, findings } = await diagnose(store, { FILMGATE_SECRETS_KEY: key })
      assert.equal(code, 1)
      assert.equal(findings['limits store']?.status, 'fail')
      assert.match(findings['limits store']?.detail ?? '', reason)
      assert.doesNotMatch(stdout, /(hidden|wr0ng)-secret/)
    }
  })

  test('before the first start there is no key to look with, and none is made', async () => {
    await using redis = await startRedis()
    using folder = temporaryFolder()
    const dataDir = join(folder.path, 'data')
    const { code, findings } = await diagnose(redis.url, { FILMGATE_DATA_DIR: dataDir })
    assert.equal(code, 0)
    assert.match(findings['limits store']?.detail ?? '', /not asked before the first start/)
    assert.equal(existsSync(dataDir), false)
    assert.equal(await redis.cli('dbsize'), '0')
  })

  test('TLS: in use, or missing on the way to another machine', async () => {
    // Linux takes it for this machine; nobody else does.
    await using redis = await startRedis()
    const { code, findings } = await diagnose(`redis://0.0.0.0:${redis.port}`)
    assert.equal(code, 1)
    assert.equal(findings['limits store']?.status, 'ok')
    assert.match(findings['limits TLS']?.fix ?? '', /rediss:\/\//)
  })

  describeUnless(servicesMissing('openssl'), 'over TLS', () => {
    test('is in use', async () => {
      using authority = createAuthority('Redis')
      await using redis = await startRedis({ tls: authority.issue('localhost') })
      const { findings } = await diagnose(redis.url, { FILMGATE_SECRETS_KEY: secret, NODE_EXTRA_CA_CERTS: authority.file })
      assert.deepEqual([findings['limits store']?.status, findings['limits TLS']?.detail], ['ok', 'in use'])
    })
  })
})
