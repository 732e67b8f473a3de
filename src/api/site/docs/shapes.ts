import { html, type Html, nothing, type Part } from '../html.ts'
import type { Reference, Schema } from '../document.ts'
import { inline } from './prose.ts'

/** The keywords of JSON Schema that schemas of this API use. */
interface Keywords {
  readonly $ref?: string
  readonly type?: string | readonly string[]
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly anyOf?: readonly Schema[]
  readonly allOf?: readonly Schema[]
  readonly items?: Schema
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly description?: string
}

/** What a value looks like: its type in words, with a list of its members where it has no name of its own. */
const shape = (schema: Schema | Reference): Html => {
  const { $ref, anyOf, allOf, items, properties, type } = schema as Keywords
  if ($ref !== undefined) return named($ref)
  if (anyOf !== undefined) return joined(anyOf.map(shape), ' or ')
  if (allOf !== undefined) return joined(allOf.map(shape), ' and ')
  if (items !== undefined) return html`list of ${shape(items)}${bounds(schema)}`
  if (properties !== undefined) return html`object${members(schema as Schema)}`
  return html`${literals(schema) ?? [type ?? 'any value'].flat().join(' or ')}${bounds(schema)}`
}

/** Of an object: every member with what it is. */
export const members = (schema: Schema): Html => {
  const { properties = {}, required = [] } = schema as Keywords
  const rows = Object.entries(properties).map(
    ([name, one]) =>
      html`<dt><code>${name}</code>${required.includes(name) ? nothing : html` <span class="fine">optional</span>`}</dt>
        <dd>${described(one)}</dd> `,
  )
  return html`<dl class="members">${rows}</dl> `
}

/** Its shape and what is said of it. */
export const described = (schema: Schema | Reference): Html => {
  const { description } = schema as Keywords
  return html`${shape(schema)}${description === undefined ? nothing : html`. <span class="said">${inline(description)}</span>`}`
}

export const schemaId = (name: string): string => `schema-${name}`

const named = ($ref: string): Html => {
  const name = $ref.split('/').at(-1) ?? ''
  return html`<a href="#${schemaId(name)}">${name}</a>`
}

const literals = ({ const: only, enum: several }: Keywords): Part | undefined => {
  const values = only === undefined ? several : [only]
  return (
    values &&
    joined(
      values.map((value) => html`<code>${JSON.stringify(value)}</code>`),
      ' or ',
    )
  )
}

const joined = (parts: readonly Html[], between: string): Html =>
  html`${parts.map((part, i) => (i === 0 ? part : html`${between}${part}`))}`

/** What narrows a type, from the least to the most. */
const ranges = [
  ['minLength', 'maxLength', ' characters'],
  ['minimum', 'maximum', ''],
  ['minItems', 'maxItems', ' entries'],
] as const

const bounds = (schema: object): Part => {
  const of = (keyword: string) => (schema as Readonly<Record<string, number | undefined>>)[keyword]
  const spans = ranges.flatMap(([least, most, noun]) => {
    const [from, to] = [of(least), of(most)]
    if (from !== undefined && to !== undefined) return [html`, ${from} to ${to}${noun}`]
    return from === undefined ? (to === undefined ? [] : [html`, at most ${to}${noun}`]) : [html`, at least ${from}${noun}`]
  })
  const { format, pattern, writeOnly } = schema as { readonly format?: string; readonly pattern?: string; readonly writeOnly?: boolean }
  return [
    ...(format === undefined ? [] : [html`, ${format}`]),
    ...spans,
    ...(pattern === undefined ? [] : [html`, like <code>${pattern}</code>`]),
    ...(writeOnly === true ? [', never answered'] : []),
  ]
}
