import { type Permission, permissionsOf, type Role, roles as allRoles } from '../../core/access.ts'
import type { Principal } from '../../core/request.ts'
import { externalSubject } from '../../credentials/ids.ts'
import { leewaySeconds, type VerifiedClaims } from './issuer-token.ts'

/** Where the roles are, and what each of them is here. */
export interface RoleMapping {
  readonly url: string
  readonly roleClaim: string
  readonly roles: Readonly<Record<string, Role>>
}

/**
 * Who that is: issuer and subject together, for two issuers may give one name to two people, and never an account of that username or
 * e-mail address here, which whoever registers there could choose (OpenID Connect Core 1.0 section 5.7).
 */
export const principalOf = (claims: VerifiedClaims, issuer: RoleMapping, nowMs: number): Principal => {
  const role = roleOf(claims, issuer)
  const authenticatedAt = loginOf(claims, nowMs)
  return {
    subject: externalSubject(issuer.url, claims.sub),
    credential: `issuer:${issuer.url}`,
    permissions: role === undefined ? noPermissions : permissionsOf(role),
    ...(role === undefined ? {} : { role }),
    ...(authenticatedAt === undefined ? {} : { authenticatedAt }),
  }
}

/** Where the clock of an issuer is ahead, the login of this moment is yet to come, and would be none for as long as the token is remembered. */
const loginOf = ({ auth_time: seconds }: VerifiedClaims, nowMs: number): number | undefined => {
  if (typeof seconds !== 'number' || !(seconds > 0) || seconds * 1000 > nowMs + leewaySeconds * 1000) return undefined
  return Math.min(seconds * 1000, nowMs)
}

const noPermissions: ReadonlySet<Permission> = new Set()

/** The highest of the roles that somebody has; what the configuration does not name counts for nothing. */
const roleOf = (claims: VerifiedClaims, { roleClaim, roles }: RoleMapping): Role | undefined => {
  const mapped = new Set(namesAt(claims, roleClaim).map((name) => (Object.hasOwn(roles, name) ? roles[name] : undefined)))
  return allRoles.findLast((role) => mapped.has(role))
}

/** More than any issuer gives to one person. */
const maxNames = 1000

/**
 * The names in a claim, a list of strings or one string. `realm_access.roles` is the member `roles` of the claim `realm_access`; a name
 * with `://` in it is one name, dots and all, for that is how issuers keep theirs apart. `scope` and `scp` are words between spaces
 * where they are one string (RFC 8693 section 4.2).
 */
export const namesAt = (claims: Readonly<Record<string, unknown>>, path: string): readonly string[] => {
  const members = path.includes('://') ? [path] : path.split('.')
  let value: unknown = claims
  for (const member of members) {
    if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, member)) return []
    value = (value as Readonly<Record<string, unknown>>)[member]
  }
  if (typeof value === 'string') return ['scope', 'scp'].includes(members.at(-1) ?? '') ? value.split(' ') : [value]
  return Array.isArray(value) ? value.slice(0, maxNames).filter((name): name is string => typeof name === 'string') : []
}
