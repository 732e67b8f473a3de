import type { LoggedIn } from './accounts.ts'
import { type Answer, type Ask, ask } from './attack.ts'
import type { TestServer } from './server.ts'

/** A request, or what makes one when it is time. */
export type Call = readonly [status: number, request: Ask | (() => Promise<Ask>)]
export type Calls = Readonly<Record<string, readonly Call[]>>

/** Who there is on a server whose registration is open, and whose moderators need a second factor. */
export interface Scene {
  readonly server: TestServer
  /** Logged in just now. */
  readonly admin: () => LoggedIn
  /** Somebody whom nobody else knows. */
  readonly newcomer: (role?: 'viewer' | 'editor' | 'moderator') => Promise<LoggedIn>
  /** Fields with an API key of an admin, with all scopes. */
  readonly adminKey: Readonly<Record<string, string>>
}

export const json = (body: unknown, fields: Ask['fields'] = {}): Ask => ({
  fields: { 'Content-Type': 'application/json', ...fields },
  body: JSON.stringify(body),
})

export const own = { Origin: 'http://localhost', 'Sec-Fetch-Site': 'same-origin' } as const
export const foreign = { Origin: 'https://other.example', 'Sec-Fetch-Site': 'cross-site' } as const
/** Passkeys have no name to be bound to there. */
export const byAddress = { Host: '127.0.0.1' } as const
export const nobody = 'u7h2kq5zt3m4wxyabcde6'
export const unknownToken = (kind: string): string => `${kind}_${'A'.repeat(43)}`
export const cookie = (token: string): string => `__Host-filmgate_session=${token}`
export const password = 'seven kestrels over the marsh'

/** The refresh token of a session of a browser. */
export const browserToken = async ({ server, newcomer }: Scene): Promise<string> => {
  const answer = await tryBrowser(server, await newcomer())
  return /__Host-filmgate_session=([^;]+)/.exec(answer.field('set-cookie') ?? '')?.[1] ?? ''
}

export const tryBrowser = (server: TestServer, { username }: LoggedIn): Promise<Answer> =>
  ask(server, { method: 'POST', target: '/v1/auth/login', ...json({ username, password, browser: true }, own) })

export const asSelf = (target: string, { fields }: LoggedIn): Ask => ({ target, fields })
