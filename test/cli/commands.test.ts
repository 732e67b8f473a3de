import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, test } from 'node:test'

import { runCommand, startCommand, temporaryFolder } from '../support/command.ts'
import { databases } from '../support/databases.ts'
import { filmLine, writeFilmFile } from '../support/film-file.ts'
import { raisedLimits, startServer } from '../support/server.ts'
import { describeUnless } from '../support/services.ts'

interface Route {
  readonly listener: string
  readonly method: string
  readonly path: string
  readonly access: string
  readonly sessionOnly: boolean
  readonly freshLogin: boolean
  readonly limits: { readonly anonymous: string | null; readonly subject: string | null; readonly total: string | null }
  readonly bodyLimitBytes: number
  readonly produces: string
  readonly cors: null
}

const routesWith = async (env: Readonly<Record<string, string>> = {}, toml = ''): Promise<readonly Route[]> => {
  using folder = temporaryFolder()
  writeFileSync(join(folder.path, 'filmgate.toml'), toml)
  const { code, stdout, stderr } = await runCommand(['routes', '--json'], { cwd: folder.path, env })
  assert.equal(code, 0, stderr)
  assert.equal(existsSync(join(folder.path, 'data')), false, 'neither data folder nor database')
  return JSON.parse(stdout) as Route[]
}

const changeFile = (dataDir: string, sql: string): void => {
  using connection = new DatabaseSync(join(dataDir, 'filmgate.db'))
  connection.exec(sql)
}

const routeOf = (routes: readonly Route[], method: string, path: string): Route => {
  const found = routes.filter((route) => route.method === method && route.path === path)
  assert.equal(found.length, 1, `${method} ${path}`)
  return found[0] as Route
}

describe('routes', () => {
  test('what is enforced, for both kinds of caller, in policy notation', async () => {
    const routes = await routesWith()
    assert.deepEqual(routeOf(routes, 'GET', '/'), {
      listener: 'api',
      method: 'GET',
      path: '/',
      access: 'public',
      sessionOnly: false,
      freshLogin: false,
      limits: {
        anonymous: '1 per second; 50 per hour; 200 per day',
        subject: '1 per second (route); 20000 per day; 2000 per hour',
        total: '20 per second; 3000 per hour',
      },
      bodyLimitBytes: 16_384,
      produces: 'application/json',
      cors: null,
    })
    assert.equal(routeOf(routes, 'POST', '/add_film').access, 'films:write')
    const { access, sessionOnly, freshLogin } = routeOf(routes, 'DELETE', '/v1/me')
    assert.deepEqual([access, sessionOnly, freshLogin], ['authenticated', true, true])
    const { listener, limits } = routeOf(routes, 'GET', '/readyz')
    assert.deepEqual([listener, limits], ['ops', { anonymous: null, subject: null, total: null }])
    assert.equal(
      routes.some(({ method }) => method === 'TRACE' || method === 'OPTIONS'),
      false,
      'what answers 405 is no route',
    )
  })

  test('the configuration shows: limits added, replaced, exempt, and the size of a body', async () => {
    const routes = await routesWith(
      { FILMGATE_SERVER_BODY_LIMIT_BYTES: '1000', FILMGATE_LIMITS_TOTAL: '7 per minute' },
      '[limits.routes]\n"GET /" = { only = "3 per minute" }\n"GET /v1/films/:id" = "exempt"\n"POST /add_film" = "5 per hour"\n',
    )
    const home = routeOf(routes, 'GET', '/')
    assert.deepEqual(home.limits, { anonymous: '3 per minute', subject: '3 per minute', total: '7 per minute' })
    assert.equal(home.bodyLimitBytes, 1000)
    assert.deepEqual(routeOf(routes, 'GET', '/v1/films/:id').limits, { anonymous: null, subject: null, total: '7 per minute' })
    assert.equal(routeOf(routes, 'POST', '/add_film').limits.anonymous, '1 per second; 5 per hour; 200 per day')
  })

  test('the same whatever the database is, without reaching for it', async () => {
    const env = { DATABASE_URL: 'postgres://nobody@127.0.0.1:9/none', FILMGATE_SECRETS_KEY: 'a shared key of 32 characters or more' }
    assert.deepEqual(await routesWith(env), await routesWith())
  })

  test('as a table', async () => {
    const { code, stdout, stderr } = await runCommand(['routes'])
    assert.deepEqual([code, stderr], [0, ''])
    assert.match(stdout, /^LISTENER +METHOD +PATH +ACCESS +ANONYMOUS +SUBJECT +BODY +ANSWERS +CORS\n/)
    assert.match(stdout, /^api +POST +\/add_film +films:write +1 per second; 50 per hour; 200 per day .* +16384 +application\/json +-$/m)
  })
})

describe('openapi', () => {
  test('is what a server with the same configuration answers', async () => {
    await using server = await startServer()
    const served: unknown = await (await fetch(`${server.url}/openapi.json`)).json()
    using folder = temporaryFolder()
    writeFileSync(join(folder.path, 'filmgate.toml'), raisedLimits)
    for (const args of [['openapi'], ['openapi', '--json']]) {
      const { code, stdout, stderr } = await runCommand(args, { cwd: folder.path, dataDir: server.dataDir })
      assert.deepEqual([code, stderr], [0, ''])
      assert.deepEqual(JSON.parse(stdout), served)
    }
  })

  test('describes the routes that the table of routes has', async () => {
    const { paths } = JSON.parse((await runCommand(['openapi'])).stdout) as { paths: Record<string, Record<string, unknown>> }
    const routes = await routesWith()
    for (const [path, operations] of Object.entries(paths)) {
      for (const method of Object.keys(operations)) routeOf(routes, method.toUpperCase(), path.replaceAll(/\{(\w+)\}/g, ':$1'))
    }
  })
})

test('config, as JSON and for people, without the secrets', async () => {
  const env = { FILMGATE_SECRETS_KEY: 'a shared key of 32 characters or more', DATABASE_URL: 'postgres://me:hidden@db.example/films' }
  for (const args of [['config'], ['config', '--json']]) {
    const { code, stdout, stderr } = await runCommand(args, { env })
    assert.deepEqual([code, stderr], [0, ''])
    assert.match(stdout, /database\.url/)
    assert.doesNotMatch(stdout, /hidden|a shared key/)
  }
})

for (const database of databases) {
  describeUnless(database.missing, `migrate on ${database.name}`, () => {
    test('says from what to what; --check only says it', async () => {
      await using place = await database.place()
      const call = async (...args: string[]) => runCommand(['migrate', ...args], { dataDir: place.dataDir, env: place.env })
      assert.match((await call('--check')).stdout, /^The schema is not there; 0001-films.* missing/)
      assert.equal((await call('--check')).code, 1, 'nothing was changed by the first')
      const first = await call('--json')
      assert.equal(first.code, 0, first.stderr)
      const { from, to, changed, pending } = JSON.parse(first.stdout) as Record<string, unknown>
      assert.deepEqual([from, changed], [null, true])
      assert.equal((pending as string[]).at(-1), to)
      assert.deepEqual(await call('--check'), { code: 0, stdout: `The schema is up to date: ${String(to)}\n`, stderr: '' })
      assert.deepEqual(await call(), { code: 0, stdout: `The schema is up to date: ${String(to)}\n`, stderr: '' })
      const { upToDate } = JSON.parse((await call('--check', '--json')).stdout) as Record<string, unknown>
      assert.equal(upToDate, true)
    })

    test('a schema of a newer program is refused', async () => {
      await using place = await database.filledPlace(1)
      const insert = `insert into kysely_migration (name, timestamp) values ('9999-future', '2100-01-01')`
      if (place.kind === 'postgres') await place.query(insert)
      else changeFile(place.dataDir, insert)
      const options = { dataDir: place.dataDir, env: place.env }
      const check = await runCommand(['migrate', '--check'], options)
      assert.equal(check.code, 1)
      assert.match(check.stdout, /newer than this program: 9999-future/)
      for (const args of [['migrate'], ['films', 'export'], ['films', 'import', '-'], ['serve']]) {
        const { code, stdout, stderr } = await runCommand(args, { ...options, input: '{"name":"A"}' })
        assert.deepEqual([code, stdout], [2, ''], args.join(' '))
        assert.match(stderr, /newer than this program/)
      }
    })
  })

  describeUnless(database.missing, `films export on ${database.name}`, () => {
    test('every film in the order of the ids, to standard output and to a file', async () => {
      await using place = await database.filledPlace(2345)
      using folder = temporaryFolder()
      const options = { dataDir: place.dataDir, env: place.env, cwd: folder.path }
      const { code, stdout, stderr } = await runCommand(['films', 'export'], options)
      assert.deepEqual([code, stderr], [0, '2,345 films exported.\n'])
      const films = stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as { id: number })
      assert.deepEqual(
        films.map(({ id }) => id),
        Array.from({ length: 2345 }, (_, i) => i + 1),
      )
      assert.deepEqual(films[4], {
        id: 5,
        name: 'Film number 5',
        studio: 'Studio 5',
        year: 1905,
        genre: 'Drama',
        director: 'Director 5',
        runtime_min: 90,
        rating: 5.5,
        likes: 0,
        dislikes: 0,
      })
      assert.equal((await runCommand(['films', 'export', '-'], options)).stdout, stdout)
      const toFile = await runCommand(['films', 'export', 'films.ndjson', '--json'], options)
      assert.deepEqual(JSON.parse(toFile.stdout), { exported: 2345, file: 'films.ndjson' })
      assert.equal(readFileSync(join(folder.path, 'films.ndjson'), 'utf8'), stdout)
      assert.deepEqual(readdirSync(folder.path), ['films.ndjson'], 'no draft is left')
    })
  })
}

describe('films export', () => {
  test('a reader that has seen enough is no failure', async () => {
    using folder = temporaryFolder()
    const options = { cwd: folder.path }
    const input = Array.from({ length: 30_000 }, (_, i) => `${filmLine(i)}\n`).join('')
    assert.equal((await runCommand(['films', 'import', '-'], { ...options, input })).code, 0)
    const running = startCommand(['films', 'export'], options)
    running.process.stdout?.once('data', () => running.process.stdout?.destroy())
    const { code, stderr } = await running.ended
    assert.deepEqual([code, stderr], [0, ''])
  })

  test('a reader that goes away does not change how a command ended', async () => {
    using folder = temporaryFolder()
    writeFileSync(join(folder.path, 'bad.ndjson'), 'x')
    const script = '("$@"; echo $? > code.txt) | true'
    const wrap = (command: readonly string[]): string[] => ['sh', '-c', script, 'sh', ...command]
    for (const [args, code] of [
      [['films', 'import', 'bad.ndjson', '--json'], '1'],
      [['migrate', '--check'], '1'],
      [['routes'], '0'],
      [['openapi'], '0'],
    ] as const) {
      assert.equal((await runCommand(args, { cwd: folder.path, wrap })).code, 0)
      assert.equal(readFileSync(join(folder.path, 'code.txt'), 'utf8').trim(), code, args.join(' '))
    }
  })

  test('standard output that is full is a failure, with the reason', async () => {
    using folder = temporaryFolder()
    await runCommand(['films', 'import', '-'], { cwd: folder.path, input: '{"name":"A"}' })
    for (const args of [['films', 'export'], ['openapi'], ['--help']]) {
      const { code, stderr } = await runCommand(args, {
        cwd: folder.path,
        wrap: (command) => ['sh', '-c', '"$@" > /dev/full', 'sh', ...command],
      })
      assert.equal(code, 1, args.join(' '))
      assert.match(stderr, /filmgate: cannot write standard output: no space is left\n$/)
    }
  })

  test('a slow reader is waited for', async () => {
    using folder = temporaryFolder()
    writeFilmFile(join(folder.path, 'films.ndjson'), 50_000)
    const options = { cwd: folder.path }
    assert.equal((await runCommand(['films', 'import', 'films.ndjson'], options)).code, 0)
    const script = '"$@" | (read -r first; echo "$first" > first.txt; cat > rest.txt)'
    const { code } = await runCommand(['films', 'export'], { ...options, wrap: (command) => ['sh', '-c', script, 'sh', ...command] })
    assert.equal(code, 0)
    assert.match(readFileSync(join(folder.path, 'first.txt'), 'utf8'), /^\{"id":1,/)
    assert.equal(readFileSync(join(folder.path, 'rest.txt'), 'utf8').split('\n').length, 50_000)
  })

  test('where it cannot write: the reason, exit 1, and what was there stays', async () => {
    using folder = temporaryFolder()
    mkdirSync(join(folder.path, 'folder'))
    for (const [path, reason] of [
      ['folder', 'it is a folder'],
      ['nowhere/films.ndjson', 'no such file'],
    ] as const) {
      const { code, stdout, stderr } = await runCommand(['films', 'export', path], { cwd: folder.path })
      assert.deepEqual([code, stdout], [1, ''])
      assert.match(stderr, new RegExp(`^filmgate: cannot write "${path}": ${reason}\n$`))
    }
    assert.deepEqual(readdirSync(folder.path).toSorted(), ['data', 'folder'])
  })

  test('a device is written to, not replaced; a link keeps pointing where it did', async () => {
    using folder = temporaryFolder()
    const options = { cwd: folder.path }
    await runCommand(['films', 'import', '-'], { ...options, input: '{"name":"A"}' })
    assert.equal((await runCommand(['films', 'export', '/dev/null'], options)).code, 0)
    assert.ok(statSync('/dev/null').isCharacterDevice())
    writeFileSync(join(folder.path, 'real.ndjson'), 'old')
    symlinkSync('real.ndjson', join(folder.path, 'link.ndjson'))
    assert.equal((await runCommand(['films', 'export', 'link.ndjson'], options)).code, 0)
    assert.match(readFileSync(join(folder.path, 'real.ndjson'), 'utf8'), /^\{"id":1,"name":"A"/)
  })
})
