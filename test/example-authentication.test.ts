import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, describe, test } from 'node:test'

import { externalSubject } from '../src/credentials/ids.ts'
import { ask } from './support/attack.ts'
import { within } from './support/deadline.ts'
import { audience, startIdentityProvider } from './support/identity-provider.ts'
import { claimsOf, signToken, startOwnIssuer } from './support/own-issuer.ts'

const program = join(import.meta.dirname, '../examples/authentication.ts')
const provider = await startIdentityProvider(['alice', 'bob'])

/** The example as somebody runs it, on a free port, with a real provider. */
const startExample = async () => {
  const env = { PATH: process.env['PATH'] ?? '', ISSUER: provider.issuer, AUDIENCE: audience }
  const child = spawn(process.execPath, [program], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  const lines: string[] = []
  const url = new Promise<string>((resolve, reject) => {
    createInterface(child.stdout).on('line', (line) => {
      lines.push(line)
      const found = /^listens on (\S+)$/.exec(line)?.[1]
      if (found !== undefined) resolve(found)
    })
    child.once('exit', () => reject(new Error('the example ended before it listened')))
  })
  const end = async (): Promise<number | null> => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM')
      await once(child, 'exit')
    }
    return child.exitCode
  }
  const port = Number(new URL(await within(20_000, 'the example starts', url)).port)
  return { port, lines, end, key: lines[0]?.split(': ')[1] ?? '' }
}

const example = await startExample()
after(async () => {
  await example.end()
  await provider[Symbol.asyncDispose]()
})

const call = async (method: string, target: string, credential?: string): Promise<number> => {
  const fields = credential === undefined ? {} : { Authorization: `Bearer ${credential}` }
  return (await ask(example, { method, target, fields })).status
}
const statuses = async (credential?: string): Promise<number[]> => [
  await call('GET', '/', credential),
  await call('GET', '/me', credential),
  await call('POST', '/films', credential),
  await call('DELETE', '/films', credential),
]
const subject = async (credential: string): Promise<unknown> =>
  (await ask(example, { target: '/me', fields: { Authorization: `Bearer ${credential}` } })).json()['subject']

const chairToken = (more: object) => provider.token('alice', { roles: ['club-chair'], ...more })

describe('examples/authentication.ts', () => {
  test('nobody in particular may read, and nothing else', async () => assert.deepEqual(await statuses(), [200, 401, 401, 401]))

  test('an API key speaks for its owner with the rights of its role', async () => {
    assert.deepEqual(await statuses(example.key), [200, 200, 200, 403])
    assert.equal(await subject(example.key), 'robot')
  })

  test('a token of the issuer speaks for its subject with the rights of the mapped role', async () => {
    const member = await provider.token('alice', { roles: ['club-member'] })
    assert.deepEqual(await statuses(member), [200, 200, 200, 403])
    assert.equal(await subject(member), externalSubject(provider.issuer, 'alice'))
    assert.deepEqual(await statuses(await provider.token('bob')), [200, 200, 403, 403])
  })

  test('the chair deletes after a fresh login alone', async () => {
    const now = Math.floor(Date.now() / 1000)
    assert.equal(await call('DELETE', '/films', await chairToken({})), 401)
    assert.equal(await call('DELETE', '/films', await chairToken({ auth_time: now - 3600 })), 401)
    assert.equal(await call('DELETE', '/films', await chairToken({ auth_time: now - 5 })), 200)
  })

  test('attack: credentials that are almost right are nobody, on the open route too', async () => {
    await using stranger = await startOwnIssuer()
    const claims = claimsOf(stranger, audience, Date.now(), { roles: ['club-chair'] })
    const [header, payload, signature] = (await provider.token('alice', { roles: ['club-member'] })).split('.')
    const chair = Buffer.from(JSON.stringify({ ...claims, iss: provider.issuer })).toString('base64url')
    const wrong = [
      `${example.key.slice(0, -1)}${example.key.endsWith('0') ? '1' : '0'}`,
      example.key.slice(0, -6),
      `${header}.${chair}.${signature}`,
      `${header}.${payload}.`,
      signToken(stranger, claims),
      signToken(stranger, { ...claims, iss: provider.issuer }),
      await provider.token('alice', { roles: ['club-chair'] }, 'https://other.example.com'),
    ]
    for (const credential of wrong) assert.deepEqual(await statuses(credential), [401, 401, 401, 401], credential.slice(0, 40))
    assert.deepEqual(stranger.asked, [])
  })

  test('a key that is ended is ended at once; all refusals were told of, and no credential', async () => {
    assert.equal(await call('DELETE', '/key', example.key), 200)
    assert.deepEqual(await statuses(example.key), [401, 401, 401, 401])
    assert.equal(await example.end(), 0)
    const told = example.lines.slice(2)
    const events = told.map((line) => String((JSON.parse(line) as Record<string, unknown>)['event']))
    assert.deepEqual([...new Set(events)].toSorted(), ['authn_login_fail', 'authz_fail'])
    assert.ok(!told.join('\n').includes(example.key.slice(20)))
  })
})
