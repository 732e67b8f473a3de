import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { ask, assertProblem, assertSafe } from '../support/attack.ts'
import { runToEnd, startServer } from '../support/server.ts'

const folder = mkdtempSync(join(tmpdir(), 'filmgate-test-'))
const dataDir = join(folder, 'data')
const path = join(dataDir, 'security.txt')
after(() => rmSync(folder, { recursive: true }))
// The first start makes the folder.
{
  await using server = await startServer({ dataDir })
  await server.kill('SIGTERM')
}

const target = '/.well-known/security.txt'
const valid = `# Whom to tell\nContact: https://films.example/security\nContact: mailto:security@films.example\nExpires: 2999-12-31T23:59:59Z\nPreferred-Languages: en, de\n`

test('is what the operator wrote', async () => {
  writeFileSync(path, valid)
  await using server = await startServer({ dataDir })
  const answer = await ask(server, { target })
  assert.equal(answer.status, 200)
  assertSafe(answer)
  assert.equal(answer.body, valid)
  assert.equal(answer.field('content-type'), 'text/plain; charset=utf-8')
  assert.equal(answer.field('cache-control'), 'public, max-age=3600')
  assert.equal((await ask(server, { target, fields: { 'If-None-Match': answer.field('etag') ?? '' } })).status, 304)
})

test('one that has expired is not handed out, and does not keep the server from starting', async () => {
  writeFileSync(path, 'Contact: mailto:security@films.example\nExpires: 2020-01-01T00:00:00Z\n')
  await using server = await startServer({ dataDir })
  const answer = await ask(server, { target })
  assertProblem(answer, { status: 404, code: 'not_found' })
  assert.match(answer.body, /expired/)
  await server.logged(({ level, msg }) => level === 'warn' && msg.includes('security.txt'))
})

test('what is no security.txt stops the start and says why', async () => {
  writeFileSync(path, 'Expires: 2999-12-31T23:59:59Z\n')
  const { code, stderr } = await runToEnd({ dataDir })
  assert.equal(code, 1)
  assert.match(stderr, /security\.txt is not a security\.txt \(RFC 9116\): it needs a Contact field/)
  rmSync(path)
  mkdirSync(path)
  const folderRead = await runToEnd({ dataDir })
  assert.equal(folderRead.code, 1)
  assert.ok(folderRead.stderr.includes(`${path} cannot be read (EISDIR)`), folderRead.stderr)
})
