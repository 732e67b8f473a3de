import type { AuditRow } from './chain.ts'
import type { Entry } from './schema.ts'

/** A row as people and programs see it. */
export const toEntry = ({ seq, at, actor, action, target, details, request_id, client }: AuditRow): Entry => ({
  seq,
  at: timeText(at),
  actor,
  action,
  target,
  details: parseDetails(details),
  request_id,
  client,
})

/** What somebody wrote past the program must not keep the rest of the trail from being read. */
const timeText = (at: number): string => (Math.abs(at) <= 8.64e15 ? new Date(at).toISOString() : String(at))

const parseDetails = (text: string): Entry['details'] => {
  try {
    const details: unknown = JSON.parse(text)
    if (typeof details === 'object' && details !== null && !Array.isArray(details) && Object.values(details).every(isPlain))
      return details as Entry['details']
  } catch {
    // Told like any other that is none of ours.
  }
  return { unreadable: true }
}

/** Of all else the answer to somebody who reads the trail could not be made. */
const isPlain = (value: unknown): boolean => typeof value !== 'object' || value === null
