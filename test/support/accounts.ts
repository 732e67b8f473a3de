import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import type { Role } from '../../src/core/access.ts'
import { type Answer, type Ask, ask } from './attack.ts'
import type { TestServer } from './server.ts'

type Reached = Pick<TestServer, 'port'>

/** Long enough, and in no list. */
export const goodPassword = 'seven kestrels over the marsh'
export const otherPassword = 'eleven herons by the old weir'

export interface Credentials {
  readonly username: string
  readonly password: string
}

/** Somebody with a session. */
export interface LoggedIn extends Credentials {
  /** The account's, read from the access token. */
  readonly subject: string
  /** The session's. */
  readonly sid: string
  readonly accessToken: string
  readonly refreshToken: string
  /** The fields of a request with the access token. */
  readonly fields: Readonly<Record<string, string>>
}

export const bearer = (token: string): Readonly<Record<string, string>> => ({ Authorization: `Bearer ${token}` })

/** One request with a JSON body. */
export const send = (
  server: Reached,
  method: string,
  target: string,
  body: unknown,
  more: Pick<Ask, 'fields' | 'from' | 'timeoutMs'> = {},
): Promise<Answer> =>
  ask(server, {
    ...more,
    method,
    target,
    fields: { 'Content-Type': 'application/json', ...more.fields },
    body: JSON.stringify(body),
  })

export const claimCode = ({ dataDir }: Pick<TestServer, 'dataDir'>): string => readFileSync(join(dataDir, 'claim.code'), 'utf8').trim()

/** The first admin of a new server. */
export const claimAdmin = async (server: Pick<TestServer, 'port' | 'dataDir'>, username = 'ada'): Promise<LoggedIn> => {
  const credentials = { username, password: goodPassword }
  return loggedIn(credentials, await send(server, 'POST', '/v1/auth/claim', { code: claimCode(server), ...credentials }))
}

/** Adds an account as an admin, and logs in to it. */
export const addUser = async (server: Reached, admin: LoggedIn, role: Role, username: string = `${role}-one`): Promise<LoggedIn> => {
  const credentials = { username, password: goodPassword }
  const added = await send(server, 'POST', '/v1/users', { ...credentials, role }, { fields: admin.fields })
  assert.equal(added.status, 201, added.body)
  return logIn(server, credentials)
}

export const tryLogin = (
  server: Reached,
  { username, password }: Credentials,
  more: Pick<Ask, 'fields' | 'from' | 'timeoutMs'> = {},
): Promise<Answer> => send(server, 'POST', '/v1/auth/login', { username, password }, more)

export const logIn = async (server: Reached, { username, password }: Credentials, more: Pick<Ask, 'from'> = {}): Promise<LoggedIn> =>
  loggedIn({ username, password }, await tryLogin(server, { username, password }, more))

export const tryRefresh = (server: Reached, refreshToken: string): Promise<Answer> =>
  send(server, 'POST', '/v1/auth/refresh', { refresh_token: refreshToken })

/** The same session with its next tokens. */
export const refresh = async (server: Reached, { username, password, refreshToken }: LoggedIn): Promise<LoggedIn> =>
  loggedIn({ username, password }, await tryRefresh(server, refreshToken))

/** Of an access token, unverified. */
export const claimsOf = (accessToken: string): Readonly<Record<string, unknown>> =>
  JSON.parse(Buffer.from(accessToken.split('.')[1] ?? '', 'base64url').toString('utf8')) as Record<string, unknown>

/** What an answer with tokens says; fails for any other. */
export const loggedIn = (credentials: Credentials, answer: Answer): LoggedIn => {
  assert.ok(answer.status === 200 || answer.status === 201, answer.body)
  const { access_token: accessToken, refresh_token: refreshToken } = answer.json()
  assert.ok(typeof accessToken === 'string' && typeof refreshToken === 'string', 'the answer has no tokens')
  const { sub, sid } = claimsOf(accessToken)
  assert.ok(typeof sub === 'string' && typeof sid === 'string')
  return { ...credentials, subject: sub, sid, accessToken, refreshToken, fields: bearer(accessToken) }
}

export const listSessions = (server: Reached, { fields }: Pick<LoggedIn, 'fields'>, query = ''): Promise<Answer> =>
  ask(server, { target: `/v1/auth/sessions${query}`, fields })

export const logOut = (server: Reached, body: unknown, fields: Readonly<Record<string, string>> = {}): Promise<Answer> =>
  send(server, 'POST', '/v1/auth/logout', body, { fields })

/** Neither of the tokens is good. */
export const assertEnded = async (server: Reached, who: LoggedIn): Promise<void> => {
  assert.equal((await listSessions(server, who)).status, 401)
  assert.equal((await tryRefresh(server, who.refreshToken)).status, 401)
}
