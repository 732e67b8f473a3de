import type { ApiDescription, Content, Operation, RateLimit, Reference, Response } from '../document.ts'
import { html, type Html, nothing, type Part } from '../html.ts'
import { curlLine } from './curl-line.ts'
import { inline, prose } from './prose.ts'
import { described } from './shapes.ts'

export interface Call {
  readonly method: string
  readonly path: string
  readonly operation: Operation
}

export interface OperationOptions {
  readonly document: ApiDescription
  /** Where the server is, in the lines for curl. */
  readonly address: string
  /** Problems and fields of every call, said once for all. */
  readonly shared: Shared
}

export interface Shared {
  readonly codes: ReadonlySet<string>
  readonly fields: ReadonlySet<string>
}

/** One call: what it is for, who may make it and how often, what it takes and what it answers. */
export const operationArticle = ({ method, path, operation }: Call, { document, address, shared }: OperationOptions): Html => {
  const { operationId, summary, description, parameters = [], requestBody, responses, security } = operation
  const good = Object.entries(responses).flatMap(([status, given]) =>
    '$ref' in given || status >= '4' ? [] : [{ status, response: given }],
  )
  return html`<article id="${operationId}" aria-labelledby="${operationId}-name">
    <h3 id="${operationId}-name"><span class="method ${method.toLowerCase()}">${method}</span> <code>${path}</code></h3>
    <p class="summary">${summary}</p>
    ${prose(description)}
    <dl class="facts">
      <dt>Access</dt>
      <dd>${access(security)}</dd>
      <dt>Limits</dt>
      <dd>${limits(operation['x-rate-limit'])}</dd>
    </dl>
    <pre><code>${curlLine(address, method, path, operation)}</code></pre>
    ${parameters.length === 0 ? nothing : section('Parameters', parameterList(parameters))}${
      requestBody === undefined ? nothing : section('Body', content(requestBody.content))
    }${section('Answers', html`${good.map((one) => answer(one, shared))}${refusals(document, operation, shared)}`)}
  </article> `
}

const section = (name: string, parts: Part): Html =>
  html`<h4>${name}</h4>
    ${parts}`

const access = (security: Operation['security']): Part => {
  if (security.some((requirement) => Object.keys(requirement).length === 0)) return 'everybody'
  const [permission] = security.flatMap(({ accessToken = [] }) => accessToken)
  const who = security.some(({ apiKey }) => apiKey !== undefined) ? 'a login or an API key' : 'a login; no API key will do'
  return permission === undefined ? who : html`${who}, with the permission <code>${permission}</code>`
}

const limits = ({ anonymous, authenticated }: Operation['x-rate-limit']): Part => {
  if (anonymous.length === 0 && authenticated.length === 0) return 'none of its own; it counts in the total'
  if (JSON.stringify(anonymous) === JSON.stringify(authenticated)) return windows(anonymous)
  return html`without credentials ${windows(anonymous)}; with them ${windows(authenticated)}`
}

const units: readonly (readonly [seconds: number, word: string])[] = [
  [86_400, 'day'],
  [3600, 'hour'],
  [60, 'minute'],
  [1, 'second'],
]

/** Such as "50 per hour, 200 per day over all calls". */
export const windows = (quotas: readonly RateLimit[]): string =>
  [...Map.groupBy(quotas, ({ counted_over: scope }) => scope)]
    .map(([scope, sharing]) => sharing.map(windowText).join(', ') + (scope === 'subject' ? ' over all calls' : ''))
    .join(', and ')

const windowText = ({ limit, window_seconds: seconds }: RateLimit): string => {
  const [length, word] = units.find(([one]) => seconds % one === 0) ?? [1, 'second']
  return `${limit} per ${seconds === length ? word : `${seconds / length} ${word}s`}`
}

const parameterList = (parameters: NonNullable<Operation['parameters']>): Html =>
  html`<dl class="members">
    ${parameters.map(
      ({ name, in: place, required, description, schema }) =>
        html`<dt><code>${name}</code> <span class="fine">in the ${place}${required ? '' : ', optional'}</span></dt>
          <dd>${described(schema)}. <span class="said">${inline(description)}</span></dd> `,
    )}
  </dl> `

const content = (given: Content): Part => {
  const [media] = Object.values(given)
  if (media === undefined) return nothing
  const types = Object.keys(given).map((type, i) => html`${i === 0 ? '' : ' or '}<code>${type}</code>`)
  const examples = Object.entries(given).flatMap(([type, { example }]) => (example === undefined ? [] : [{ type, example }]))
  return html`<p class="shape">${types}: ${described(media.schema)}</p>
    ${examples.map(
      ({ type, example }) =>
        html`<details>
          <summary>Example${examples.length > 1 ? html` of ${type}` : nothing}</summary>
          <pre><code>${JSON.stringify(example, null, 2)}</code></pre>
        </details> `,
    )}`
}

const answer = ({ status, response }: { readonly status: string; readonly response: Response }, { fields }: Shared): Html => {
  const own = Object.keys(response.headers).filter((name) => !fields.has(name))
  return html`<p>
      <strong>${status}</strong> ${inline(response.description)}${
        own.length === 0 ? nothing : html` <span class="fine">With ${own.join(', ')}.</span>`
      }
    </p>
    ${response.content === undefined ? nothing : content(response.content)}`
}

/** Those that not every call has. */
const refusals = (document: ApiDescription, operation: Operation, { codes }: Shared): Html => {
  const own = Object.entries(refusalsOf(document, operation)).flatMap(([code, status]) => (codes.has(code) ? [] : [{ code, status }]))
  return own.length === 0
    ? nothing
    : html`<p class="fine">
        Refused with ${own.map(({ code, status }, i) => html`${i === 0 ? '' : ', '}${status}&nbsp;${problemLink(code)}`)}.
      </p> `
}

export const problemLink = (code: string): Html => html`<a href="/problems/${code}"><code>${code}</code></a>`

/** The status of each problem that the call can answer with. */
export const refusalsOf = (document: ApiDescription, { responses }: Operation): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(responses)
      .filter(([status]) => status >= '4')
      .flatMap(([status, given]) => codesOf(document, given).map((code) => [code, status])),
  )

const codesOf = (document: ApiDescription, given: Response | Reference): string[] => {
  const response = '$ref' in given ? document.components.responses[given.$ref.split('/').at(-1) ?? ''] : given
  if (response?.content === undefined) return (response?.description ?? '').match(/^\w+(?=: )/gm) ?? []
  return Object.values(response.content).flatMap(({ examples = {} }) => Object.keys(examples))
}
