import assert from 'node:assert/strict'
import { test } from 'node:test'

import { runCommand } from '../support/command.ts'

const secret = 'whsec_aSecretThatNobodyShouldSee0123456789abcd'

const findings = async (env: Readonly<Record<string, string>>) => {
  const { stdout, code } = await runCommand(['doctor', '--json'], { env })
  const all = JSON.parse(stdout) as { check: string; status: string; detail: string }[]
  return { stdout, code, of: (check: string) => all.find((finding) => finding.check === check) }
}

test('doctor says where alerts go, and shows neither the secret nor the path, which may be one', async () => {
  const { stdout, of } = await findings({
    FILMGATE_MONITOR_WEBHOOK_URL: 'https://hooks.example.com/T0/verysecretpath',
    FILMGATE_MONITOR_WEBHOOK_SECRET: secret,
  })
  assert.equal(of('alerts')?.detail, 'go to hooks.example.com, signed')
  assert.doesNotMatch(stdout, /verysecretpath|aSecretThatNobody/)
})

test('doctor without a webhook: alerts are in the log alone', async () => {
  assert.match((await findings({})).of('alerts')?.detail ?? '', /in the log alone/)
})

test('doctor finds a webhook that is not signed, or is this server itself', async () => {
  for (const [url, key, expected] of [
    ['https://hooks.example.com/verysecretpath', '', /needs monitor\.webhook_secret/],
    ['https://localhost:3000/verysecretpath', secret, /is this server itself/],
  ] as const) {
    const env = { FILMGATE_MONITOR_WEBHOOK_URL: url, FILMGATE_MONITOR_WEBHOOK_SECRET: key, FILMGATE_SERVER_PORT: '3000' }
    const { stdout, code, of } = await findings(env)
    assert.equal(code, 1)
    assert.match(of('configuration')?.detail ?? '', expected)
    assert.doesNotMatch(stdout, /verysecretpath/)
  }
})
