import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { type BareItem, parseList } from './structured-fields.ts'

const plain = (text: string) => parseList(text)?.map(({ value, parameters }) => [value, Object.fromEntries(parameters)])

test('items with parameters, in their order', () => {
  assert.deepEqual(plain('"day";r=12;t=840, "hour";r=3'), [
    ['day', { r: 12, t: 840 }],
    ['hour', { r: 3 }],
  ])
  assert.deepEqual(plain('  a;x;y=?0;z="q\\"\\\\" ,\t-1.5  '), [
    ['a', { x: true, y: false, z: 'q"\\' }],
    [-1.5, {}],
  ])
  assert.deepEqual(plain('1;a=1;a=2'), [[1, { a: 2 }]], 'the last of two parameters of one name counts')
  assert.deepEqual(plain('@1659578233, :aGk=:, %"%c3%bc"'), [
    [1659578233, {}],
    ['aGk=', {}],
    ['ü', {}],
  ])
  assert.deepEqual(plain(''), [])
})

test('what is wrong anywhere is no list at all', () => {
  const wrong =
    `"day|"day";|"day";R=1|"day";r=|"day" ;r=1|"day",|,"day"|"day" "hour"|("a" "b")|"ä"|"a\\b"|1.|.5|1.2345|1234567890123456|1.5.5|--1|"a"\n|\t1|%"%C3"|%"%ff"|?2|=|"a";r=1;;t=2|@1.5|1e3`.split(
      '|',
    )
  for (const text of wrong) assert.equal(parseList(text), undefined, text)
})

const string = fc.string({ unit: fc.constantFrom(...' !"#abcXYZ019;=,\\~[]{}'.split('')) })
const bareItem = fc.oneof(string, fc.integer({ min: -999_999_999_999_999, max: 999_999_999_999_999 }), fc.boolean())
const name = fc.stringMatching(/^[a-z*][a-z0-9_.*-]{0,9}$/)

const written = (value: BareItem): string => {
  if (typeof value === 'string') return `"${value.replaceAll(/["\\]/g, String.raw`\$&`)}"`
  return typeof value === 'number' ? String(value) : `?${Number(value)}`
}

test('whatever is written by the rules is read back', () => {
  const lists = fc.array(fc.tuple(bareItem, fc.uniqueArray(fc.tuple(name, bareItem), { selector: ([key]) => key, maxLength: 4 })))
  fc.assert(
    fc.property(lists, fc.constantFrom(',', ', ', '\t,\t '), (list, comma) => {
      const text = list.map(([value, pairs]) => written(value) + pairs.map(([key, one]) => `;${key}=${written(one)}`).join('')).join(comma)
      assert.deepEqual(
        parseList(text)?.map(({ value, parameters }) => [value, [...parameters]]),
        list,
      )
    }),
  )
})

test('no text makes it throw', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => void parseList(text)))
  fc.assert(fc.property(fc.string({ unit: fc.constantFrom(...'";=,.1a?@%:( )\\-\t '.split('')) }), (text) => void parseList(text)))
})
