/** Who may do what: the one table of roles and permissions. */

const permissions = [
  'films:read',
  'films:write',
  'films:delete',
  'votes:write',
  'users:read',
  'users:write',
  'security:read',
  'security:write',
  'ops:read',
] as const

export type Permission = (typeof permissions)[number]

/** What a route demands: nobody in particular, anybody who is known, or one permission. */
export type Access = 'public' | 'authenticated' | Permission

const accessWords: ReadonlySet<unknown> = new Set<Access>(['public', 'authenticated', ...permissions])

export const isAccess = (value: unknown): value is Access => accessWords.has(value)

export const isPermission = (value: unknown): value is Permission => (permissions as readonly unknown[]).includes(value)
