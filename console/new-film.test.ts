import assert from 'node:assert/strict'
import { test } from 'node:test'

import { newFilm } from './new-film.ts'

const film = (typed: Readonly<Record<string, string>>) => newFilm(new Map(Object.entries(typed)))

test('empty fields are left out, blanks at the ends too, numbers are numbers', () => {
  assert.deepEqual(film({ name: '  Ran ', studio: '   ', genre: '', year: '1985', rating: '8.2', runtime_min: '162' }), {
    name: 'Ran',
    year: 1985,
    rating: 8.2,
    runtime_min: 162,
  })
})

test('a number as a name stays text, and what is no number is left for the server to refuse', () => {
  assert.deepEqual(film({ name: '1984', year: 'MCMLXXXIV', rating: '1e1', runtime_min: '0x10' }), {
    name: '1984',
    year: 'MCMLXXXIV',
    rating: '1e1',
    runtime_min: '0x10',
  })
  assert.deepEqual(film({ year: '-5', rating: '1.', runtime_min: '9999999999999999' }), {
    year: -5,
    rating: '1.',
    runtime_min: '9999999999999999',
  })
})
