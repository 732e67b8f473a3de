import { Problem } from '../../core/errors.ts'
import type { JournalEntry } from '../../layers/index.ts'
import { parseTimestamp } from '../timestamp.ts'
import type { EventQuery } from './event-schema.ts'
import { readClient } from './targets.ts'

/** Which entries a query asks for. Throws validation_failed. */
export const readFilters = ({ event, client, request_id: requestId, since }: EventQuery): ((entry: JournalEntry) => boolean) => {
  const prefix = client === undefined ? undefined : readClient(client)
  if (typeof prefix === 'string') throw invalid('/query/client', prefix)
  const sinceMs = since === undefined ? undefined : parseTimestamp(since)
  if (since !== undefined && sinceMs === undefined) throw invalid('/query/since', 'is no day of the calendar')
  return ({ at, entry, ...names }) =>
    (event === undefined || entry.event === event) &&
    (prefix === undefined || names.client === prefix.target) &&
    (requestId === undefined || names.requestId === requestId) &&
    (sinceMs === undefined || at >= sinceMs)
}

const invalid = (pointer: string, detail: string): Problem =>
  new Problem('validation_failed', { detail: 'The request is not valid.', errors: [{ pointer, detail }] })
