import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { tapWire } from './wire-tap.ts'

/** Everything that this process sent, got or gave to a server of its own, and that no log may hold. */
const used = new Set<string>()

/** What `code` is in a problem; and a member of a log line may be called. */
const isWords = (text: string): boolean => /^[a-z]+(?:_[a-z]+)+$/.test(text)

/** Shorter ones, plain words and plain numbers stand in logs by chance: `password` is a member, `12345678` may be a duration. */
const isTelling = (text: string): boolean =>
  text.length >= 8 &&
  text.length <= 8192 &&
  new Set(text).size >= 5 &&
  !isWords(text) &&
  (text.length >= 16 || !/^(?:[a-z_]+|\d+)$/i.test(text))

const keep = (text: string | undefined): void => {
  if (text !== undefined && isTelling(text)) used.add(text)
}

const hints = /authorization|cookie|password|_token|secret|code|otpauth|fg[_rm]|eyJ/i
const members =
  /"(?:password|new_password|current_password|access_token|refresh_token|mfa_token|secret|client_secret|webhook_secret|otpauth_url|code)"\s*:\s*"((?:[^"\\]|\\.){8,4096})"/g
const recoveryCodes = /"recovery_codes"\s*:\s*\[([^\]]*)\]/g
const fields = /^(?:proxy-)?authorization:[ \t]*(?:bearer|basic)[ \t]+([^\s"]{16,})(?=\s)/gim
/** Of a server; what a client sends back has the form of a token, and anything else is not ours. */
const cookies = /^set-cookie:[ \t]*([^\r\n]+)\r\n/gim
/** API keys, and apart from it the part of one that is secret; refresh tokens and tokens of half-done logins; JSON Web Tokens. */
const shapes = /fg_[0-9A-Za-z]{12}_([0-9A-Za-z]{16,})|fg[rm]_[\w-]{20,}|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}/g

/** What stands between the chunks of a body. */
const chunkSizes = /\r\n[\da-f]{1,6}\r\n/gi

const unescaped = (literal: string): string | undefined => {
  try {
    return JSON.parse(`"${literal}"`) as string
  } catch {
    return undefined
  }
}

/** Finds secrets by the names of members and fields, and by their form. */
export const secretsIn = (text: string): string[] => {
  const joined = text.replaceAll(chunkSizes, '')
  if (!hints.test(joined)) return []
  const found = [
    ...[...joined.matchAll(members)].map(([, literal = '']) => unescaped(literal)),
    ...[...joined.matchAll(recoveryCodes)].flatMap(([, list = '']) => [...list.matchAll(/"([^"\\]+)"/g)].map(([, code]) => code)),
    ...[...text.matchAll(fields)].map(([, token]) => token),
    ...[...text.matchAll(cookies)].flatMap(([, pairs = '']) => pairs.split(/;[ \t]*/).map((pair) => pair.slice(pair.indexOf('=') + 1))),
    ...[...text.matchAll(shapes)].flatMap(([whole, secret]) => [whole, secret]),
  ]
  return found.filter((one) => one !== undefined && isTelling(one)) as string[]
}

tapWire((text) => {
  for (const secret of secretsIn(text)) used.add(secret)
})

/** Secrets that a server gets from its environment, and the passwords of addresses there. */
export const keepEnvironment = (env: Readonly<Record<string, string>>): void => {
  for (const [name, value] of Object.entries(env)) {
    if (/SECRET|PASSWORD|WEBHOOK_URL/.test(name) && !name.endsWith('_FILE')) keep(value)
    keep(/^[a-z]+:\/\/[^/@:]*:([^/@]+)@/.exec(value)?.[1])
  }
}

/** Those in the text of a filmgate.toml. */
export const keepConfig = (toml: string): void => {
  for (const [, value] of toml.matchAll(/^[ \t]*\w*(?:secret|password)\w*[ \t]*=[ \t]*"([^"]+)"/gim)) keep(value)
  for (const secret of secretsIn(toml)) keep(secret)
}

/** What lies in its data folder: it may be there for a short time only, so it is read when the server listens, and at its end. */
export const keepFiles = (dataDir: string): void => {
  for (const file of ['master.key', 'starter.key', 'claim.code']) {
    try {
      const text = readFileSync(join(dataDir, file), 'utf8').trim()
      keep(text)
      for (const secret of secretsIn(text)) keep(secret)
    } catch {
      // Not there, or not for us.
    }
  }
}

/** As it may stand in a log: as it is, or escaped. */
const spellings = (secret: string): string[] => [...new Set([secret, JSON.stringify(secret).slice(1, -1)])]

const prefixLength = 8

/** Those of the secrets that stand in the text, each once. One walk through it, however many there are. */
const standingIn = (text: string, secrets: Iterable<string>): string[] => {
  const byPrefix = new Map<string, [secret: string, spelling: string][]>()
  const begins = new Uint8Array(65_536)
  for (const secret of secrets) {
    for (const spelling of spellings(secret)) {
      const prefix = spelling.slice(0, prefixLength)
      byPrefix.set(prefix, [...(byPrefix.get(prefix) ?? []), [secret, spelling]])
      begins[pairAt(spelling, 0)] = 1
    }
  }
  const found = new Set<string>()
  for (let at = 0; at + prefixLength <= text.length; at++) {
    if (begins[pairAt(text, at)] === 0) continue
    for (const [secret, spelling] of byPrefix.get(text.slice(at, at + prefixLength)) ?? [])
      if (text.startsWith(spelling, at)) found.add(secret)
  }
  return [...found]
}

const pairAt = (text: string, at: number): number => ((text.charCodeAt(at) << 8) ^ text.charCodeAt(at + 1)) & 0xffff

/**
 * A password that a client itself put into a path, an agent or an origin looks like any word, and so does the id of a session that a test shows as a
 * token; what has the form of a secret of ours must not stand there, either.
 */
const isOfTheClient = (line: string, secret: string): boolean => {
  if (new RegExp(shapes).test(secret) || !line.startsWith('{')) return false
  const record = JSON.parse(line) as Record<string, unknown>
  const { path, user_agent: _agent, origin: _origin, session: _session, credential: _credential, ...rest } = record
  const query = typeof path === 'string' && path.includes('?') ? path.slice(path.indexOf('?')) : ''
  return standingIn(JSON.stringify({ ...rest, query }), [secret]).length === 0
}

/** What stands in a log that must not, with the line that it stands in. */
export const leaksIn = (log: string, secrets: Iterable<string> = used): string[] => {
  const found = standingIn(log, secrets).map((secret) => [secret, spellings(secret)] as const)
  if (found.length === 0) return []
  return log
    .split('\n')
    .flatMap((line) =>
      found
        .filter(([secret, spelled]) => spelled.some((spelling) => line.includes(spelling)) && !isOfTheClient(line, secret))
        .map(([secret]) => `${secret} stands in ${line.slice(0, 2000)}`),
    )
}

/** [ASVS 16.2.5] For the end of every server of every test. */
export const assertSecretsKept = (log: string): void => {
  const leaks = leaksIn(log)
  assert.equal(leaks.length, 0, `the log holds ${leaks.length} secrets that this test used:\n${leaks.slice(0, 5).join('\n')}`)
}
