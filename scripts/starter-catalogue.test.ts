import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { pathToFileURL } from 'node:url'

import { catalogueUrl, readRecords, run } from './starter-catalogue.ts'
import { buildCatalogue, frozen, toNdjson } from './starter-catalogue/catalogue.ts'
import { looksMisread, repairCharset } from './starter-catalogue/charset.ts'
import { clean, complaint, lastYear } from './starter-catalogue/clean.ts'
import type { Film, Kept, RawRecord } from './starter-catalogue/clean.ts'
import { countRepairs, formatReport } from './starter-catalogue/report.ts'

const records = await readRecords()
const catalogue = buildCatalogue(records)
const committed = await readFile(catalogueUrl, 'utf8')
const films = committed
  .trimEnd()
  .split('\n')
  .map((line) => JSON.parse(line) as Film)
const texts = films.flatMap(({ name, studio, genre, director }) => [name, studio, genre, director]).filter((text) => text !== null)
const yearsOf = (name: string): (number | null)[] => films.filter((film) => film.name === name).map(({ year }) => year)

function kept(record: RawRecord): Kept {
  const result = clean(record)
  assert.ok('film' in result, JSON.stringify(result))
  return result
}
const kinds = (record: RawRecord): string[] => kept(record).repairs.map(({ kind }) => kind)

const yearOf = (date: unknown, Title = 'A'): number | null => kept({ Title, 'Release Date': date }).film.year
const rated = (Title: string, votes: number, year = 1990): RawRecord => ({
  Title,
  'Release Date': `Jun 01 ${year}`,
  'IMDB Rating': 7,
  'IMDB Votes': votes,
})
const ratings = (...list: RawRecord[]): unknown[] => buildCatalogue(list).entries.map(({ film }) => film.rating)

/** What Mac Roman makes of text written as Latin-1. */
const misread = (text: string): string => new TextDecoder('macintosh').decode(Buffer.from(text, 'latin1'))

describe('charset', () => {
  test('misread titles of the data set are read again', () => {
    assert.equal(repairCharset('LÈon'), 'Léon')
    assert.equal(repairCharset("Le Fabuleux destin d'AmÈlie Poulain"), "Le Fabuleux destin d'Amélie Poulain")
    assert.equal(repairCharset('DÈj‡ Vu'), 'Déjà Vu')
    assert.equal(repairCharset('Die F‰lscher'), 'Die Fälscher')
    assert.equal(repairCharset('Obsluhoval jsem anglickÈho kr·le'), 'Obsluhoval jsem anglického krále')
    assert.equal(repairCharset('Per qualche dollaro in pi˘'), 'Per qualche dollaro in più')
    assert.equal(repairCharset('The Naked Gun 2Ω: The Smell of Fear'), 'The Naked Gun 2½: The Smell of Fear')
    assert.equal(repairCharset("I Love You Ö Don't Touch Me!"), "I Love You … Don't Touch Me!")
  })

  test('every small letter of Latin-1 inside a word survives the round trip', () => {
    // õ is read as ı, which is a letter of Turkish and proves nothing; ÷ is no letter.
    for (const letter of 'àáâãäåæçèéêëìíîïðñòóôöøùúûüýþÿ') {
      const word = `b${letter}b`
      assert.notEqual(misread(word), word)
      assert.equal(repairCharset(misread(word)), word)
    }
  })

  test('correct text is left alone', () => {
    const correct = ['Amélie', 'El Niño', 'Österreich', 'ÉTÉ', "L'Été", 'Über uns', 'Mañana', 'À bout de souffle', 'Alien³', 'Ri¢hie Ri¢h']
    for (const text of [...correct, 'WALL·E', 'Col·lecció', 'The Naked Gun 2½', 'Wait… What', 'Kış', 'Ω', 'eXistenZ', '東京物語']) {
      assert.equal(repairCharset(text), text)
    }
  })

  test('text with a sign but with a character that Mac Roman lacks was not misread', () => {
    assert.ok(looksMisread('cachÈ ³'))
    assert.equal(repairCharset('cachÈ ³'), 'cachÈ ³')
  })

  test('studios and directors are repaired like names', () => {
    const { film } = kept({ Title: 'A', Distributor: 'PathÈ', Director: 'AndrÈ TÈchinÈ' })
    assert.deepEqual([film.studio, film.director], ['Pathé', 'André Téchiné'])
  })
})

describe('one record', () => {
  test('a whole record, nothing to repair', () => {
    const record = { Title: 'Up', Distributor: 'Walt Disney Pictures', Director: 'Pete Docter', 'Release Date': 'May 29 2009' }
    assert.deepEqual(clean({ ...record, 'Running Time min': 96, 'Major Genre': 'Adventure', 'IMDB Rating': 8.4 }), {
      film: {
        name: 'Up',
        studio: 'Walt Disney Pictures',
        year: 2009,
        genre: 'Adventure',
        director: 'Pete Docter',
        runtime_min: 96,
        rating: 8.4,
      },
      repairs: [],
    })
  })

  test('a number is a name, and no title is quarantined', () => {
    assert.equal(kept({ Title: 1776 }).film.name, '1776')
    assert.deepEqual(kinds({ Title: 9 }), ['numeric title'])
    for (const Title of [null, undefined, '', '  ']) assert.deepEqual(clean({ Title }), { quarantined: 'no title' })
  })

  test('articles, brackets, blanks and quotes in names', () => {
    const nameOf = (Title: string, date = 'Apr 07 2033'): string => kept({ Title, 'Release Date': date }).film.name
    assert.equal(nameOf('Boot, Das'), 'Das Boot')
    assert.equal(nameOf('Couloirs du temps: Les visiteurs 2, Les'), 'Les Couloirs du temps: Les visiteurs 2')
    assert.equal(nameOf('Definitely, Maybe'), 'Definitely, Maybe')
    assert.equal(nameOf('King Kong (1933)'), 'King Kong')
    assert.equal(nameOf('King Kong (1934)'), 'King Kong (1934)')
    assert.equal(nameOf('Fantasia 2000 (IMAX)'), 'Fantasia 2000')
    assert.equal(nameOf('Precious (Based on the Novel Push by Sapphire)'), 'Precious (Based on the Novel Push by Sapphire)')
    assert.equal(nameOf(' The Helix...  Loaded '), 'The Helix... Loaded')
    assert.equal(kept({ Title: 'Bang', Director: 'Jeff ""King Jeff"" Hollins' }).film.director, 'Jeff "King Jeff" Hollins')
  })

  test('years: century, shifted New Year, zero date, and dates that are right', () => {
    assert.equal(yearOf('Nov 21 2046'), 1946)
    assert.equal(yearOf('Dec 31 2046'), 1946)
    assert.equal(yearOf('Dec 23 2011'), 2011)
    assert.equal(yearOf('Dec 31 1941'), 1942)
    assert.equal(yearOf('Dec 31 1978', 'The Deer Hunter'), 1978)
    assert.equal(yearOf('Dec 31 2008'), 2008)
    assert.equal(yearOf('Dec 31 1969'), null)
    assert.equal(yearOf('Jan 01 1970'), 1970)
    for (const date of [null, '', 'TBD', '1999-01-01', 1999]) assert.equal(yearOf(date), null)
  })

  test('words and zeros for unknown become null, a film may be called so', () => {
    const { film } = kept({
      Title: 'Unknown',
      Distributor: 'Distributor Unknown',
      Director: 'TBD',
      'Major Genre': 'N/A',
      'Running Time min': 0,
    })
    assert.deepEqual(film, { name: 'Unknown', studio: null, year: null, genre: null, director: null, runtime_min: null, rating: null })
  })

  test('the other rating is no substitute', () => {
    assert.equal(kept({ Title: 'A', 'Rotten Tomatoes Rating': 80 }).film.rating, null)
  })

  test('what the API would refuse is quarantined with its reason', () => {
    assert.deepEqual(clean({ Title: 'a\u0000b' }), { quarantined: 'name: an invisible character' })
    assert.deepEqual(clean({ Title: 'a\u202Eb' }), { quarantined: 'name: an invisible character' })
    assert.deepEqual(clean({ Title: 'x'.repeat(201) }), { quarantined: 'name: longer than 200 characters' })
    assert.deepEqual(clean({ Title: 'e\u0301' }), { quarantined: 'name: not NFC' })
    assert.deepEqual(clean({ Title: 'A', 'Running Time min': 1001 }), { quarantined: 'runtime_min: not 1 to 1000 minutes' })
    assert.deepEqual(clean({ Title: 'A', 'IMDB Rating': 10.1 }), { quarantined: 'rating: not 0 to 10 with one decimal' })
    assert.deepEqual(clean({ Title: 'A', 'IMDB Rating': 7.25 }), { quarantined: 'rating: not 0 to 10 with one decimal' })
  })
})

describe('neighbours', () => {
  test('one rating on two films of like name is unknown on both, equal numbers by chance stay', () => {
    assert.deepEqual(ratings(rated('Crash', 20886, 1996), rated('Crash', 20886, 2005)), [null, null])
    assert.deepEqual(ratings(rated('X', 100), rated('The X', 100, 2000)), [null, null])
    assert.deepEqual(ratings(rated('Hitman', 520), rated('Taxman', 520)), [null, null])
    assert.deepEqual(ratings(rated('Veronica Guerin', 8778), rated('Taking Woodstock', 8778)), [7, 7])
    assert.deepEqual(ratings(rated('Crash', 20886, 1996), rated('Crash', 20887, 2005)), [7, 7])
  })

  test('a second record of a film is quarantined and costs no rating, a remake is no second record', () => {
    const { entries, quarantined } = buildCatalogue([rated('The Fog', 1), rated('Fog!', 1), rated('The Fog', 3, 2005)])
    assert.equal(entries[0]?.film.rating, 7)
    assert.deepEqual(
      entries.map(({ index }) => index),
      [0, 2],
    )
    assert.deepEqual(quarantined, [{ index: 1, title: 'Fog!', reason: 'name, year and studio of record 0' }])
  })
})

describe('the committed file', () => {
  test('is what the script writes', () => {
    assert.ok(toNdjson(catalogue) === committed, 'run: npm run starter-catalogue')
  })

  test('counts add up to the data set', () => {
    const repaired = catalogue.entries.filter(({ repairs }) => repairs.length > 0).length
    const untouched = catalogue.entries.filter(({ repairs }) => repairs.length === 0).length
    assert.equal(records.length, 3201)
    assert.equal(repaired + untouched + catalogue.quarantined.length, 3201)
    assert.equal(films.length, repaired + untouched + 1)
    assert.deepEqual(
      catalogue.quarantined.map(({ index, reason }) => [index, reason]),
      [
        [1723, 'name, year and studio of record 338'],
        [3053, 'no title'],
      ],
    )
  })

  test('every repair of the data set is known, and in data/README.md', async () => {
    const counts = countRepairs(catalogue).map(({ kind, count }) => [kind, count] as const)
    assert.deepEqual(Object.fromEntries(counts), {
      'numeric title': 9,
      charset: 18,
      spacing: 2,
      'doubled quotes': 1,
      'article last': 6,
      'release note': 5,
      placeholder: 1,
      century: 22,
      'shifted new year': 61,
      'zero date': 8,
      'shared rating': 62,
    })
    const readme = await readFile(new URL('README.md', catalogueUrl), 'utf8')
    for (const [kind, count] of counts) assert.match(readme, new RegExp(`^\\| ${kind} \\| ${count} \\|`, 'mu'))
    assert.match(formatReport(catalogue, records.length), /^ {4}61 {2}shifted new year: /mu)
  })

  test('Frozen of the article is film 1, its members in order', () => {
    assert.deepEqual(films[0], frozen)
    assert.ok(committed.startsWith('{"name":"Frozen","studio":"Disney","year":2013,'))
    const members = ['name', 'studio', 'year', 'genre', 'director', 'runtime_min', 'rating']
    for (const film of films) assert.deepEqual(Object.keys(film), members)
  })

  test('every film would be accepted by the API', () => {
    for (const film of films) {
      assert.equal(complaint(film), null)
      assert.ok(film.name.length > 0)
    }
    for (const text of texts) assert.equal(text, text.normalize('NFC').trim())
  })

  test('nothing misread is left: these are all the characters beyond ASCII', () => {
    const beyond = new Set(texts.flatMap((text) => text.match(/[^\x20-\x7E]/gu) ?? []))
    assert.deepEqual([...beyond].toSorted().join(''), '¢³½àáäèéêëóôù…')
    assert.deepEqual(texts.filter(looksMisread), [])
    // Looked for and not in the data: HTML entities, UTF-8 read as windows-1252, leftover quoting.
    assert.deepEqual(
      texts.filter((text) => /&#?\w+;|Ã|â€|""|\s{2}|, (?:The|An?|Das|Les?)$|^(?:null|undefined|NaN|Unknown)$/u.test(text)),
      [],
    )
  })

  test('no film of the data set is younger than the data set', () => {
    const years = films.slice(1).flatMap(({ year }) => year ?? [])
    assert.equal(Math.max(...years), lastYear)
    assert.equal(Math.min(...years), 1915)
  })

  test('years of old films are those of the films', () => {
    const known: Record<string, number[]> = {
      'Duel in the Sun': [1946],
      'The Birth of a Nation': [1915],
      Intolerance: [1916],
      '20,000 Leagues Under the Sea': [1954, 1916],
      'Over the Hill to the Poorhouse': [1920],
      'Ben-Hur': [1925, 1959],
      Wings: [1927],
      'King Kong': [1933, 1976, 2005],
      'Modern Times': [1936],
      'Gone with the Wind': [1939],
      Fantasia: [1940],
      Casablanca: [1942],
      "It's a Wonderful Life": [1946],
      'The Best Years of Our Lives': [1946],
      'High Noon': [1952],
      'The Apartment': [1960],
      Witchboard: [1986],
      Defiance: [2008],
    }
    for (const [name, years] of Object.entries(known)) assert.deepEqual(yearsOf(name), years, name)
  })
})

test('--check tells an old file from a fresh one and writes nothing', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'starter-catalogue-'))
  t.after(() => rm(folder, { recursive: true }))
  const file = pathToFileURL(join(folder, 'films.ndjson'))
  let printed = ''
  const print = (text: string): void => void (printed += text)
  assert.equal(await run({ check: false, file, print }), 0)
  assert.equal(await readFile(file, 'utf8'), committed)
  assert.equal(await run({ check: true, file, print }), 0)
  await writeFile(file, committed.replace('Land Girls', 'Land Girl'))
  assert.equal(await run({ check: true, file, print }), 1)
  assert.notEqual(await readFile(file, 'utf8'), committed)
  assert.match(printed, /3201 {2}records in the data set/u)
})
