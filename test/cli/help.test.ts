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

describe('the example of a command works', () => {
  for (const { name, example } of commands.filter((command) => command.name !== 'serve')) {
    test(example, async () => {
      using folder = temporaryFolder()
      const env = prepare(folder.path)
      const options = { cwd: folder.path, env }
      if (name === 'migrate') await runCommand(['migrate'], options)
      // The one command that asks a running server.
      await using server = name === 'limits' ? await startServer({ dataDir: join(folder.path, 'data') }) : undefined
      const running = server === undefined ? {} : { FILMGATE_SERVER_PORT: String(server.port) }
      const { code, stderr } = await runCommand([], { ...options, env: { ...env, ...running }, wrap: shell(example) })
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
