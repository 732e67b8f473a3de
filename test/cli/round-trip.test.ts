import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import fc from 'fast-check'

import { runCommand, temporaryFolder } from '../support/command.ts'
import { databases } from '../support/databases.ts'
import { describeUnless } from '../support/services.ts'

type Film = Readonly<Record<string, string | number | null>>

/** As films are really called, and what has broken somebody's import before. */
const titles = [
  'M*A*S*H',
  "Schindler's List",
  '“Crocodile” Dundee',
  'Léon: The Professional',
  'Amélie',
  'Ame\u0301lie',
  '千と千尋の神隠し',
  'Иди и смотри',
  'الرسالة',
  'Wake in Fright 🦘',
  '👨‍👩‍👧‍👦',
  '8½',
  '(500) Days of Summer',
  '...And Justice for All.',
  'S1m0ne',
  'Se7en',
  '\\',
  '"',
  "'; drop table film; --",
  '{"name":"x"}',
  '=cmd|calc',
  '-1',
  '0',
  'null',
  'true',
  'NaN',
  '%s%n',
  '${HOME}',
  '$(id)',
  '<b>',
  '&amp;',
  'a\u00a0b',
  '𝕴',
  'ﬁ',
  '각',
  '\u1100\u1161\u11a8',
  'ẛ̣',
  'Z̵̢a̷l̸g̶o',
  'न्‍',
]

const text = fc.oneof(
  fc.constantFrom(...titles),
  fc.array(fc.constantFrom(...titles, ' ', 'x'), { minLength: 1, maxLength: 4 }).map((parts) => parts.join(' ').trim() || 'x'),
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 }),
)

/** What the schema lets through; the rest is the business of the tests of what it does not. */
const isVisible = (value: string): boolean =>
  value.isWellFormed() &&
  Array.from(value).length <= 200 &&
  Array.from(value.normalize('NFC')).length <= 200 &&
  /^(?!\s)(?=.*[\p{L}\p{N}\p{P}\p{S}])[^\p{Cc}\p{Cs}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]+(?<!\s)$/u.test(value)

const visible = text.filter(isVisible)
const film: fc.Arbitrary<Film> = fc.record({
  name: visible,
  studio: fc.option(visible),
  year: fc.option(fc.integer({ min: 1870, max: 2200 })),
  genre: fc.option(visible),
  director: fc.option(visible),
  runtime_min: fc.option(fc.integer({ min: 1, max: 100_000 })),
  rating: fc.option(
    fc.oneof(
      fc.double({ min: 0, max: 10, noNaN: true }),
      fc.integer({ min: 0, max: 100 }).map((n) => n / 10),
    ),
  ),
})

/** As JSON.stringify does it, and as others do: everything escaped. */
const spellings = [
  (value: Film): string => JSON.stringify(value),
  (value: Film): string => JSON.stringify(value).replaceAll(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`),
]

const asStored = (value: Film): Film =>
  Object.fromEntries(
    Object.entries(value).map(([name, one]) => [name, typeof one === 'string' ? one.normalize('NFC') : Object.is(one, -0) ? 0 : one]),
  )

for (const database of databases) {
  describeUnless(database.missing, `round trip on ${database.name}`, () => {
    test('what is imported is what is exported, and what is exported can be imported again', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(film, { minLength: 1, maxLength: 300 }), fc.integer({ min: 0, max: 1 }), async (films, spelling) => {
          await using place = await database.place()
          await using second = await database.place()
          using folder = temporaryFolder()
          const input = films.map((one) => `${spellings[spelling]?.(one)}\n`).join('')
          const options = { cwd: folder.path, dataDir: place.dataDir, env: place.env }
          const imported = await runCommand(['films', 'import', '-'], { ...options, input })
          assert.equal(imported.code, 0, imported.stderr)
          const { stdout } = await runCommand(['films', 'export'], options)
          const exported = stdout
            .trimEnd()
            .split('\n')
            .map((line) => JSON.parse(line) as Film)
          assert.deepEqual(
            exported,
            films.map((one, i) => ({ id: i + 1, ...asStored(one), likes: 0, dislikes: 0 })),
          )
          await runCommand(['films', 'export', 'all.ndjson'], options)
          const other = { ...options, dataDir: second.dataDir, env: second.env }
          assert.equal((await runCommand(['films', 'import', 'all.ndjson'], other)).code, 0)
          await runCommand(['films', 'export', 'again.ndjson'], other)
          assert.equal(readFileSync(join(folder.path, 'again.ndjson'), 'utf8'), readFileSync(join(folder.path, 'all.ndjson'), 'utf8'))
        }),
        // A step of shrinking is five processes: the seed and the whole of what failed are told instead.
        { numRuns: 4, endOnFailure: true },
      )
    })
  })
}
