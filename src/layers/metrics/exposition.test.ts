import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { parseMetrics } from '../../../test/support/metrics-text.ts'
import { formatFamily, formatLabels, formatValue, sample } from './exposition.ts'
import { createCounters, createHistograms, createReading } from './families.ts'

const labels = fc.dictionary(fc.stringMatching(/^[a-z][a-z_]{0,8}$/), fc.string({ unit: 'binary' }), { minKeys: 1, maxKeys: 3 })

test('whatever a label holds (quotes, line feeds, backslashes), it is read back as it was', () => {
  fc.assert(
    fc.property(labels, fc.double({ noNaN: true }), (given, value) => {
      const text = formatFamily({
        name: 'a_b',
        help: 'of a\nb\\c',
        type: 'gauge',
        samples: () => sample('a_b', formatLabels(given), value),
      })
      assert.equal(text.split('\n').length, 4, 'three lines')
      const [read] = parseMetrics(text.replace(' -Inf\n', ' -Infinity\n')).samples
      // Labels have no order.
      assert.deepEqual({ ...read?.labels }, { ...given })
      assert.ok(read?.value === value, `${read?.value} for ${value}`)
    }),
  )
})

test('what is no number has the names that Prometheus knows', () => {
  assert.deepEqual([NaN, Infinity, -Infinity, 1e21, 0].map(formatValue), ['NaN', '+Inf', '-Inf', '1e+21', '0'])
})

test('a histogram counts what a naive one counts, whatever comes', () => {
  const bounds = [0.005, 0.01, 1, 10]
  const seconds = fc.array(fc.oneof(fc.double({ min: 0, max: 20, noNaN: true }), fc.constantFrom(...bounds)), { maxLength: 50 })
  fc.assert(
    fc.property(seconds, (values) => {
      const family = createHistograms({ name: 'h_seconds', help: 'h', bounds })
      for (const value of values) family.of({ a: 'b' }).observe(value)
      if (values.length === 0) family.of({ a: 'b' })
      const read = parseMetrics(formatFamily(family))
      for (const bound of bounds)
        assert.equal(read.value('h_seconds_bucket', { a: 'b', le: String(bound) }), values.filter((value) => value <= bound).length)
      assert.equal(read.value('h_seconds_bucket', { a: 'b', le: '+Inf' }), values.length)
      assert.equal(read.value('h_seconds_count', { a: 'b' }), values.length)
      assert.equal(
        read.value('h_seconds_sum', { a: 'b' }),
        values.reduce((sum, value) => sum + value, 0),
      )
    }),
  )
})

test('the same labels are the same series, and a reading of nothing is no sample', () => {
  const family = createCounters({ name: 'c_total', help: 'c' })
  family.of({ a: '1' }).value++
  family.of({ a: '1' }).value++
  family.of({ a: '2' }).value++
  assert.equal(family.samples(), 'c_total{a="1"} 2\nc_total{a="2"} 1\n')
  assert.equal(createReading({ name: 'g', help: 'g', type: 'gauge' }, () => undefined).samples(), '')
  assert.equal(createReading({ name: 'g', help: 'g', type: 'gauge' }, () => 3).samples(), 'g 3\n')
})
