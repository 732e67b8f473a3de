import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { auditedPlace, forgedRow, keyOf, tamper, writeRows } from '../support/audited.ts'
import { type CommandOptions, type CommandResult, runCommand, temporaryFolder } from '../support/command.ts'
import { databases, openAt, type Place } from '../support/databases.ts'
import { startServer } from '../support/server.ts'
import { describeUnless } from '../support/services.ts'

const on = ({ dataDir, env }: Place): CommandOptions => ({ dataDir, env })
const verify = (place: Place, ...more: string[]): Promise<CommandResult> => runCommand(['audit', 'verify', ...more], on(place))
const list = (place: Place, ...more: string[]): Promise<CommandResult> => runCommand(['audit', 'list', ...more], on(place))

interface Listed {
  readonly items: readonly { readonly seq: number; readonly actor: string; readonly target: string; readonly at: string }[]
}
const listed = async (place: Place, ...more: string[]): Promise<Listed['items']> => {
  const { code, stdout } = await list(place, '--json', ...more)
  assert.equal(code, 0)
  return (JSON.parse(stdout) as Listed).items
}

const anchorPattern = /^([1-9]\d*:[\w-]{43})$/m

for (const kind of databases) {
  describeUnless(kind.missing, `filmgate audit on ${kind.name}`, () => {
    test('verify prints the newest row for keeping, and holds the trail against what was kept', async () => {
      await using place = await auditedPlace(kind, 3)
      const first = await verify(place)
      assert.equal(first.code, 0)
      assert.match(first.stdout, /^The trail holds: 3 rows\. The newest is\n3:[\w-]{43}\n$/)
      const anchor = anchorPattern.exec(first.stdout)?.[1] ?? ''
      {
        await using opened = await openAt(place)
        await writeRows(opened.database, keyOf(place), ['row 4'])
      }
      const second = await verify(place, '--expect', anchor, '--json')
      const { head, ...others } = JSON.parse(second.stdout) as Readonly<Record<string, unknown>>
      assert.deepEqual([second.code, others], [0, { holds: true, rows: 4 }])
      assert.match(String(head), /^4:[\w-]{43}$/)

      // Whoever took the database back to before row 4, seal and all, cannot take the note back.
      const other = `4:${'A'.repeat(43)}`
      const taken = await verify(place, `--expect=${other}`)
      assert.equal(taken.code, 1)
      assert.match(taken.stdout, /^The trail is broken at row 4 \(anchor\): .*\. What comes before, 3 rows, holds\.\n$/)
      const beyond = await verify(place, '--expect', anchor.replace('3:', '9:'), '--json')
      assert.equal(beyond.code, 1)
      assert.deepEqual((JSON.parse(beyond.stdout) as { broken: { seq: number; kind: string } }).broken.kind, 'anchor')
    })

    test('attack: rows are changed, removed and forged; verify ends with 1 and names the first that does not hold', async () => {
      await using place = await auditedPlace(kind, 5)
      const steps = [
        [forgedRow(6), 6, 'added', 5],
        ['delete from audit where seq = 4', 4, 'missing', 3],
        ["update audit set actor = 'nobody' where seq = 2", 2, 'changed', 1],
      ] as const
      for (const [i, [sql, seq, what, holding]] of steps.entries()) {
        await (i === 0 ? tamper(kind, place, sql) : kind.change(place, sql))
        const { code, stdout, stderr } = await verify(place)
        assert.deepEqual([code, stderr], [1, ''])
        assert.match(
          stdout,
          new RegExp(`^The trail is broken at row ${seq} \\(${what}\\): .*\\. What comes before, ${holding} rows?, holds\\.\n$`),
        )
      }
      const { code, stdout } = await verify(place, '--json')
      const { holds, rows, broken } = JSON.parse(stdout) as { holds: boolean; rows: number; broken: { seq: number; kind: string } }
      assert.deepEqual([code, holds, rows, broken.seq, broken.kind], [1, false, 1, 2, 'changed'])
    })

    test('both work while a server runs on the same data', async () => {
      await using place = await auditedPlace(kind, 2)
      await using server = await startServer({ dataDir: place.dataDir, env: place.env })
      assert.equal((await verify(place)).code, 0)
      const rows = await listed(place)
      assert.deepEqual(
        rows
          .filter(({ target }) => target.startsWith('row '))
          .map(({ target }) => target)
          .toSorted(),
        ['row 1', 'row 2'],
      )
      assert.equal(await server.kill('SIGTERM'), 0)
    })

    test('list: newest first, filters, a limit, and nothing that a terminal would obey', async () => {
      await using place = await auditedPlace(kind, 120)
      const all = await listed(place, '--limit', '500')
      assert.deepEqual(
        all.map(({ seq }) => seq),
        Array.from({ length: 120 }, (_, i) => 120 - i),
      )
      assert.equal((await listed(place)).length, 50)
      assert.deepEqual(
        (await listed(place, '--target', 'row 7', '--actor', 'ua')).map(({ seq }) => seq),
        [7],
      )
      assert.deepEqual(await listed(place, '--actor', 'ub'), [])
      assert.deepEqual(await list(place, '--actor', 'ub'), { code: 0, stdout: 'There are no such rows.\n', stderr: '' })
      await tamper(
        kind,
        place,
        "update audit set target = 'a' || chr(27) || '[2J' || chr(10) || 'b', details = 'no json' where seq = 120".replaceAll(
          'chr(',
          kind.name === 'sqlite' ? 'char(' : 'chr(',
        ),
      )
      const table = await list(place, '--limit', '2')
      assert.match(
        table.stdout,
        /^SEQ +AT +ACTOR +ACTION +TARGET +CLIENT +DETAILS\n120 .* a\\u\{1b\}\[2J\\u\{a\}b +::1 +unreadable=true\n119 .*\n$/,
      )
    })

    test('where no server ever was there is no trail, and none is made', async () => {
      await using place = await kind.place()
      using folder = temporaryFolder()
      const dataDir = join(folder.path, 'data')
      const { FILMGATE_SECRETS_KEY: _, ...without } = place.env
      for (const command of ['verify', 'list']) {
        const { code, stdout, stderr } = await runCommand(['audit', command], { dataDir, env: place.env })
        assert.deepEqual([code, stdout], [1, ''])
        assert.match(stderr, /^filmgate: there is no (audit trail: no server was ever started with this database|master\.key in .*)\n/)
      }
      if (kind.name === 'postgres') assert.equal((await runCommand(['audit', 'verify'], { dataDir, env: without })).code, 2)
      assert.equal(existsSync(dataDir), false)
    })
  })
}

test('what is no anchor and no limit is refused, exit 2', async () => {
  for (const args of [
    ['verify', '--expect', '42'],
    ['verify', '--expect', `0:${'A'.repeat(43)}`],
    ['verify', '--expect'],
    ['verify', 'now'],
    ['list', '--limit', '0'],
    ['list', '--limit', '100001'],
    ['list', '--limit', '1e3'],
    ['list', '--since', 'now'],
  ]) {
    const { code, stdout } = await runCommand(['audit', ...args])
    assert.deepEqual([code, stdout], [2, ''], args.join(' '))
  }
})
