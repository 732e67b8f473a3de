import type { ApiDescription } from '../document.ts'
import { hashSource, html, type Html, htmlDocument } from '../html.ts'
import type { PageRules } from '../page-fields.ts'
import { credentialFile } from './curl-line.ts'
import { type Call, operationArticle, type OperationOptions, problemLink, refusalsOf, type Shared, windows } from './operation.ts'
import { prose } from './prose.ts'
import { described, members, schemaId } from './shapes.ts'
import { style } from './style.ts'

/** Nothing but text and this style, named by its hash. */
export const docsPageRules: PageRules = { policy: [`style-src ${hashSource(style)}`] }

/** The whole description on one page, for people. `address` is where the lines for curl find the server. */
export const docsPage = (document: ApiDescription, address: string): string => {
  const calls = callsOf(document)
  const options = { document, address, shared: sharedBy(document, calls) }
  const groups = document.tags.map((tag) => ({ ...tag, calls: calls.filter(({ operation }) => operation.tags[0] === tag.name) }))
  const { title, version } = document.info as unknown as Info
  const body = html`<a class="skip" href="#start">To the text</a>
    <nav aria-label="Contents">
      <p class="wordmark">${title}</p>
      <ul>
        <li><a href="#start">Start</a></li>
        ${groups.map(contents)}
        <li><a href="#shapes">Shapes</a></li>
        <li><a href="#fields">Fields</a></li>
      </ul>
    </nav>
    <main id="start" tabindex="-1">
      <h1>The ${title} API</h1>
      <p class="fine">Version ${version}, for programs as <a href="/openapi.json">OpenAPI</a>.</p>
      ${introduction(options, calls)}${groups.map((group) => chapter(group, options))}${shapes(document)}${fields(document)}
    </main>`
  return htmlDocument({ title: `The ${title} API`, style, body })
}

interface Info {
  readonly title: string
  readonly version: string
  readonly description: string
}

interface Group {
  readonly name: string
  readonly description: string
  readonly calls: readonly Call[]
}

const callsOf = ({ paths }: ApiDescription): Call[] =>
  Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  )

/** What is true of every call is said once. */
const sharedBy = (document: ApiDescription, calls: readonly Call[]): Shared => {
  const codes = calls.map(({ operation }) => new Set(Object.keys(refusalsOf(document, operation))))
  const fieldNames = calls.flatMap(({ operation }) =>
    Object.values(operation.responses).flatMap((given) => ('headers' in given ? [new Set(Object.keys(given.headers))] : [])),
  )
  return { codes: common(codes), fields: common(fieldNames) }
}

const common = (sets: readonly ReadonlySet<string>[]): ReadonlySet<string> => {
  const [first = new Set<string>(), ...others] = sets
  return new Set([...first].filter((one) => others.every((other) => other.has(one))))
}

const groupId = (name: string): string => `group-${name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}`

const contents = ({ name, calls }: Group): Html =>
  html`<li>
    <a href="#${groupId(name)}">${name}</a>
    <ul>
      ${calls.map(({ method, path, operation }) => html`<li><a href="#${operation.operationId}" title="${method} ${path}">${operation.summary}</a></li> `)}
    </ul>
  </li> `

const introduction = ({ document, shared }: OperationOptions, calls: readonly Call[]): Html => {
  const [first] = calls
  const statuses = first === undefined ? {} : refusalsOf(document, first.operation)
  const links = [...shared.codes].map((code, i) => html`${i === 0 ? '' : ', '}${statuses[code] ?? ''}&nbsp;${problemLink(code)}`)
  return html`${prose((document.info as unknown as Info).description)}
    <p><strong>The total.</strong> Everything from one client together: ${windows(first?.operation['x-rate-limit'].total ?? [])}.</p>
    <p><strong>Any call</strong> can be refused with ${links}. What a call is refused with besides stands beside it.</p>
    <p>
      <strong>The lines for curl</strong> read the credentials from a file <code>${credentialFile}</code>, which holds an access token or an
      API key.
    </p> `
}

const chapter = ({ name, description, calls }: Group, options: OperationOptions): Html =>
  html`<section aria-labelledby="${groupId(name)}">
    <h2 id="${groupId(name)}">${name}</h2>
    ${prose(description)}${calls.map((call) => operationArticle(call, options))}
  </section> `

const shapes = ({ components }: ApiDescription): Html =>
  html`<section aria-labelledby="shapes">
    <h2 id="shapes">Shapes</h2>
    ${Object.entries(components.schemas).map(
      ([name, schema]) =>
        html`<article id="${schemaId(name)}">
          <h3>${name}</h3>
          ${prose((schema as { readonly description?: string }).description ?? '')}${schema['properties'] === undefined ? html`<p>${described(schema)}</p> ` : members(schema)}
        </article> `,
    )}
  </section> `

const fields = ({ components }: ApiDescription): Html =>
  html`<section aria-labelledby="fields">
    <h2 id="fields">Fields of answers</h2>
    <dl class="members">
      ${Object.entries(components.headers).map(
        ([name, { description, example }]) =>
          html`<dt><code>${name}</code></dt>
            <dd>
              ${description} <span class="said">For example <code>${String(example)}</code></span>
            </dd> `,
      )}
    </dl>
  </section> `
