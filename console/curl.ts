export const callMethods = ['GET', 'POST', 'HEAD'] as const
export type CallMethod = (typeof callMethods)[number]

export interface Call {
  readonly method: CallMethod
  /** Absolute, as the URL parser writes it. */
  readonly url: string
  /** Sent as it stands with POST, and with nothing else. */
  readonly body: string | undefined
  /** Whether the call carries a key. The key itself is never part of a command. */
  readonly withKey: boolean
}

/** Where the first start leaves a key. The command reads it there, so that no key lies in a clipboard or in a shell's history. */
const keyFile = 'filmgate-data/starter.key'

/** One word for a POSIX shell (IEEE 1003.1 section 2.2.2), whatever the text holds. A NUL, which no argument can carry, becomes U+FFFD. */
export const shellQuoted = (text: string): string =>
  /^[\w./:@%+,-]+$/.test(text) ? text : `'${text.replaceAll('\0', '\uFFFD').replaceAll("'", String.raw`'\''`)}'`

/** The same call for curl in a POSIX shell. `--globoff`, because curl would read brackets and braces in an address as ranges. */
export const curlCommand = ({ method, url, body, withKey }: Call): string => {
  const words = ['curl', method === 'HEAD' ? '--head' : '--include']
  if (/[[\]{}]/.test(url)) words.push('--globoff')
  if (method === 'POST') words.push('--request POST')
  words.push(shellQuoted(url))
  if (withKey) words.push(`--header "Authorization: Bearer $(cat ${keyFile})"`)
  // --data-raw, because --data would read a file where the body begins with @.
  if (body !== undefined) words.push(`--header 'Content-Type: application/json'`, `--data-raw ${shellQuoted(body.toWellFormed())}`)
  return words.join(' ')
}
