import { html, type Html } from '../html.ts'

/** The paragraphs of a text of the description, with the only two marks of CommonMark that these use: strong words and code. */
export const prose = (text: string): readonly Html[] => text.split(/\n{2,}/).map((paragraph) => html`<p>${inline(paragraph)}</p> `)

export const inline = (text: string): readonly Html[] =>
  text.split(/(\*\*[^*]+\*\*|`[^`]+`)/).map((piece, i) => {
    if (i % 2 === 0) return html`${piece}`
    return piece.startsWith('`') ? html`<code>${piece.slice(1, -1)}</code>` : html`<strong>${piece.slice(2, -2)}</strong>`
  })
