import { createHash } from 'node:crypto'

/** Markup, made by `html` alone: what is put into it is text until it is one of these. */
export class Html {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

export type Part = string | number | Html | readonly Part[]

/** A template whose values are escaped for text and for attributes in double quotes; lists are joined. */
export const html = (strings: TemplateStringsArray, ...parts: readonly Part[]): Html =>
  new Html(strings.map((string, i) => (i === 0 ? '' : markup(parts[i - 1] ?? '')) + string).join(''))

const markup = (part: Part): string => {
  if (part instanceof Html) return part.text
  return typeof part === 'object' ? part.map(markup).join('') : escape(String(part))
}

const escape = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;').replaceAll("'", '&#39;')

export const nothing = new Html('')

export interface HtmlDocument {
  readonly title: string
  /** The only style there is; `hashSource` names it to the policy. */
  readonly style: string
  readonly body: Html
}

/** A whole page that needs nothing else: no script, no picture, no font, no other file. */
export const htmlDocument = ({ title, style, body }: HtmlDocument): string =>
  html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title}</title>
        ${new Html(`<style>${style}</style>`)}
      </head>
      <body>
        ${body}
      </body>
    </html>`.text

/** How a policy names an inline style or script (CSP Level 3 section 2.3.1). */
export const hashSource = (content: string): string => `'sha256-${createHash('sha256').update(content).digest('base64')}'`
