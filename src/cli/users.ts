import { usernameMistake } from '../api/accounts/users/usernames.ts'
import type { Account } from '../api/accounts/accounts.ts'
import type { UserChange } from '../api/accounts/users/user-changes.ts'
import { formatNullable, formatTimestamp } from '../api/timestamp.ts'
import type { Config } from '../config.ts'
import { isRole, type Role, roles } from '../core/access.ts'
import { type Call, type Command, UsageError } from './command.ts'
import { demandPasswordOption, passwordOption, readPasswordHash } from './new-password.ts'
import { accountNamed, byCli, done, openAccounts } from './open-accounts.ts'
import { print, printJson, table, tell } from './output.ts'

const beside = 'The server may be running; it takes effect there within a second.\n'

export const userAdd: Command = {
  name: 'user add',
  operands: ['NAME'],
  summary: 'Adds a user with a password from standard input; the server may be running',
  details: `Works before the first start, too. The first admin makes the server one that may be public, and ends the
key in starter.key. The password has 12 to 128 characters, is not known from a breach, and is not made of the
name or of words about this server.`,
  options: { role: { value: 'ROLE', text: `${roles.join(', ')}: each may do what those before it may, and more` }, ...passwordOption },
  example: "printf '%s' 'seven kestrels over the marsh' | filmgate user add ada --role admin --password-stdin",
  run: async (call) => {
    const config = call.loadConfig()
    const [username = ''] = call.operands
    const role = readRole(call.options['role'], 'user add needs --role ROLE')
    demandPasswordOption(call, 'user add')
    const mistake = usernameMistake(username)
    if (mistake !== undefined) throw new UsageError(`the name ${JSON.stringify(username)} ${mistake}`)
    const passwordHash = await readPasswordHash(config, username)
    await using open = await openAccounts(config)
    const id = await open.users.add(byCli, { username, role, passwordHash })
    if (id === undefined) throw new Error(`there is a user ${JSON.stringify(username)} already`)
    await (call.json ? printJson({ id, username, role }) : print(`${username} is there, with the role ${role}: ${id}\n`))
    return 0
  },
}

export const userList: Command = {
  name: 'user list',
  summary: 'Prints all users',
  example: 'filmgate user list --json',
  run: async (call) => {
    await using open = await openAccounts(call.loadConfig())
    const all: Account[] = []
    for (let page: readonly Account[] = []; (page = await open.accounts.list(all.at(-1)?.username ?? '', 500)).length > 0;)
      all.push(...page)
    const users = await Promise.all(all.map(async (account) => shown(account, await open.factors.methods(account.id))))
    if (call.json) await printJson(users)
    else {
      const rows = users.map((user) => [
        user.username,
        user.role,
        user.disabled ? 'disabled' : '-',
        user.secondFactor.join(', ') || '-',
        user.lastLoginAt ?? 'never',
        user.id,
      ])
      await print(table([['NAME', 'ROLE', 'STATE', 'SECOND FACTOR', 'LAST LOGIN', 'ID'], ...rows]))
    }
    return 0
  },
}

const shown = ({ id, username, role, disabledAt, createdAt, lastLoginAt }: Account, secondFactor: readonly string[]) => ({
  id,
  username,
  role,
  disabled: disabledAt !== null,
  secondFactor,
  createdAt: formatTimestamp(createdAt),
  lastLoginAt: formatNullable(lastLoginAt),
})

export const userRole: Command = {
  name: 'user role',
  operands: ['NAME', 'ROLE'],
  summary: 'Gives a user another role',
  details: `${beside}Access tokens of before end; API keys keep what the new role may.`,
  example: 'filmgate user role grace moderator',
  run: (call) => {
    const config = call.loadConfig()
    const role = readRole(call.operands[1], 'user role needs a role')
    return change(call, config, { role }, `has the role ${role} now`)
  },
}

export const userDisable: Command = {
  name: 'user disable',
  operands: ['NAME'],
  summary: 'Ends the sessions and API keys of a user and lets nobody log in to it',
  details: `${beside}user enable lets the user log in again; the sessions and keys of before stay ended.`,
  example: 'filmgate user disable grace',
  run: (call) => change(call, call.loadConfig(), { disabled: true }, 'is disabled now'),
}

export const userEnable: Command = {
  name: 'user enable',
  operands: ['NAME'],
  summary: 'Lets a user that was disabled log in again',
  example: 'filmgate user enable grace',
  run: (call) => change(call, call.loadConfig(), { disabled: false }, 'can log in'),
}

export const userPassword: Command = {
  name: 'user password',
  operands: ['NAME'],
  summary: 'Sets the password of a user and ends all its sessions',
  details: `For somebody who forgot it. ${beside}API keys stay; --remove-factors takes away the second factors and passkeys, too, for somebody who lost them.`,
  options: { ...passwordOption, 'remove-factors': { text: 'takes away second factors and passkeys' } },
  example: "printf '%s' 'eleven herons by the old weir' | filmgate user password grace --password-stdin",
  run: async (call) => {
    const config = call.loadConfig()
    const [username = ''] = call.operands
    demandPasswordOption(call, 'user password')
    const passwordHash = await readPasswordHash(config, username)
    const removeFactors = call.options['remove-factors'] === true
    return change(call, config, { passwordHash, removeFactors }, 'has the new password, and no session')
  },
}

export const userRemove: Command = {
  name: 'user remove',
  operands: ['NAME'],
  summary: 'Removes a user with its sessions, API keys and factors',
  details: `${beside}Its votes stay counted.`,
  example: 'filmgate user remove grace',
  run: async (call) => {
    await using open = await openAccounts(call.loadConfig())
    const account = await accountNamed(open, call.operands[0] ?? '')
    done(await open.users.remove(byCli, account))
    await (call.json ? printJson({ id: account.id, username: account.username, removed: true }) : print(`${account.username} is gone\n`))
    return 0
  },
}

const readRole = (text: string | true | undefined, what: string): Role => {
  if (isRole(text)) return text
  throw new UsageError(`${what}: one of ${roles.join(', ')}`)
}

const change = async (call: Call, config: Config, wanted: UserChange, text: string): Promise<number> => {
  await using open = await openAccounts(config)
  const account = await accountNamed(open, call.operands[0] ?? '')
  const actions = done(await open.users.change(byCli, account, wanted))
  const { username } = account
  if (actions.length === 0 && !call.json) tell('Nothing had to be changed.\n')
  await (call.json
    ? printJson({ ...shown((await open.accounts.byId(account.id)) ?? account, await open.factors.methods(account.id)), done: actions })
    : print(`${username} ${text}\n`))
  return 0
}
