import { createCommonPasswords } from '../api/accounts/passwords/common-passwords.ts'
import { wordsOf } from '../api/accounts/passwords/password-rules.ts'
import { createPasswords } from '../api/accounts/passwords/passwords.ts'
import type { Config } from '../config.ts'
import { HashGate } from '../credentials/hash-gate.ts'
import { type Call, UsageError } from './command.ts'

/** Longer than any password, whatever its characters. */
const maxBytes = 4096

/** The option of commands that set a password. */
export const passwordOption = { 'password-stdin': { text: 'reads the password from standard input, up to the end of the line' } } as const

/** Never from the command line: there every process of the machine could read it. */
export const demandPasswordOption = ({ options }: Call, name: string): void => {
  if (options['password-stdin'] !== true)
    throw new UsageError(`${name} needs --password-stdin, and the password on standard input: filmgate ${name} … --password-stdin < FILE`)
}

/** The hash of the password on standard input; throws where the rules for passwords refuse it. */
export const readPasswordHash = async ({ auth, server }: Config, username: string): Promise<string> => {
  const password = await readLine()
  const passwords = createPasswords({
    gate: new HashGate({ atOnce: 1 }),
    commonPasswords: createCommonPasswords(),
    // An issuer that is not named is named by the id of the installation, of which no words are made.
    words: wordsOf(auth.issuer.replace('<installation id>', ''), server.publicUrl),
  })
  const mistake = await passwords.mistake(password, '', { username })
  if (mistake !== undefined) throw new Error(`the password ${mistake.detail}`)
  return passwords.hash(password)
}

const readLine = async (): Promise<string> => {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    size += chunk.length
    if (size > maxBytes || chunk.includes('\n')) break
  }
  const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  try {
    const [line = '', ...more] = text.decode(Buffer.concat(chunks)).split(/\r?\n/)
    if (more.some((rest) => rest !== '')) throw new Error('standard input has more than one line')
    return line
  } catch (error) {
    if (error instanceof TypeError) throw new Error('the password is not UTF-8', { cause: error })
    throw error
  }
}
