import assert from 'node:assert/strict'

import { type Credentials, goodPassword, type LoggedIn, logIn, refresh, send } from './accounts.ts'
import { type Answer, ask } from './attack.ts'
import { type Authenticator, createAuthenticator, type Misbehaviour } from './authenticator.ts'
import type { DatabaseKind, OpenDatabase } from './databases.ts'
import { type LoginApp, type LoginAppOptions, openLoginApp } from './login-app.ts'
import { createManualClock, type ManualClock } from './manual-clock.ts'
import { codeAt, type Enrolled, enrolTotp } from './second-factor.ts'

export const ada: Credentials = { username: 'ada', password: goodPassword }
export const grace: Credentials = { username: 'grace', password: goodPassword }

/** Of the page that asks for passkeys: what Host calls the server in these tests. */
export const origin = 'http://localhost'

/** Of the right shape, and nobody's. */
export const anyPasskey = {
  name: 'x',
  credential: {
    id: 'AAAA',
    rawId: 'AAAA',
    type: 'public-key',
    response: { clientDataJSON: 'e30', attestationObject: 'oA', authenticatorData: 'AA', signature: 'AA' },
  },
}

export type Fields = Readonly<Record<string, string>>

/** Logins with second factors on a database of their own, with the clock in the hands of the test. */
export interface FactorScene extends AsyncDisposable {
  readonly app: LoginApp
  readonly clock: ManualClock
  readonly opened: OpenDatabase
  /** Adds an account and logs in. */
  user(username?: string): Promise<LoggedIn>
  /** The same, sets up an authenticator app, and waits for its next code. */
  enrolled(username?: string): Promise<Enrolled>
  /** The same with a passkey. */
  withPasskey(username?: string): Promise<WithPasskey>
  /** What the app shows now. */
  codeNow(secret: string): string
}

export interface WithPasskey {
  readonly authenticator: Authenticator
  readonly who: LoggedIn
  readonly answer: Answer
}

export const openFactorScene = async (kind: DatabaseKind, options: Partial<LoginAppOptions> = {}): Promise<FactorScene> => {
  const opened = await kind.open()
  const clock = createManualClock(1_800_000_000_000)
  const app = await openLoginApp({ database: opened.database, clock, loginFailures: '1000 per hour', ...options })
  const user = async (username = 'ada'): Promise<LoggedIn> => {
    await app.addAccount(username)
    return logIn(app, { username, password: goodPassword })
  }
  return {
    app,
    clock,
    opened,
    user,
    enrolled: async (username) => {
      const done = await enrolTotp(app, await user(username), clock.epochMs())
      clock.advance(30_000)
      return done
    },
    withPasskey: async (username) => {
      const authenticator = createAuthenticator({ origin })
      return { authenticator, ...(await registered(app, await user(username), authenticator)) }
    },
    codeNow: (secret) => codeAt(secret, clock.epochMs()),
    [Symbol.asyncDispose]: async () => {
      await app[Symbol.asyncDispose]()
      await opened[Symbol.asyncDispose]()
    },
  }
}

/** A refusal of that kind. The app of these tests has no security headers: what else a refusal must be is tested elsewhere. */
export const assertRefused = (answer: Answer, status: number, code: string, pointer?: string): void => {
  assert.equal(answer.status, status, answer.body)
  const { code: told, errors = [] } = answer.json()
  assert.equal(told, code, answer.body)
  const pointers = (errors as { pointer: string }[]).map((error) => error.pointer)
  if (pointer !== undefined) assert.deepEqual(pointers, [pointer])
}

export const assertUnauthenticated = (answer: Answer): void => assertRefused(answer, 401, 'unauthenticated')

export const statuses = (answers: readonly Answer[]): number[] => answers.map(({ status }) => status).toSorted((a, b) => a - b)

export const meTotp = (app: LoginApp, { fields }: Pick<LoggedIn, 'fields'>, method = 'GET'): Promise<Answer> =>
  ask(app, { method, target: '/v1/me/totp', fields })

export const creationOptions = (app: LoginApp, { fields }: Pick<LoggedIn, 'fields'>): Promise<Answer> =>
  ask(app, { method: 'POST', target: '/v1/me/passkeys/options', fields })

export const addPasskey = (app: LoginApp, { fields }: Pick<LoggedIn, 'fields'>, credential: unknown, name = 'My laptop'): Promise<Answer> =>
  send(app, 'POST', '/v1/me/passkeys', { name, credential }, { fields })

export const passkeysOf = async (app: LoginApp, { fields }: Pick<LoggedIn, 'fields'>): Promise<Readonly<Record<string, unknown>>[]> =>
  (await ask(app, { target: '/v1/me/passkeys', fields })).json()['items'] as Readonly<Record<string, unknown>>[]

export const removePasskey = (app: LoginApp, { fields }: Pick<LoggedIn, 'fields'>, id: unknown): Promise<Answer> =>
  ask(app, { method: 'DELETE', target: `/v1/me/passkeys/${String(id)}`, fields })

/** Adds a passkey for real; with the tokens of after it. */
export const registered = async (app: LoginApp, who: LoggedIn, authenticator: Authenticator, name?: string) => {
  const options = (await creationOptions(app, who)).json()
  const answer = await addPasskey(app, who, authenticator.create(options), name)
  assert.equal(answer.status, 201, answer.body)
  return { who: await refresh(app, who), answer }
}

export const loginOptions = async (app: LoginApp, mfaToken?: string, fields: Fields = {}): Promise<Readonly<Record<string, unknown>>> => {
  const body = mfaToken === undefined ? {} : { mfa_token: mfaToken }
  const answer = await send(app, 'POST', '/v1/auth/passkey/options', body, { fields })
  assert.equal(answer.status, 200, answer.body)
  return answer.json()
}

export const verifyPasskey = (app: LoginApp, credential: unknown, fields: Fields = {}): Promise<Answer> =>
  send(app, 'POST', '/v1/auth/passkey/verify', { credential }, { fields })

/** A whole login with a passkey. */
export const logInWith = async (app: LoginApp, authenticator: Authenticator, wrong: Misbehaviour = {}): Promise<Answer> =>
  verifyPasskey(app, authenticator.get(await loginOptions(app), wrong))
