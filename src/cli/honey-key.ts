import { honeyKey, maxHoneyKeys } from '../serve/honey-keys.ts'
import { type Command, UsageError } from './command.ts'
import { openInstallation } from './open-installation.ts'
import { print, printJson, tell } from './output.ts'

export const keyHoney: Command = {
  name: 'key honey',
  operands: ['[NUMBER]'],
  summary: 'Prints an API key that is a trap: it opens nothing, and whoever uses it is banned',
  details: `Lay it where nobody has a reason to look: in a backup, a private repository, a mailbox. It looks like any
other key and answers like one that does not exist. There are ${maxHoneyKeys}, which are always the same ones for this
installation and stored nowhere. The server may be running.`,
  example: 'filmgate key honey 2',
  run: async (call) => {
    const config = call.loadConfig()
    const number = readNumber(call.operands[0] ?? '1')
    await using installation = await openInstallation(config)
    const key = honeyKey(installation.masterKey, number)
    await (call.json ? printJson({ number, key }) : print(`${key}\n`))
    if (!call.json) tell('That key opens nothing. Keep a note of where you lay it.\n')
    return 0
  },
}

const readNumber = (text: string): number => {
  const number = /^[1-9][0-9]?$/.test(text) ? Number(text) : Number.NaN
  if (number <= maxHoneyKeys) return number
  throw new UsageError(`key honey needs a NUMBER from 1 to ${maxHoneyKeys}`)
}
