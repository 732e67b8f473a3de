import { type ProblemCode, problemKinds } from '../../core/errors.ts'
import { hashSource, html, htmlDocument, nothing } from './html.ts'
import type { PageRules } from './page-fields.ts'
import { exampleProblem, problemTexts } from './problem-texts.ts'

/** The only thing on the pages beside text; the policy below names it by its hash, so nothing else could be smuggled in. */
const style = `
:root { color-scheme: light dark } body { background: Canvas; color: CanvasText; max-width: 42rem; margin: 3rem auto; padding: 0 1rem; font: 1rem/1.6 system-ui, sans-serif }
h1 { line-height: 1.25 } code, pre { font-family: ui-monospace, monospace; font-size: .9em }
pre { padding: 1rem; overflow-x: auto; border: 1px solid; border-radius: .5rem } nav { margin-top: 3rem }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1rem; padding: 0; list-style: none }`

export const problemPageRules: PageRules = { policy: [`style-src ${hashSource(style)}`] }

const codes = Object.keys(problemKinds) as ProblemCode[]

/** The page of a problem code: what it means, what to do, an example. No scripts, nothing external. */
export const problemPage = (code: ProblemCode): string => {
  const { status, title, type } = problemKinds[code]
  const { means, steps } = problemTexts[code]
  const registered = type === undefined ? nothing : html`<p>Its type is registered: <a href="${type}">${type}</a></p> `
  const body = html`<main>
      <h1>${title}</h1>
      <p>Status <strong>${status}</strong>, code <code>${code}</code></p>
      ${registered}
      <h2>What it means</h2>
      <p>${means}</p>
      <h2>What to do</h2>
      <ul>
        ${steps.map((step) => html`<li>${step}</li> `)}
      </ul>
      <h2>An example</h2>
      <pre tabindex="0"><code>${JSON.stringify(exampleProblem(code), null, 2)}</code></pre>
    </main>
    <nav aria-label="All problems">
      <h2>All problems</h2>
      <ul>
        ${codes.map((one) => html`<li><a href="/problems/${one}" ${one === code ? html` aria-current="page"` : nothing}>${one}</a></li> `)}
      </ul>
    </nav>`
  return htmlDocument({ title: `${title} (${status} ${code})`, style, body })
}
