import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import fc from 'fast-check'

import { lengthOf, tooObvious, wordsOf } from './password-rules.ts'

const words = wordsOf('https://kino.example.com', 'urn:filmgate:0x7f')
const refused = (password: string, username = 'ada'): string | undefined => tooObvious(password, { username, words })

describe('words of this place', () => {
  test('[ASVS 6.1.2] of issuer and public URL: what people would take from them', () => {
    assert.deepEqual(wordsOf('https://Films.Example.com:8443', ''), ['films', 'example'])
    assert.deepEqual(wordsOf('http://127.0.0.1:3000', 'http://localhost'), [])
    assert.deepEqual(wordsOf('https://bücher.example', 'https://kino2000.example'), ['bücher', 'example', 'kino', 'example'])
    assert.deepEqual(wordsOf('urn:filmgate:e9582640101b9a2dbadf'), ['filmgate'])
  })

  test('[ASVS 6.2.11] a password that is little more than words of the product, the issuer and the username', () => {
    for (const password of [
      'filmgate2026!',
      'FILMGATE-2026!',
      'filmgatefilmgate',
      'FilmGate_Admin',
      'kino.example.com',
      'Kino2026Kino2026Kino',
      'password1234',
      'PasswortPasswort',
      'movie-movie-movie-1',
      'Ada.ADA/ada_42!',
      'Ada@filmgate1!',
    ])
      assert.match(refused(password) ?? `fine: ${password}`, /^must be more than/, password)
    for (const password of ['the gate to a film of mine', 'example of a good password', 'kinoplex 47 hyenas'])
      assert.equal(refused(password), undefined)
  })

  test('[ASVS 6.2.11] the username anywhere, where it is four characters or more; parts of it are words', () => {
    for (const password of ['lovelace2026!', 'my name is LoveLace', 'xxlovelacexx-long'])
      assert.match(refused(password, 'lovelace') ?? 'fine', /^must not hold the username/)
    assert.equal(refused('adamant about lovely lace', 'ada'), undefined)
    assert.match(refused('karenina-anna1', 'anna.karenina') ?? 'fine', /^must be more than/)
    assert.equal(refused('anna keeps nine bees', 'anna.karenina'), undefined)
  })
})

describe('repetitions and sequences', () => {
  test('what a hand does without a head', () => {
    for (const password of [
      'aaaaaaaaaaaa',
      'abcabcabcabc',
      'abcdabcdabcda',
      'hunterhunter',
      '111111222222',
      'abcdefghijkl',
      'zyxwvutsrqponm',
      '123456789012',
      '1234567890abcd',
      '\u{1f600}'.repeat(20),
    ])
      assert.match(refused(password) ?? `fine: ${password}`, /^must not be a repetition/, password)
  })

  test('three in a row, or one run among other things, is nobody’s business', () => {
    for (const password of ['aaabbbcccdddeee fgh', 'xyz and 12345 lanterns', 'a good hijack of sorts'])
      assert.equal(refused(password), undefined)
  })

  test('[ASVS 6.2.5] no rule about kinds of characters: small letters alone, digits alone, blanks, any script', () => {
    for (const password of [
      'seven kestrels over the marsh',
      'correcthorsebatterystaple',
      '918273645546372819',
      'ДЕВЯТЬ ФОНАРЕЙ НА МОЛУ',
      '七羽の隼が沼の上を低く飛んでゆく',
      '            q w e r t z u',
    ])
      assert.equal(refused(password), undefined, password)
  })
})

test('any text is judged without an exception, in no time', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 128 }), fc.string({ unit: 'binary', maxLength: 64 }), (password, username) => {
      const verdict = refused(password, username)
      assert.ok(verdict === undefined || verdict.startsWith('must '))
    }),
  )
})

test('random passwords are fine', () => {
  const letter = fc.constantFrom('q', 'w', 'z', 'x', 'j', 'k', 'v', 'b', 'p', 'y', 'g', 'f', 'm', 'u', '2', '4', '7', '9')
  const random = fc.array(letter, { minLength: 20, maxLength: 20 }).map((letters) => letters.join(''))
  const refusals = fc
    .sample(
      random.filter((text) => new Set(text).size > 8),
      300,
    )
    .map((text) => [text, refused(text)] as const)
  assert.deepEqual(
    refusals.filter(([, verdict]) => verdict !== undefined),
    [],
  )
})

test('characters are counted as people see most of them: by code points', () => {
  assert.deepEqual([lengthOf('abc'), lengthOf('\u{1f600}\u{1f600}'), lengthOf('é'), lengthOf('e\u0301')], [3, 2, 1, 2])
})
