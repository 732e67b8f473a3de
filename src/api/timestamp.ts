import Type from 'typebox'

const pattern = String.raw`^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,3})?(Z|[+-]\d{2}:\d{2})$`
const shape = new RegExp(pattern)

/** A moment in an answer or a body: RFC 3339, in answers in UTC with milliseconds. */
export const Timestamp = (description: string) => Type.String({ pattern, description, examples: ['2027-01-31T12:00:00.000Z'] })

/** The same, or null. */
export const NullableTimestamp = (description: string) =>
  Type.Unsafe<string | null>({ type: ['string', 'null'], pattern, description, examples: ['2027-01-31T12:00:00.000Z'] })

export const formatTimestamp = (epochMs: number): string => new Date(epochMs).toISOString()

export const formatNullable = (epochMs: number | null): string | null => (epochMs === null ? null : formatTimestamp(epochMs))

/** Epoch milliseconds; undefined for what is no moment, such as the 30th of February, which `Date` would take as the 2nd of March. */
export const parseTimestamp = (text: string): number | undefined => {
  if (!shape.test(text)) return undefined
  const date = text.slice(0, 10)
  const day = Date.parse(`${date}T00:00:00Z`)
  const epochMs = Date.parse(text)
  if (Number.isNaN(day) || Number.isNaN(epochMs) || new Date(day).toISOString().slice(0, 10) !== date) return undefined
  return epochMs
}
