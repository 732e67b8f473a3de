import assert from 'node:assert/strict'

import { Secret, TOTP } from 'otpauth'

import { type Credentials, type LoggedIn, refresh, send, tryLogin } from './accounts.ts'
import { type Answer, ask, type Ask } from './attack.ts'

type Reached = { readonly port: number }

/** What an authenticator app shows at that time, made by other code than the server's. */
export const codeAt = (secret: string, epochMs: number): string =>
  new TOTP({ algorithm: 'SHA1', digits: 6, period: 30, secret: Secret.fromBase32(secret) }).generate({ timestamp: epochMs })

/** Another code than those of around that time. */
export const wrongCodeAt = (secret: string, epochMs: number): string => {
  const near = new Set([-1, 0, 1].map((step) => codeAt(secret, epochMs + step * 30_000)))
  for (let code = 100_000; ; code++) if (!near.has(String(code))) return String(code)
}

export interface Enrolled {
  /** With the tokens of after it. */
  readonly who: LoggedIn
  readonly secret: string
  readonly recoveryCodes: readonly string[]
}

/** Sets an authenticator app up; the code of now is spent with it. */
export const enrolTotp = async (app: Reached, who: LoggedIn, epochMs: number): Promise<Enrolled> => {
  const offered = await ask(app, { method: 'POST', target: '/v1/me/totp', fields: who.fields })
  assert.equal(offered.status, 200, offered.body)
  const secret = String(offered.json()['secret'])
  const confirmed = await send(app, 'PUT', '/v1/me/totp', { code: codeAt(secret, epochMs) }, { fields: who.fields })
  assert.equal(confirmed.status, 200, confirmed.body)
  return { who: await refresh(app, who), secret, recoveryCodes: confirmed.json()['recovery_codes'] as string[] }
}

/** The first half of a login. */
export const beginLogin = async (app: Reached, credentials: Credentials, more: Pick<Ask, 'fields' | 'from'> = {}): Promise<string> => {
  const answer = await tryLogin(app, credentials, more)
  assert.equal(answer.status, 200, answer.body)
  const { mfa_required: isRequired, mfa_token: token, access_token: accessToken } = answer.json()
  assert.deepEqual([isRequired, accessToken], [true, undefined], answer.body)
  return String(token)
}

/** The second half. */
export const finishLogin = (
  app: Reached,
  token: string,
  method: 'totp' | 'recovery_code' | 'passkey',
  code: unknown,
  more: Pick<Ask, 'fields' | 'from'> = {},
): Promise<Answer> => send(app, 'POST', '/v1/auth/mfa', { mfa_token: token, method, code }, more)

/** What a refusal tells, but for the number of the request. */
export const toldBy = (answer: Answer): unknown => ({ status: answer.status, ...answer.json(), request_id: null })
