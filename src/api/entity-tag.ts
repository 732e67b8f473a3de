import { createHash } from 'node:crypto'

/** A strong validator over a representation (RFC 9110 section 8.8.3). */
export const entityTag = (content: string | Buffer): string => `"${createHash('sha256').update(content).digest('base64url').slice(0, 22)}"`

/** Whether the client already has it. If-None-Match compares weakly (RFC 9110 section 13.1.2). */
export const matchesTag = (field: string | undefined, tag: string): boolean =>
  field !== undefined && (field.trim() === '*' || field.split(',', 50).some((one) => one.trim().replace(/^W\//, '') === tag))
