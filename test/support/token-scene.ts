import { databases } from './databases.ts'
import { decode } from './token-forge.ts'
import { startTokenListener, type TokenListenerOptions } from './token-listener.ts'

/** The listener on a SQLite database of its own, which goes with it. */
export const openTokenListener = async (options: TokenListenerOptions = {}) => {
  const [sqlite] = databases
  if (sqlite === undefined) throw new Error('no database')
  const opened = await sqlite.open()
  const listener = await startTokenListener(opened.database, options)
  const dispose = async (): Promise<void> => {
    await listener[Symbol.asyncDispose]()
    await opened[Symbol.asyncDispose]()
  }
  return { database: opened.database, listener, [Symbol.asyncDispose]: dispose }
}

/** For attacks on tokens: somebody with a good one that was not used yet, and a forge for all others. */
export const openTokenScene = async () => {
  const { listener, [Symbol.asyncDispose]: close } = await openTokenListener()
  const person = await listener.addPerson('mary', 'admin')
  const forge = await listener.forge()
  const token = await person.token()
  return { listener, person, forge, token, claims: decode(token, 1), close }
}
