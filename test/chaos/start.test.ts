import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'

import { databases, openAt } from '../support/databases.ts'
import { startCommand } from '../support/command.ts'
import { runToEnd, startServer, type TestServer } from '../support/server.ts'
import { assertConsistent, storedInFolder, type Stored } from '../support/stored.ts'

const run = promisify(execFile)
const starterFilms = 3200

interface Folder extends Disposable {
  readonly path: string
}

const temporaryFolder = (name = 'filmgate-start-'): Folder => {
  const path = mkdtempSync(join(tmpdir(), name))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}

const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8)

const filmOf = async (server: TestServer, id: number): Promise<Record<string, unknown>> => {
  const answer = await fetch(`${server.url}/v1/films/${id}`)
  return answer.status === 200 ? ((await answer.json()) as Record<string, unknown>) : { status: answer.status }
}

const assertCatalogue = async (stored: Stored): Promise<void> => {
  await assertConsistent(stored)
  const sql =
    "select count(*) as films, count(distinct name || coalesce(cast(year as text), '') || coalesce(director, '')) as different from film"
  const [row] = await stored.query(sql)
  assert.equal(row?.['films'], starterFilms)
  assert.ok(Number(row['different']) > starterFilms * 0.99)
}

test('the first start takes less than 5 s, a later one less than 4 s even on a busy machine; film 1 is Frozen', async (t) => {
  using folder = temporaryFolder()
  const dataDir = join(folder.path, 'data')
  const took: number[] = []
  for (let i = 0; i < 4; i++) {
    const startedMs = performance.now()
    await using server = await startServer({ dataDir })
    took.push(Math.round(performance.now() - startedMs))
    assert.equal(/importing/.test(server.stderr()), i === 0, 'imports once')
    const { id, name, studio, year, likes, dislikes } = await filmOf(server, 1)
    assert.deepEqual(
      { id, name, studio, year, likes, dislikes },
      { id: 1, name: 'Frozen', studio: 'Disney', year: 2013, likes: 0, dislikes: 0 },
    )
    assert.equal((await filmOf(server, starterFilms))['id'], starterFilms)
    assert.deepEqual(await filmOf(server, starterFilms + 1), { status: 404 })
    assert.equal(await server.kill('SIGTERM'), 0)
  }
  await assertCatalogue(storedInFolder(dataDir))
  const [first = 0, ...later] = took
  t.diagnostic(`first start ${first} ms, later starts ${later.join(', ')} ms`)
  assert.ok(first < 5000)
  assert.ok(Math.max(...later) < 4000)
})

test('the data folder is for its owner alone, whatever the umask, and an open one is closed', async () => {
  using folder = temporaryFolder()
  const dataDir = join(folder.path, 'data')
  mkdirSync(dataDir)
  chmodSync(dataDir, 0o777)
  for (const umask of ['000', '077']) {
    await using server = await startServer({ dataDir, wrap: (command) => ['sh', '-c', `umask ${umask}; exec "$@"`, 'sh', ...command] })
    assert.equal(modeOf(dataDir), '700')
    for (const file of ['starter.key', 'master.key', 'claim.code']) assert.equal(modeOf(join(dataDir, file)), '600', file)
    assert.doesNotMatch(server.stderr() + JSON.stringify(server.log()), new RegExp(server.key()), 'the key is never printed')
  }
})

/** The lines that a person would copy, run by the shell in the folder that the server was started in. */
const runPrinted = async (server: TestServer, cwd: string): Promise<Record<string, unknown>[]> => {
  const lines = server
    .stderr()
    .split('\n')
    .filter((line) => /^\s+curl /.test(line))
  const answers: Record<string, unknown>[] = []
  for (const line of lines) {
    const { stdout } = await run('bash', ['-c', line], { cwd, env: { PATH: process.env['PATH'], HOME: cwd } })
    answers.push(JSON.parse(stdout) as Record<string, unknown>)
  }
  return answers
}

const assertPrintedWork = async (server: TestServer, cwd: string): Promise<void> => {
  const [random, liked, added, ...more] = await runPrinted(server, cwd)
  assert.deepEqual(more, [])
  assert.equal(typeof random?.['name'], 'string')
  assert.deepEqual(liked?.['vote'], { film_id: 1, value: 'like', recorded: true })
  assert.deepEqual([added?.['id'], added?.['name'], added?.['studio']], [starterFilms + 1, 'Moana', 'Disney'])
  assert.equal((await filmOf(server, starterFilms + 1))['name'], 'Moana')
  assert.equal((await filmOf(server, 1))['likes'], 1)
}

test('the three curl lines work as they are printed', async () => {
  await using server = await startServer()
  await assertPrintedWork(server, dirname(server.dataDir))
})

test('the curl lines work for a data folder elsewhere whose name a shell would take apart', async () => {
  using folder = temporaryFolder('filmgate o\'brien $(id) "x" -')
  await using server = await startServer({ dataDir: join(folder.path, 'data') })
  await assertPrintedWork(server, tmpdir())
})

/** The line that makes the first admin, run by a shell that is given the password. */
const runClaim = async (shown: string, cwd: string, password: string): Promise<Record<string, unknown>> => {
  const line = shown.split('\n').find((one) => one.includes('/v1/auth/claim')) ?? ''
  const running = run('bash', ['-c', line], { cwd, env: { PATH: process.env['PATH'], HOME: cwd } })
  running.child.stdin?.end(`${password}\n`)
  const { stdout } = await running
  return JSON.parse(stdout) as Record<string, unknown>
}

test('the line that makes the first admin works as it is printed, shows no secret, and is not printed again', async () => {
  using folder = temporaryFolder('filmgate o\'brien $(id) "x" -')
  const dataDir = join(folder.path, 'data')
  {
    await using server = await startServer({ dataDir })
    const code = readFileSync(join(dataDir, 'claim.code'), 'utf8').trim()
    assert.ok(!server.stderr().includes(code))
    assert.equal((await runClaim(server.stderr(), tmpdir(), 'too short'))['status'], 400)
    const claimed = await runClaim(server.stderr(), tmpdir(), 'seven kestrels over the marsh')
    assert.equal(claimed['token_type'], 'Bearer')
    await server.kill('SIGTERM')
  }
  await using server = await startServer({ dataDir })
  const [random, liked, ...more] = await runPrinted(server, tmpdir())
  assert.deepEqual([typeof random?.['name'], liked?.['vote'], more], ['string', { film_id: 1, value: 'like', recorded: true }, []])
  assert.doesNotMatch(server.stderr(), /claim|starter/)
})

const noTerminal = existsSync('/usr/bin/script') ? false : 'script of util-linux is not installed'

test('where a person sits at a terminal the code stands there and in no file', { skip: noTerminal }, async () => {
  using folder = temporaryFolder()
  const dataDir = join(folder.path, 'data')
  const command = [process.execPath, join(import.meta.dirname, '../../src/main.ts'), 'serve'].map((part) => `'${part}'`).join(' ')
  // util-linux's script gives it a terminal; the log goes elsewhere.
  const terminal = spawn('script', ['-qefc', `echo PID $$; exec ${command} > log`, '/dev/null'], {
    cwd: folder.path,
    env: { PATH: process.env['PATH'], FILMGATE_SERVER_PORT: '0', FILMGATE_OPS_PORT: '0', FILMGATE_DATA_DIR: dataDir },
  })
  let shown = ''
  const ended = once(terminal, 'close')
  await new Promise<void>((resolve, reject) => {
    terminal.stdout.setEncoding('utf8').on('data', (text: string) => {
      shown += text
      if (/an answered write is on the disk/.test(shown)) resolve()
    })
    void ended.then(() => reject(new Error(shown)))
  })
  try {
    const code = /"\$password"|"([0-9a-z]{5}(?:-[0-9a-z]{5}){4})" admin/.exec(shown)?.[1] ?? ''
    assert.match(code, /^[0-9a-z-]{29}$/)
    assert.equal(existsSync(join(dataDir, 'claim.code')), false)
    const claimed = await runClaim(shown.replaceAll('\r', ''), folder.path, 'seven kestrels over the marsh')
    assert.equal(claimed['token_type'], 'Bearer')
    assert.ok(!readFileSync(join(folder.path, 'log'), 'utf8').includes(code))
  } finally {
    process.kill(Number(/PID (\d+)/.exec(shown)?.[1]), 'SIGTERM')
    await ended
  }
})

test('a port that is taken: exit 1, and a sentence that names it', async () => {
  const holder = createServer().listen(0, '127.0.0.1')
  await once(holder, 'listening')
  const { port } = holder.address() as AddressInfo
  try {
    for (const variable of ['FILMGATE_SERVER_PORT', 'FILMGATE_OPS_PORT']) {
      const { code, stdout, stderr } = await runToEnd({ env: { [variable]: String(port) } })
      assert.equal(code, 1, variable)
      assert.match(stderr, new RegExp(`filmgate: .*in use.*${port}`), variable)
      assert.doesNotMatch(stderr, /\n\s+at |listens on/, 'no stack, and no address that is not served')
      assert.doesNotMatch(stdout, /sys_startup/)
    }
  } finally {
    holder.close()
  }
})

test('a wrong configuration: every mistake is listed with its key, exit 2, nothing is created', async () => {
  using folder = temporaryFolder()
  const dataDir = join(folder.path, 'data')
  const toml = `
[server]
prot = 3000
body_limit_bytes = "many"
[limits]
default = "200 per fortnight"
[nonsense]
x = 1
`
  const env = {
    FILMGATE_SERVER_PORT: '99999',
    FILMGATE_SERVER_TRUSTED_PROXIES: 'true',
    FILMGATE_LOG_LEVEL: 'loud',
    FILMGATE_SERVER_PROT: '1',
  }
  const { code, stdout, stderr } = await runToEnd({ dataDir, toml, env })
  assert.equal(code, 2)
  assert.equal(stdout, '')
  for (const named of [
    /:3: .*prot/,
    /:4: .*server\.body_limit_bytes/,
    /:6: .*limits\.default/,
    /nonsense/,
    /FILMGATE_SERVER_PORT: server\.port/,
  ])
    assert.match(stderr, named)
  for (const named of [/FILMGATE_SERVER_TRUSTED_PROXIES/, /FILMGATE_LOG_LEVEL: log\.level/, /FILMGATE_SERVER_PROT: .*FILMGATE_SERVER_PORT/])
    assert.match(stderr, named)
  assert.equal(existsSync(dataDir), false)
})

for (const kind of databases) {
  const name = `kill -9 during the first import on ${kind.name}, again and again: the catalogue is complete in the end`
  test(name, { skip: kind.missing }, async (t) => {
    let cut = 0
    for (let i = 0; i < 4; i++) {
      await using place = await kind.place()
      const { dataDir, env } = place
      using folder = temporaryFolder()
      {
        const program = startCommand(['serve'], { dataDir, env, cwd: folder.path })
        await program.said(/importing/)
        program.process.kill('SIGKILL')
        if (!/ done in /.test((await program.ended).stderr)) cut++
      }
      await using server = await startServer({ dataDir, env })
      await assertCatalogue(place)
      const headers = { authorization: `Bearer ${server.key()}`, 'content-type': 'application/json' }
      const added = await fetch(`${server.url}/add_film`, { method: 'POST', headers, body: '{"name":"After"}' })
      assert.equal(added.status, 201)
      await assertConsistent(place)
    }
    t.diagnostic(`${cut} of 4 imports were cut`)
  })
}

const statusWith = async (server: TestServer, key: string): Promise<number> => {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
  return (await fetch(`${server.url}/add_film`, { method: 'POST', headers, body: '{"name":"Key"}' })).status
}

test('a starter key that was lost, damaged or emptied is replaced, and the old one is dead', async () => {
  using folder = temporaryFolder()
  const dataDir = join(folder.path, 'data')
  const keyPath = join(dataDir, 'starter.key')
  const olds: string[] = []
  for (const damage of [() => rmSync(keyPath), () => truncateSync(keyPath, 20), () => writeFileSync(keyPath, ''), () => undefined]) {
    await using server = await startServer({ dataDir })
    assert.equal(await statusWith(server, server.key()), 201)
    for (const old of olds) assert.equal(await statusWith(server, old), 401)
    olds.push(server.key())
    await server.kill('SIGKILL')
    damage()
  }
  await using server = await startServer({ dataDir })
  assert.equal(readFileSync(keyPath, 'utf8').trim(), olds.at(-1), 'a good one stays')
  assert.equal(await statusWith(server, server.key()), 201)
})

for (const kind of databases) {
  test(`a schema of a newer program on ${kind.name}: exit 2, and nothing is changed`, { skip: kind.missing }, async () => {
    await using place = await kind.place()
    await (await openAt(place))[Symbol.asyncDispose]()
    await kind.change(place, "insert into kysely_migration (name, timestamp) values ('9999-later', '2030-01-01T00:00:00.000Z')")
    const applied = await place.query('select name from kysely_migration order by name')
    const { code, stderr } = await runToEnd({ dataDir: place.dataDir, env: place.env })
    assert.equal(code, 2)
    assert.match(stderr, /newer than this program \(9999-later\)/)
    assert.deepEqual(await place.query('select name from kysely_migration order by name'), applied)
    assert.deepEqual(await place.query('select * from film'), [])
  })
}
