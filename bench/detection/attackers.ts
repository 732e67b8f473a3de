/** Attacks on identities by generators of our own, each sent on until it is refused as abnormal or has sent what it would. */
import { setTimeout as pause } from 'node:timers/promises'

import { addUser, claimAdmin, goodPassword, type LoggedIn } from '../../test/support/accounts.ts'
import { runCommand } from '../../test/support/command.ts'
import { makeKey } from '../../test/support/keys.ts'
import type { Field } from './field.ts'
import { addressOf, addressOf6, neighbour } from './addresses.ts'
import type { Scenario } from './scenario.ts'
import { type Answer, isBanned, type Visitor } from './visitor.ts'

/** Whoever sees so many refusals in a row goes. */
const givesUpAfter = 3

/** One after the other, until the server has made itself clear. */
export const keepOn = async (times: number, step: (i: number) => Promise<Answer>): Promise<void> => {
  let refused = 0
  for (let i = 0; i < times && refused < givesUpAfter; i++) refused = isBanned(await step(i)) ? refused + 1 : 0
}

/** Ten a second, as under a limit that would refuse what comes faster. */
const paced = (times: number, step: (i: number) => Promise<Answer>): Promise<void> =>
  keepOn(times, async (i) => {
    await pause(100)
    return step(i)
  })

export const logIn = (visitor: Visitor, username: string, password: string): Promise<Answer> =>
  visitor.ask('/v1/auth/login', { method: 'POST', body: { username, password } })

export const attack = (name: string, rules: readonly string[], run: Scenario['run'], more: Partial<Scenario> = {}): Scenario => ({
  name,
  label: 'attack',
  rules,
  run,
  ...more,
})

/** Somebody with an account, and a key of it. */
export const keyHolder = async (
  field: Field,
  role: 'viewer' | 'editor',
  scopes: readonly string[],
): Promise<{ owner: LoggedIn; key: string }> => {
  const admin = await claimAdmin(field.server)
  const owner = await addUser(field.server, admin, role, 'mallory')
  return { owner, key: (await makeKey(field.server, owner, scopes)).key }
}

const raised = { limits: 'raised' } as const

/** As from a list that leaked elsewhere: each name once, with its own password. */
const stuffing = attack('stuffing: one address, a list of 300 names', ['credential-stuffing'], async (field) => {
  const visitor = field.visitor(addressOf(1))
  await keepOn(300, (i) => logIn(visitor, `name${i}`, `Leaked-${1000 + i}-elsewhere`))
})

/** Under the default limit of failures for each client. */
const bruteForce = attack('guessing: one address, one account', ['password-guessing'], async (field) => {
  await claimAdmin(field.server, 'ada')
  const visitor = field.visitor(addressOf(3))
  await paced(200, (i) => logIn(visitor, 'ada', `Guess-${1000 + i}-of-many`))
})

/** Each guess from another network; the owner logs in from home before and while it goes on. */
const botnet = attack(
  'guessing: 200 addresses, one account',
  ['distributed-guessing'],
  async (field) => {
    const admin = await claimAdmin(field.server)
    const { username } = await addUser(field.server, admin, 'editor', 'ada.l')
    const home = field.visitor(addressOf(4))
    await mustSucceed(logIn(home, username, goodPassword), 'the owner, before')
    await keepOn(200, (i) => {
      return logIn(field.visitor(addressOf(1000 + i)), username, `Guess-${1000 + i}-of-many`)
    })
    await mustSucceed(logIn(home, username, goodPassword), 'the owner at home')
  },
  { field: raised, bystanders: [addressOf(4)] },
)

const mustSucceed = async (asked: Promise<Answer>, who: string): Promise<void> => {
  const { status, body } = await asked
  if (status !== 200) throw new Error(`${who} was refused: ${status} ${body}`)
}

const successAfter = attack('guessing: 9 failures, then the password', ['success-after-burst'], async (field) => {
  const admin = await claimAdmin(field.server)
  await addUser(field.server, admin, 'editor', 'eve.target')
  const visitor = field.visitor(addressOf(5))
  for (let i = 0; i < 9; i++) await logIn(visitor, 'eve.target', `Guess-${1000 + i}-of-many`)
  await logIn(visitor, 'eve.target', goodPassword)
})

const randomToken = (i: number): string => `fg_${String(i).padStart(12, 'k')}_${'x'.repeat(32)}`

const tokens = attack('tokens: one address, made-up keys', ['token-guessing'], async (field) => {
  const visitor = field.visitor(addressOf(6))
  await paced(100, (i) => visitor.as(randomToken(i)).ask('/v1/keys'))
})

const leakedKey = attack(
  'a leaked key: used from 40 networks',
  ['key-leakage'],
  async (field) => {
    const { key } = await keyHolder(field, 'editor', ['films:write'])
    const visitor = field.visitor(addressOf(7)).as(key)
    await keepOn(120, (i) => {
      return visitor.at(addressOf(2000 + (i % 40))).ask('/v1/films/7')
    })
  },
  { field: raised },
)

const reuse = attack('a stolen refresh token, used again', ['token-reuse'], async (field) => {
  const admin = await claimAdmin(field.server)
  const { refreshToken } = await addUser(field.server, admin, 'viewer', 'robbed')
  const thief = field.visitor(addressOf(8))
  await keepOn(6, () => thief.ask('/v1/auth/refresh', { method: 'POST', body: { refresh_token: refreshToken } }))
})

const enumeration = attack(
  "ids: other people's keys, by a viewer with a key",
  ['id-enumeration-with-key'],
  async (field) => {
    const { key } = await keyHolder(field, 'viewer', ['votes:write'])
    const visitor = field.visitor(addressOf(9)).as(key)
    await keepOn(100, (i) => visitor.ask(`/v1/keys/${String(i).padStart(12, 'k')}`))
  },
  { field: raised },
)

/** Of 2,000 an hour that a subject has: whoever is anonymous is at the end of the route's limit after 50. */
const sweep = attack(
  'ids: films that are not there, by a viewer with a key',
  ['id-sweep'],
  async (field) => {
    const { key } = await keyHolder(field, 'viewer', ['votes:write'])
    const visitor = field.visitor(addressOf6(10)).as(key)
    await keepOn(200, (i) => {
      return visitor.ask(`/v1/films/${900_000 + i}`)
    })
  },
  { field: raised },
)

/** A dozen of a network, three names each, so that none of them alone is seen. */
const stuffingNetwork = attack('stuffing: 20 addresses of a /24, 60 names', ['credential-stuffing-network'], async (field) => {
  await keepOn(60, (i) => logIn(field.visitor(neighbour(i % 20)), `name${i}`, `Leaked-${1000 + i}-elsewhere`))
})

/** As it lies in a repository, for whoever finds it. */
const honeyKey = attack('a honey key, used once', ['honey-key'], async (field) => {
  const { dataDir } = field.server
  const { stdout, stderr } = await runCommand(['key', 'honey', '1'], { dataDir, cwd: field.folder })
  const key = /fg_\w+/.exec(stdout)?.[0]
  if (key === undefined) throw new Error(`filmgate key honey: ${stdout}${stderr}`)
  await keepOn(5, () => field.visitor(addressOf(11)).as(key).ask('/v1/keys'))
})

export const attackers: readonly Scenario[] = [
  stuffing,
  stuffingNetwork,
  bruteForce,
  botnet,
  successAfter,
  tokens,
  leakedKey,
  reuse,
  enumeration,
  sweep,
  honeyKey,
]
