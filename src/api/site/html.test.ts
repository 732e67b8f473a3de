import assert from 'node:assert/strict'
import { test } from 'node:test'

import fc from 'fast-check'

import { html } from './html.ts'

const unescaped = (text: string): string =>
  text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&quot;', '"').replaceAll('&#39;', "'").replaceAll('&amp;', '&')

test('whatever the text is, it stays text: in an element and in an attribute', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const made = html`<p title="${text}">${text}</p>`.text
      const [, attribute = '', content = ''] = /^<p title="([^"<>']*)">([^"<>']*)<\/p>$/.exec(made) ?? assert.fail(made)
      assert.deepEqual([unescaped(attribute), unescaped(content)], [text, text])
    }),
  )
})

const word = (text: string) => html`<b>${text}</b>`

test('markup that was made here goes in as it is, alone and in lists; what only looks like it does not', () => {
  assert.equal(html`<i>${['<', '&'].map(word)}</i>`.text, '<i><b>&lt;</b><b>&amp;</b></i>')
  assert.equal(html`${[['<b>', 1], word('x')]}`.text, '&lt;b&gt;1<b>x</b>')
  const forged = JSON.parse('[{"text":"<script>"}]') as string[]
  assert.throws(() => html`${forged}`, TypeError)
})
