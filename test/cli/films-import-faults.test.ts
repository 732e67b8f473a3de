import assert from 'node:assert/strict'
import { appendFileSync, existsSync, readdirSync, truncateSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'

import { checkFilms, filmsPerBatch, type ImportResult, type ImportSource, writeFilms } from '../../src/api/films/import.ts'
import { createFilmRepository } from '../../src/api/films/repository.ts'
import { systemClock } from '../../src/core/clock.ts'
import { createReadFilm } from '../../src/serve/read-film.ts'
import { runCommand, startCommand, temporaryFolder } from '../support/command.ts'
import { databases } from '../support/databases.ts'
import { filmLine, writeFilmFile } from '../support/film-file.ts'
import { eventually } from '../support/deadline.ts'
import { startPostgres } from '../support/postgres.ts'
import { seededRandom } from '../support/random.ts'
import { startServer } from '../support/server.ts'
import { describeUnless, servicesMissing } from '../support/services.ts'
import { mountSmallDisk } from '../support/small-disk.ts'
import { assertConsistent, type Stored, storedInFolder } from '../support/stored.ts'

const batches = /([\d,]+) of [\d,]+ films are in/

const countOf = async (stored: Stored): Promise<number> => Number((await stored.query('select films from catalogue'))[0]?.['films'])

/** The names of the films of the file, in their order, are the names of those that are stored. */
const assertFilms = async (stored: Stored, films: number): Promise<void> => {
  const names = (await stored.query('select name from film order by id')).map(({ name }) => name)
  const expected = Array.from({ length: films }, (_, i) => (JSON.parse(filmLine(i + 1)) as { name: string }).name.normalize('NFC'))
  assert.equal(names.length, films)
  assert.deepEqual(names, expected)
}

for (const database of databases) {
  describeUnless(database.missing, `an import that is cut, on ${database.name}`, () => {
    test('SIGKILL in the middle: whole batches, nothing else; the server starts', async (t) => {
      const random = seededRandom(t)
      for (let round = 0; round < 3; round++) {
        await using place = await database.place()
        using folder = temporaryFolder()
        writeFilmFile(join(folder.path, 'films.ndjson'), 60_000)
        const options = { cwd: folder.path, dataDir: place.dataDir, env: place.env }
        const running = startCommand(['films', 'import', 'films.ndjson'], options)
        await running.said(batches)
        const least = (1 + random.below(12)) * filmsPerBatch
        await eventually(20_000, 'more batches are in', async () => (await countOf(place)) >= least)
        running.process.kill('SIGKILL')
        await running.ended
        await place.left()
        const films = await countOf(place)
        t.diagnostic(`${films} films were in`)
        assert.equal(films % filmsPerBatch, 0)
        assert.ok(films >= least)
        await assertConsistent(place)
        await assertFilms(place, films)
        await using server = await startServer({ dataDir: place.dataDir, env: place.env })
        assert.equal((await fetch(server.url)).status, 200)
        assert.equal(await countOf(place), films)
      }
    })

    test('SIGINT and SIGTERM finish the batch under way and say how to go on', async () => {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) {
        await using place = await database.place()
        using folder = temporaryFolder()
        writeFilmFile(join(folder.path, 'films.ndjson'), 150_000)
        const options = { cwd: folder.path, dataDir: place.dataDir, env: place.env }
        const running = startCommand(['films', 'import', 'films.ndjson', '--json'], options)
        await running.said(batches)
        running.process.kill(signal)
        const { code, stdout, stderr } = await running.ended
        assert.equal(code, 1, stderr)
        const report = JSON.parse(stdout) as { imported: number; stopped: string; nextLine: number }
        assert.equal(report.stopped, 'it was interrupted')
        assert.equal(report.imported, await countOf(place))
        assert.equal(report.nextLine, report.imported + 1)
        const rest = await runCommand(['films', 'import', 'films.ndjson', '--from-line', String(report.nextLine)], options)
        assert.equal(rest.code, 0, rest.stderr)
        await assertConsistent(place)
        await assertFilms(place, 150_000)
      }
    })

    test('beside a server that is being written to: both get their turn, and the films are seen within a second', async () => {
      await using place = await database.place()
      using folder = temporaryFolder()
      writeFilmFile(join(folder.path, 'films.ndjson'), 100_000)
      await using server = await startServer({ dataDir: place.dataDir, env: place.env })
      const before = await countOf(place)
      const importing = startCommand(['films', 'import', 'films.ndjson'], { cwd: folder.path, dataDir: place.dataDir, env: place.env })
      const importer = importing.process
      await importing.said(batches)
      const headers = { authorization: `Bearer ${server.key()}`, 'content-type': 'application/json' }
      let added = 0
      while (importer.exitCode === null && importer.signalCode === null) {
        const [read, voted, written] = await Promise.all([
          fetch(server.url),
          fetch(`${server.url}/?like=${1 + (added % 100)}`),
          fetch(`${server.url}/add_film`, { method: 'POST', headers, body: JSON.stringify({ name: `Added ${added}` }) }),
        ])
        assert.deepEqual([read.status, voted.status, written.status], [200, 200, 201])
        for (const answer of [read, voted, written]) await answer.arrayBuffer()
        added++
      }
      const { code, stderr } = await importing.ended
      assert.equal(code, 0, stderr)
      assert.ok(added >= 2, `${added} films were added meanwhile`)
      await assertConsistent(place)
      assert.equal(await countOf(place), before + added + 100_000)
      // A pick is at most a second old; nearly all films are new ones.
      const endedMs = performance.now()
      let isSeen = false
      while (!isSeen && performance.now() - endedMs < 1500)
        isSeen = ((await (await fetch(server.url)).json()) as { id: number }).id > before + added + 1000
      assert.ok(isSeen, 'a new film was handed out')
    })

    test('a file that changes between the passes is not gone on with, and no bad film gets in', async () => {
      const changes: Readonly<Record<string, (path: string) => void>> = {
        longer: (path) => appendFileSync(path, '{"name":"Late"}\n'),
        broken: (path) => appendFileSync(path, '{"name":'),
        shorter: (path) => truncateSync(path, 5000),
        empty: (path) => truncateSync(path, 0),
      }
      const readFilm = await createReadFilm()
      for (const [name, change] of Object.entries(changes)) {
        await using opened = await database.open()
        using folder = temporaryFolder()
        const path = join(folder.path, 'films.ndjson')
        writeFilmFile(path, 3000)
        await using file = await open(path)
        const source: ImportSource = { file, fromLine: 1, readFilm, signal: new AbortController().signal }
        const films = createFilmRepository(opened.database, systemClock)
        const { unchanged, mistakes } = await checkFilms(source)
        assert.deepEqual(mistakes, [])
        change(path)
        const result = await writeFilms(source, unchanged, films, () => undefined)
        assert.deepEqual(result, { films: 0, nextLine: 1, stopped: 'the file changed while it was read' } satisfies ImportResult, name)
        assert.equal((await opened.database.reader.selectFrom('film').select('id').execute()).length, 0)
      }
    })

    test('a file that grows while it is stored: it stops, says what is in, and goes on', async () => {
      await using place = await database.place()
      using folder = temporaryFolder()
      const path = join(folder.path, 'films.ndjson')
      writeFilmFile(path, 150_000)
      const options = { cwd: folder.path, dataDir: place.dataDir, env: place.env }
      const running = startCommand(['films', 'import', 'films.ndjson'], options)
      await running.said(batches)
      appendFileSync(path, `${filmLine(150_001)}\n`)
      const { code, stderr } = await running.ended
      assert.equal(code, 1)
      const films = await countOf(place)
      assert.match(
        stderr,
        new RegExp(
          `Not all of it is in: the file changed while it was read\\. ${films.toLocaleString('en-US')} films are in, those before line ${films + 1}\\.`,
        ),
      )
      assert.match(stderr, new RegExp(`filmgate films import films\\.ndjson --from-line ${films + 1}\\n`))
      assert.equal((await runCommand(['films', 'import', 'films.ndjson', '--from-line', String(films + 1)], options)).code, 0)
      await assertFilms(place, 150_001)
    })
  })
}

test('a full disk: it stops with the reason, and what it counted is there', async () => {
  await using disk = await mountSmallDisk(8)
  using folder = temporaryFolder()
  writeFilmFile(join(folder.path, 'films.ndjson'), 80_000)
  const options = { cwd: folder.path, dataDir: disk.dataDir, wrap: disk.wrap }
  const { code, stdout, stderr } = await runCommand(['films', 'import', 'films.ndjson', '--json'], options)
  assert.equal(code, 1, stderr)
  const report = JSON.parse(stdout) as { imported: number; stopped: string; nextLine: number }
  assert.match(report.stopped, /full/)
  assert.ok(report.imported > 0)
  assert.equal(report.imported % filmsPerBatch, 0)
  disk.look()
  const stored = storedInFolder(disk.dataDir)
  assert.equal(await countOf(stored), report.imported)
  await assertConsistent(stored)
  await assertFilms(stored, report.imported)
})

test('standard input that does not fit into the data folder: the reason, and nothing is left', async () => {
  await using disk = await mountSmallDisk(4)
  const input = Array.from({ length: 40_000 }, (_, i) => `${filmLine(i)}\n`).join('')
  const { code, stdout, stderr } = await runCommand(['films', 'import', '-'], { dataDir: disk.dataDir, wrap: disk.wrap, input })
  assert.deepEqual([code, stdout], [1, ''])
  assert.match(stderr, /^filmgate: cannot keep the input in ".*": no space is left\n$/)
  disk.look()
  assert.equal(existsSync(join(disk.dataDir, 'filmgate.db')), false)
})

test('SIGINT while standard input is waited for: nothing was imported, nothing is left', async () => {
  using folder = temporaryFolder()
  const running = startCommand(['films', 'import', '-'], { cwd: folder.path, input: null })
  // The folder comes behind the answer to signals.
  await eventually(20_000, 'it waits for input', () => existsSync(join(folder.path, 'data')))
  running.process.stdin?.write('{"name":"A"}\n')
  running.process.kill('SIGINT')
  assert.deepEqual(await running.ended, { code: 1, stdout: '', stderr: 'filmgate: nothing was imported from "-": interrupted\n' })
  assert.deepEqual(readdirSync(join(folder.path, 'data')), [])
})

test('a database that goes away: what is in, what is not known, and how to go on', { skip: servicesMissing('postgres') }, async () => {
  await using server = await startPostgres()
  const url = await server.createDatabase()
  using folder = temporaryFolder()
  writeFilmFile(join(folder.path, 'films.ndjson'), 100_000)
  const env = { DATABASE_URL: url, FILMGATE_SECRETS_KEY: 'a shared key of 32 characters or more' }
  const running = startCommand(['films', 'import', 'films.ndjson', '--json'], { cwd: folder.path, env })
  await running.said(batches)
  await server.stop('SIGQUIT')
  const { code, stdout, stderr } = await running.ended
  assert.equal(code, 1, stderr)
  const report = JSON.parse(stdout) as { imported: number; stopped: string; nextLine: number; unsureUpTo: number | null }
  assert.equal(report.nextLine, report.imported + 1)
  assert.equal(report.unsureUpTo, report.imported + filmsPerBatch)
  await server.start()
  const [row] = await server.query('select films from catalogue', [], url)
  assert.ok([report.imported, report.imported + filmsPerBatch].includes(Number(row?.['films'])), 'what was counted is there')
  assert.doesNotMatch(stdout + stderr, /shared key|postgres:\/\//)
})

test('a file that was cut in half: nothing is imported', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'films.ndjson')
  writeFilmFile(path, 5000)
  truncateSync(path, 500_000)
  const { code, stderr } = await runCommand(['films', 'import', 'films.ndjson'], { cwd: folder.path })
  assert.equal(code, 1)
  assert.match(stderr, /line \d+: The line is not valid JSON\..*the file may be cut off/)
  assert.equal(existsSync(join(folder.path, 'data', 'filmgate.db')), false)
})
