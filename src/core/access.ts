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

const viewer: readonly Permission[] = ['films:read', 'votes:write']
const editor: readonly Permission[] = [...viewer, 'films:write']
const moderator: readonly Permission[] = [...editor, 'films:delete', 'security:read']

const rolePermissions = {
  viewer: new Set(viewer),
  editor: new Set(editor),
  moderator: new Set(moderator),
  admin: new Set(permissions),
} as const satisfies Record<string, ReadonlySet<Permission>>

export type Role = keyof typeof rolePermissions

/** From the least to the most. */
export const roles = Object.keys(rolePermissions) as readonly Role[]

export const isRole = (value: unknown): value is Role => typeof value === 'string' && Object.hasOwn(rolePermissions, value)

export const permissionsOf = (role: Role): ReadonlySet<Permission> => rolePermissions[role]

const none: ReadonlySet<Permission> = new Set()

/** What a role may do by a proof of that strength: nothing of its own where it must have a second factor and had none. */
export const effectivePermissions = (role: Role, { mfa, mfaRequired }: { mfa: boolean; mfaRequired: boolean }): ReadonlySet<Permission> =>
  mfaRequired && !mfa ? none : permissionsOf(role)

export const allPermissions: readonly Permission[] = permissions
