/**
 * The calls of accounts in an order in which each succeeds: an admin logs in and adds an account, everything that could hurt is done to that
 * one, and in the end it removes itself. What is in no step is sampled by its description alone.
 */
export interface Step {
  readonly operationId: string
  /** Where the same call comes once more. */
  readonly name?: string
  /** Instead of the one of its tag, where it is needed in the middle of others. */
  readonly folder?: string
  /** What its description does not say of it here. */
  readonly note?: string
  /** Instead of its example; with variables. */
  readonly body?: unknown
  /** Of its parameters, instead of their examples. */
  readonly values?: Readonly<Record<string, string>>
  /** Instead of the status of success. */
  readonly statuses?: readonly number[]
  /** Variables that get a member of the answer. */
  readonly sets?: Readonly<Record<string, string>>
  /** It ends the access token that it came with: what is refused comes first. */
  readonly endsToken?: true
  /** A variable that is computed before it is sent. */
  readonly computes?: 'totpCode'
}

/** What whoever runs it fills in. */
export const givenVariables = [
  {
    key: 'apiKey',
    value: '',
    description: 'What stands in starter.key in the data folder of the server; where there is an admin, a key that may add films.',
  },
  { key: 'operatorKey', value: '', description: 'A key with the permissions security:read and security:write.' },
  {
    key: 'claimCode',
    value: '',
    description:
      'What a start without an admin leaves on the terminal, or in claim.code in the data folder. Once there is an admin it is good for nothing.',
  },
  { key: 'username', value: 'ada', description: 'An admin without a second factor. The claim makes it.' },
  { key: 'password', value: '', description: 'Of the admin, and of the account that is made and removed.' },
  { key: 'newUsername', value: 'grace', description: 'A name that nobody has: the account is made, and removes itself in the end.' },
] as const

const tokens = { accessToken: 'access_token', refreshToken: 'refresh_token' } as const
const refreshBody = { refresh_token: '{{refreshToken}}' } as const
const admin = { username: '{{username}}', password: '{{password}}' } as const
const guest = { username: '{{newUsername}}', password: '{{password}}' } as const
const whereNoName = 'Passkeys are bound to a name: where the server is called by an address, and has no public_url, it answers 409.'

const login: readonly Step[] = [
  {
    operationId: 'claim',
    body: { code: '{{claimCode}}', ...admin },
    statuses: [200, 401],
    note: 'Where there is an admin already it answers 401, whatever the code.',
  },
  { operationId: 'login', body: admin, sets: tokens },
  { operationId: 'refresh', body: refreshBody, sets: tokens },
  { operationId: 'logout', body: refreshBody },
  {
    operationId: 'register',
    body: admin,
    statuses: [403, 409],
    note: 'Refused here: registration is closed unless the operator opens it, and then this name is taken.',
  },
  { operationId: 'passkeyLoginOptions', statuses: [200, 409], note: whereNoName },
  {
    operationId: 'passkeyLogin',
    statuses: [401, 409],
    note: `Refused here: only the device that holds a passkey can answer. ${whereNoName}`,
  },
  { operationId: 'login', name: 'Log in again, for what follows', body: admin, sets: tokens },
]

const users: readonly Step[] = [
  { operationId: 'addUser', body: { ...guest, role: 'editor' }, sets: { userId: 'id' } },
  { operationId: 'listUsers' },
  { operationId: 'userById', values: { id: '{{userId}}' } },
  { operationId: 'changeUser', values: { id: '{{userId}}' } },
  {
    operationId: 'addUser',
    name: 'Add another account',
    body: { username: '{{newUsername}}-two', role: 'viewer', password: '{{password}}' },
    sets: { otherUserId: 'id' },
  },
  { operationId: 'removeUser', values: { id: '{{otherUserId}}' } },
  { operationId: 'login', folder: 'Users', name: 'Log in with the new account', body: guest, sets: tokens },
]

const sessions: readonly Step[] = [
  { operationId: 'login', folder: 'Sessions', name: 'Log in at another place', body: guest },
  { operationId: 'listSessions', values: { user: '{{userId}}' }, sets: { otherSessionId: 'items.0.id' } },
  { operationId: 'endSession', values: { id: '{{otherSessionId}}' } },
  { operationId: 'endSessions', values: { user: '{{userId}}' } },
]

const factors: readonly Step[] = [
  { operationId: 'totpState' },
  { operationId: 'offerTotp', sets: { totpSecret: 'secret' } },
  {
    operationId: 'confirmTotp',
    body: { code: '{{totpCode}}' },
    computes: 'totpCode',
    endsToken: true,
    sets: { recoveryCode: 'recovery_codes.0' },
  },
  { operationId: 'refresh', folder: 'Second factors', name: 'New tokens, with two factors', body: refreshBody, sets: tokens },
  { operationId: 'replaceRecoveryCodes', sets: { recoveryCode: 'recovery_codes.0' } },
  {
    operationId: 'login',
    folder: 'Second factors',
    name: 'Log in where a second factor is due',
    body: guest,
    sets: { mfaToken: 'mfa_token' },
  },
  {
    operationId: 'finishLogin',
    folder: 'Second factors',
    body: { mfa_token: '{{mfaToken}}', method: 'recovery_code', code: '{{recoveryCode}}' },
    sets: tokens,
  },
  { operationId: 'removeTotp' },
  { operationId: 'listPasskeys' },
  { operationId: 'passkeyCreationOptions', statuses: [200, 409], note: whereNoName },
  { operationId: 'addPasskey', statuses: [400, 409], note: `Refused here: only a device can make a passkey. ${whereNoName}` },
  { operationId: 'removePasskey', statuses: [404], note: 'Refused here: the account has no passkey.' },
]

const keys: readonly Step[] = [
  { operationId: 'makeKey', body: { name: 'nightly import', scopes: ['films:write'] }, sets: { keyId: 'id' } },
  { operationId: 'listKeys' },
  { operationId: 'keyById', values: { id: '{{keyId}}' } },
  { operationId: 'revokeKey', values: { id: '{{keyId}}' } },
]

const account: readonly Step[] = [
  { operationId: 'me' },
  { operationId: 'renameMe', body: { username: '{{newUsername}}' }, note: 'To the same name here, which changes nothing.' },
  { operationId: 'changePassword', body: { current_password: '{{password}}', new_password: '{{password}} - and more' }, endsToken: true },
  { operationId: 'refresh', folder: 'Account', name: 'New tokens, behind the new password', body: refreshBody, sets: tokens },
  { operationId: 'removeMe' },
]

const security: readonly Step[] = [
  { operationId: 'decide', sets: { decisionId: 'id' } },
  { operationId: 'decision', values: { id: '{{decisionId}}' } },
  { operationId: 'liftDecision', values: { id: '{{decisionId}}' } },
]

/** In this order; what has no step here comes before Login or behind Account, as its tags have it. */
export const courseFolders = ['Login', 'Users', 'Sessions', 'Second factors', 'API keys', 'Account'] as const

export const course: readonly Step[] = [...login, ...users, ...sessions, ...factors, ...keys, ...account, ...security]

/** Variables that the calls themselves fill. */
export const filledVariables: readonly string[] = [
  ...new Set(course.flatMap(({ sets = {}, computes }) => [...Object.keys(sets), ...(computes === undefined ? [] : [computes])])),
]
