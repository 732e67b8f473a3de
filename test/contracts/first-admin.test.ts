import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'

import { createAccountRepository, createAccountStatements } from '../../src/api/accounts/accounts.ts'
import { createApiKeyRepository, createApiKeyStatements, starterSubject } from '../../src/api/accounts/keys/api-keys.ts'
import { createClaimCodes } from '../../src/api/accounts/claim/claim-codes.ts'
import { openStarterKey } from '../../src/api/accounts/keys/starter-key.ts'
import { createAuditTrail } from '../../src/api/audit/trail.ts'
import { parseApiKey } from '../../src/credentials/api-key.ts'
import { hashClaimCode } from '../../src/credentials/claim-code.ts'
import { openMasterKey } from '../../src/credentials/master-key.ts'
import type { Database } from '../../src/db/open.ts'
import { openClaim } from '../../src/serve/claim.ts'
import { databases } from '../support/databases.ts'
import { createManualClock } from '../support/manual-clock.ts'

const quarterHourMs = 15 * 60_000
const hashOf = (code: string): string => hashClaimCode(code) ?? ''

const partsOf = (database: Database, clock = createManualClock(1_800_000_000_000)) => ({
  clock,
  accounts: createAccountRepository(database),
  accountStatements: createAccountStatements(database, clock.epochMs),
  keys: createApiKeyRepository(database, clock.epochMs),
  statements: createApiKeyStatements(database, clock.epochMs),
  codes: createClaimCodes(database, clock.epochMs),
  trail: createAuditTrail(database, clock.epochMs, Buffer.alloc(32, 1)),
})

const entry = { actor: 'system', action: 'test', target: 'test' }

const folder = (): Disposable & { readonly path: string } => {
  const path = mkdtempSync(join(tmpdir(), 'filmgate-first-'))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}

for (const kind of databases) {
  describe(`the first admin in storage on ${kind.name}`, { skip: kind.missing }, () => {
    test('[ASVS 6.4.1] a code is good until its quarter of an hour is over, to the millisecond', async () => {
      await using opened = await kind.open()
      const { clock, codes } = partsOf(opened.database)
      const { code, expiresAt } = await codes.issue()
      assert.equal(expiresAt, clock.epochMs() + quarterHourMs)
      clock.advance(quarterHourMs - 1)
      assert.equal(await codes.isGood(hashOf(code)), true)
      clock.advance(1)
      assert.equal(await codes.isGood(hashOf(code)), false)
      assert.deepEqual(await opened.database.commit([codes.use(hashOf(code))]), { result: 'conflict', statement: 0 })
    })

    test('[ASVS 6.4.1] it is used once, by whoever of twenty is first; another code stays good', async () => {
      await using opened = await kind.open()
      const { codes } = partsOf(opened.database)
      const other = partsOf(await opened.another())
      const [one, two] = [await codes.issue(), await other.codes.issue()]
      const outcomes = await Promise.all(
        Array.from({ length: 20 }, (_, i) => opened.database.commit([(i % 2 === 0 ? codes : other.codes).use(hashOf(one.code))])),
      )
      assert.equal(outcomes.filter(({ result }) => result === 'committed').length, 1)
      assert.deepEqual([await codes.isGood(hashOf(one.code)), await codes.isGood(hashOf(two.code))], [false, true])
      assert.deepEqual([await codes.isGood(''), await codes.isGood(one.code), await codes.isGood(hashOf('x'))], [false, false, false])
    })

    test('used and expired codes are gone with the next one', async () => {
      await using opened = await kind.open()
      const { clock, codes } = partsOf(opened.database)
      const old = await codes.issue()
      clock.advance(quarterHourMs)
      const used = await codes.issue()
      await opened.database.commit([codes.use(hashOf(used.code))])
      const last = await codes.issue()
      const rows = await opened.database.reader.selectFrom('claim_code').select('hash').execute()
      assert.deepEqual(rows, [{ hash: hashOf(last.code) }])
      assert.ok(![old.code, used.code].includes(last.code))
    })

    test('attack: an instance that starts while the first admin is made leaves no starter key', async () => {
      await using opened = await kind.open()
      using data = folder()
      const parts = partsOf(opened.database)
      const { accountStatements, statements, trail, keys } = parts
      const sharedKey = kind.name === 'sqlite' ? undefined : openMasterKey(data.path, 'of tests only, and as long as it has to be')
      const options = { dataDir: data.path, keys, statements, trail, sharedKey }
      // It has looked, there was none, and then there is one.
      const looked = { hasAdmin: () => Promise.resolve(false) }
      const path = await openStarterKey({ ...options, accounts: looked })
      assert.equal(path, join(data.path, 'starter.key'))
      const claim = [
        accountStatements.addFirstAdmin({ id: 'u1', username: 'ada', passwordHash: null }),
        statements.revokeAll(starterSubject),
      ]
      assert.equal((await trail.commit(claim, [entry])).result, 'committed')
      assert.equal(await openStarterKey({ ...options, accounts: looked }), undefined)
      assert.equal(existsSync(join(data.path, 'starter.key')), false)
      assert.equal(await keys.oldestOf(starterSubject), undefined)
      assert.equal((await trail.commit(claim, [entry])).result, 'conflict', 'there is one first admin')
    })

    test('attack: starts and the claim of the first admin, all at once: whoever is last, no starter key is left', async () => {
      await using opened = await kind.open()
      const [one, two] = [partsOf(opened.database), partsOf(await opened.another())]
      using first = folder()
      using second = folder()
      const sharedKey = openMasterKey(first.path, 'of tests only, and as long as it has to be')
      const start = ({ keys, statements, trail, accounts }: typeof one, dataDir: string) =>
        openStarterKey({ dataDir, accounts, keys, statements, trail, sharedKey })
      const claim = [
        one.accountStatements.addFirstAdmin({ id: 'u1', username: 'ada', passwordHash: null }),
        one.statements.revokeAll(starterSubject),
      ]
      const [, claimed] = await Promise.all([start(two, second.path), one.trail.commit(claim, [entry]), start(one, first.path)])
      assert.equal(claimed.result, 'committed')
      assert.equal(await one.keys.oldestOf(starterSubject), undefined)
    })

    test('until then the file is made, kept, replaced where it is damaged, and audited', async () => {
      await using opened = await kind.open()
      using data = folder()
      const { accounts, keys, statements, trail } = partsOf(opened.database)
      const open = () => openStarterKey({ dataDir: data.path, accounts, keys, statements, trail, sharedKey: undefined })
      const path = (await open()) ?? ''
      const text = readFileSync(path, 'utf8').trim()
      assert.equal((statSync(path).mode & 0o777).toString(8), '600')
      await open()
      assert.equal(readFileSync(path, 'utf8').trim(), text)
      rmSync(path)
      await open()
      const replaced = parseApiKey(readFileSync(path, 'utf8').trim())
      assert.ok(replaced)
      assert.equal((await keys.oldestOf(starterSubject))?.id, replaced.id, 'and the one before is revoked')
      const rows = await opened.database.reader.selectFrom('audit').select(['actor', 'action', 'target']).orderBy('seq').execute()
      assert.deepEqual(rows, [
        { actor: 'system', action: 'key.create', target: `key:${text.split('_')[1] ?? ''}` },
        { actor: 'system', action: 'key.create', target: `key:${replaced.id}` },
      ])
    })

    test('a code goes to the terminal or to a file of its owner, never to both, and a file of before goes', async () => {
      await using opened = await kind.open()
      using data = folder()
      const { accounts, codes, accountStatements, trail } = partsOf(opened.database)
      const file = join(data.path, 'claim.code')
      const options = { dataDir: data.path, accounts, codes }
      assert.deepEqual(await openClaim({ ...options, hasTerminal: false }), { path: file })
      assert.equal((statSync(file).mode & 0o777).toString(8), '600')
      const inFile = readFileSync(file, 'utf8').trim()
      const shown = await openClaim({ ...options, hasTerminal: true })
      assert.ok(shown !== undefined && 'code' in shown && shown.code !== inFile)
      assert.equal(existsSync(file), false)
      assert.deepEqual([await codes.isGood(hashOf(inFile)), await codes.isGood(hashOf(shown.code))], [true, true])
      await openClaim({ ...options, hasTerminal: false })
      await trail.commit([accountStatements.addFirstAdmin({ id: 'u1', username: 'ada', passwordHash: null })], [entry])
      assert.equal(await openClaim({ ...options, hasTerminal: false }), undefined)
      assert.equal(existsSync(file), false)
    })
  })
}
