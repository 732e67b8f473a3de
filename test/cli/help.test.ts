import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'

import { usageOf, optionsOf } from '../../src/cli/help.ts'
import { commands } from '../../src/cli/run.ts'
import { runCommand, startCommand, temporaryFolder } from '../support/command.ts'
import { startServer } from '../support/server.ts'

const main = join(import.meta.dirname, '../../src/main.ts')

test('--help lists every command, -h too', async () => {
  const { code, stdout, stderr } = await runCommand(['--help'])
  assert.deepEqual([code, stderr], [0, ''])
  for (const command of commands) assert.ok(stdout.includes(`  ${usageOf(command)} `), command.name)
  for (const said of ['--config FILE', '--version', 'Example: ', 'Exit codes: 0 ok, 2']) assert.ok(stdout.includes(said), said)
  assert.equal((await runCommand(['-h'])).stdout, stdout)
})

test('--help of a word that several commands begin with lists those', async () => {
  for (const group of ['user', 'key', 'audit', 'films']) {
    const { code, stdout, stderr } = await runCommand([group, '--help'])
    assert.deepEqual([code, stderr], [0, ''])
    for (const command of commands)
      assert.equal(stdout.includes(`  ${usageOf(command)} `), command.name.startsWith(`${group} `), `${group}: ${command.name}`)
    assert.match(stdout, /filmgate COMMAND --help/)
  }
})

test('--version prints that of the package', async () => {
  const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8')) as { version: string }
  assert.deepEqual(await runCommand(['--version']), { code: 0, stdout: `${version}\n`, stderr: '' })
})

test('no command at all: the list, on standard error, exit 2', async () => {
  const { code, stdout, stderr } = await runCommand([])
  assert.deepEqual([code, stdout], [2, ''])
  assert.match(stderr, /^filmgate COMMAND/)
})

describe('the help of a command', () => {
  for (const command of commands) {
    test(command.name, async () => {
      const { code, stdout, stderr } = await runCommand([...command.name.split(' '), '--help'])
      assert.deepEqual([code, stderr], [0, ''])
      assert.ok(stdout.startsWith(`filmgate ${usageOf(command)} `))
      assert.ok(stdout.includes(command.summary))
      assert.ok(stdout.includes(`Example: ${command.example}`))
      for (const [name, { value, text }] of Object.entries(optionsOf(command))) {
        assert.match(stdout, new RegExp(`^ {2}--${name}${value === undefined ? '' : ` ${value}`} {2,}`, 'm'))
        assert.ok(stdout.includes(text), name)
      }
      for (const line of stdout.split('\n')) assert.ok(line.length <= 110, line)
      assert.equal('json' in optionsOf(command), command.name !== 'serve')
    })
  }
})

/** `filmgate` on PATH, a configuration and a file of films: what a person who tries the example has. */
const prepare = (folder: string): Readonly<Record<string, string>> => {
  const bin = join(folder, 'bin')
  mkdirSync(bin)
  writeFileSync(join(bin, 'filmgate'), `#!/bin/sh\nexec '${process.execPath}' '${main}' "$@"\n`)
  chmodSync(join(bin, 'filmgate'), 0o755)
  writeFileSync(join(folder, 'filmgate.toml'), '[votes]\nanonymous = false\n')
  writeFileSync(join(folder, 'films.ndjson'), '{"name":"Moana"}\n')
  return { PATH: `${bin}:${process.env['PATH'] ?? ''}` }
}
const shell = (script: string) => (): readonly string[] => ['sh', '-c', script]

const addUser = (name: string, role: string): string =>
  `printf '%s' 'seven kestrels over the marsh' | filmgate user add ${name} --role ${role} --password-stdin`

/** What was done before by somebody who comes to an example; what it prints last stands in place of the id in the example. */
const done = (name: string): string => {
  const users = `${addUser('ada', 'admin')} && ${addUser('grace', 'editor')}`
  if (name === 'migrate') return 'filmgate migrate'
  if (name === 'key revoke') return `${users} >&2 && filmgate key add grace --name x --scopes films:read | cut -d _ -f 2`
  return /^(user (?!add|list)|key add|audit)/.test(name) ? users : 'true'
}

/** They ask a running server. */
const asking: ReadonlySet<string> = new Set(['limits', 'decisions', 'ban', 'unban', 'explain'])

describe('the example of a command works', () => {
  for (const { name, example } of commands.filter((command) => command.name !== 'serve')) {
    test(example, async () => {
      using folder = temporaryFolder()
      const env = prepare(folder.path)
      const options = { cwd: folder.path, env }
      const { code: doneCode, stdout, stderr: doneStderr } = await runCommand([], { ...options, wrap: shell(done(name)) })
      assert.equal(doneCode, 0, doneStderr)
      const script = name === 'key revoke' ? example.replace('4fGh7Kq2LmZx', stdout.trim().split('\n').at(-1) ?? '') : example
      await using server = asking.has(name) ? await startServer({ dataDir: join(folder.path, 'data') }) : undefined
      const running = server === undefined ? {} : { FILMGATE_SERVER_PORT: String(server.port) }
      const before = name === 'unban' ? 'filmgate ban 203.0.113.7 >&2 && ' : ''
      const { code, stderr } = await runCommand([], { ...options, env: { ...env, ...running }, wrap: shell(before + script) })
      assert.equal(code, 0, stderr)
    })
  }

  test('serve', async () => {
    const { example } = commands.find(({ name }) => name === 'serve') ?? { example: '' }
    assert.match(example, /^FILMGATE_SERVER_PORT=8080 filmgate serve$/)
    using folder = temporaryFolder()
    const script = example.replace('8080', '0').replace('filmgate', 'exec filmgate')
    const running = startCommand([], { cwd: folder.path, env: prepare(folder.path), wrap: shell(script) })
    await running.said(/listens on/)
    running.process.kill('SIGTERM')
    assert.equal((await running.ended).code, 0)
  })
})

const mistakes: readonly (readonly [args: readonly string[], message: RegExp])[] = [
  [['sevre'], /Unknown command: "sevre"\. The nearest is serve\./],
  [['film', 'import'], /Unknown command: "film"\. The nearest is films import\./],
  [['films'], /There are films import and films export/],
  [['films', 'exprot'], /Unknown command: "films exprot"\. The nearest is films export\./],
  [['user', 'ad'], /Unknown command: "user ad"\. The nearest is user add\./],
  [['user', 'add', 'ada'], /user add needs --role ROLE: one of viewer, editor, moderator, admin$/m],
  [['user', 'add', 'ada', '--role', 'root', '--password-stdin'], /user add needs --role ROLE/],
  [['user', 'add', 'ada', '--role', 'admin'], /user add needs --password-stdin/],
  [['user', 'add', 'Ada', '--role', 'admin', '--password-stdin'], /the name "Ada" must be 2 to 64 of a-z/],
  [['user', 'role', 'ada', 'root'], /one of viewer, editor, moderator, admin/],
  [['user', 'password', 'ada'], /user password needs --password-stdin/],
  [['key', 'add', 'ada', '--scopes', 'films:read'], /key add needs --name TEXT/],
  [['key', 'add', 'ada', '--name', 'x'], /key add needs --scopes LIST/],
  [['key', 'add', 'ada', '--name', 'x', '--scopes', 'films:raed'], /--scopes has no films:raed\. There are films:read /],
  [['key', 'add', 'ada', '--name', 'x', '--scopes', 'films:read', '--expires', 'soon'], /--expires needs a time such as 12h or 90d/],
  [['key', 'revoke', `fg_4fGh7Kq2LmZx_${'a'.repeat(49)}`], /key revoke needs the ID alone/],
  [['constructor'], /Unknown command/],
  [['__proto__'], /Unknown command/],
  [['routes', '--jsno'], /routes has no option "--jsno"\. The nearest is --json\./],
  [['routes', '--no-json'], /routes has no option "--no-json"/],
  [['routes', '--constructor'], /no option "--constructor"/],
  [['routes', '--check'], /routes has no option "--check"/],
  [['serve', '--json'], /serve has no option "--json"/],
  [['films', 'import', 'x', '--dryrun'], /The nearest is --dry-run/],
  [['routes', '-x'], /no option "-x"/],
  [['routes', '--json=yes'], /--json takes no value/],
  [['routes', '--json', '--json'], /--json is given twice/],
  [['routes', '--config'], /--config needs a value: --config FILE/],
  [['routes', '--config', '--json'], /--config needs a value/],
  [['routes', '--config='], /--config needs a value/],
  [['routes', 'extra'], /routes does not take "extra": filmgate routes/],
  [['films', 'import'], /films import needs FILE\|-/],
  [['films', 'import', 'a', 'b'], /films import does not take "b"/],
  [['films', 'export', 'a', 'b'], /films export does not take "b"/],
  [['--helq'], /Say what to do|no option "--helq"/],
]

describe('what cannot be understood: exit 2, the nearest name, nothing on standard output', () => {
  for (const [args, message] of mistakes) {
    test(args.join(' '), async () => {
      const { code, stdout, stderr } = await runCommand(args)
      assert.deepEqual([code, stdout], [2, ''])
      assert.match(stderr, message)
      assert.doesNotMatch(stderr, /\n\s+at /)
    })
  }

  test('a configuration that is wrong, with every command that needs one', async () => {
    for (const { name, operands = [] } of commands.filter((command) => command.name !== 'doctor')) {
      const args = [...name.split(' '), ...operands.map(() => 'x')]
      const { code, stdout, stderr } = await runCommand(args, { env: { FILMGATE_SERVER_PROT: '1', FILMGATE_LOG_LEVEL: 'loud' } })
      assert.deepEqual([code, stdout], [2, ''], name)
      assert.match(stderr, /The configuration has 2 errors/)
    }
  })
})

test('a working folder that is gone: the reason, without a stack', async () => {
  using folder = temporaryFolder()
  const { code, stdout, stderr } = await runCommand(['routes'], {
    wrap: (command) => ['sh', '-c', 'rmdir "$PWD" && exec "$@"', 'sh', ...command],
    cwd: folder.path,
  })
  assert.deepEqual([code, stdout], [1, ''])
  assert.match(stderr, /^filmgate: ENOENT.*\n$/)
})

test('options may stand before the command, and --config names the file', async () => {
  using folder = temporaryFolder()
  writeFileSync(join(folder.path, 'mine.toml'), '[votes]\nanonymous = false\n')
  for (const args of [
    ['--config', 'mine.toml', 'config', '--json'],
    ['config', '--json', '--config=mine.toml'],
  ]) {
    const { code, stdout } = await runCommand(args, { cwd: folder.path })
    assert.equal(code, 0)
    const values = JSON.parse(stdout) as { key: string; value: string; origin: string }[]
    assert.deepEqual(
      values.find(({ key }) => key === 'votes.anonymous'),
      { key: 'votes.anonymous', value: 'false', origin: 'mine.toml:2' },
    )
  }
})
