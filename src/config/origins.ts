import { isIPv4 } from 'node:net'
import { hostMistake, isLoopback } from './networks.ts'

/** What is wrong with a list of origins, as the end of a sentence that starts with its key, or undefined. */
export function originsMistake(list: readonly string[]): string | undefined {
  if (list.includes('*') && list.length > 1) return 'must have "*" alone or not at all: beside it the others mean nothing'
  const mistakes = list.map((entry, index) => ({ mistake: originMistake(entry), index })).filter(({ mistake }) => mistake !== undefined)
  return mistakes.map(({ mistake, index }) => `entry ${index + 1} ${mistake}`).join('; ') || undefined
}

/** Browsers send an origin in one spelling (RFC 6454 section 6.2), and it is compared letter by letter: another spelling would never match. */
function originMistake(entry: string): string | undefined {
  if (entry === '*') return undefined
  if (entry.toLowerCase() === 'null') return 'is what sandboxed frames, data: and file: pages of anybody say: it names nobody'
  const [, scheme = '', rest = ''] = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/is.exec(entry) ?? []
  if (scheme === '') return 'must be an origin: scheme, "://" and host, such as https://app.example.com'
  if (!/^https?$/i.test(scheme)) return 'must begin with https:// or http://'
  if (rest.includes('@')) return 'has a user or a password: an origin has none'
  if (rest.endsWith('/') && !/[/?#\\]/.test(rest.slice(0, -1))) return 'must not end in a slash: an origin has no path'
  if (/[/?#\\]/.test(rest)) return 'has a path, a query or a fragment: an origin ends behind host and port'
  return rest.includes('*') ? wildcardMistake(entry, rest) : spellingMistake(entry, rest)
}

function spellingMistake(entry: string, rest: string): string | undefined {
  if (/[^\x21-\x7e]/.test(rest)) return 'must have its host in ASCII, as browsers send it: names of other letters as xn--… (punycode)'
  if (/[A-Z]/.test(entry)) return 'must be in lower case, as browsers send it'
  if (/\.(?::\d+)?$/.test(rest)) return 'must not have a dot at the end of its host'
  // URL() also takes 127.1 and 0x7f000001 for addresses, which no browser sends.
  const host = rest.replace(/:\d+$/, '')
  if (/(?:^|\.)(?:\d+|0x[0-9a-f]*)$/.test(host) && !isIPv4(host)) return 'has an address that is not written as four numbers'
  if (hostMistake(rest) !== undefined || !URL.canParse(entry)) return 'has no valid host or port behind the "://"'
  if (new URL(entry).origin === entry) return undefined
  return /:\d+$/.test(rest)
    ? 'must be without the default port (443 of https, 80 of http), and an address in its shortest form, as browsers send it'
    : 'must have its host in the shortest form, as browsers send it'
}

function wildcardMistake(entry: string, rest: string): string | undefined {
  if (!entry.startsWith('https://')) return 'has a star, which only https://*.example.com may have'
  if (!rest.startsWith('*.') || rest.includes('*', 1))
    return 'may have its star only as the whole first label, such as https://*.example.com'
  const below = rest.slice(2)
  const mistake = spellingMistake(`https://${below}`, below)
  if (mistake !== undefined) return mistake
  const name = below.replace(/:\d+$/, '')
  if (name.startsWith('[') || isIPv4(name)) return 'has a star before an address: an address has no subdomains'
  if (!/^[a-z0-9-]+(?:\.[a-z0-9-]+)*$/.test(name)) return 'must have letters, digits, hyphens and dots behind the star'
  if (!name.includes('.')) return 'must have two labels or more behind the star: all of a top-level domain belongs to nobody'
  return isShared(name) ? 'has a star before a name under which anybody can have one (a public suffix): name your own' : undefined
}

/** Under a country: `co.uk`, `com.br`. */
const secondLevels: ReadonlySet<string> = new Set([
  'ac',
  'co',
  'com',
  'edu',
  'go',
  'gob',
  'gov',
  'gv',
  'ltd',
  'me',
  'ne',
  'net',
  'or',
  'org',
  'plc',
  'sch',
])

/**
 * Those of the Public Suffix List (publicsuffix.org, private part) that people deploy to most. Not the whole list, which changes every week: a
 * guard against the usual accident.
 */
const hosting: ReadonlySet<string> = new Set(
  `amplifyapp.com appspot.com azurestaticapps.net azurewebsites.net blogspot.com cloudfront.net codeberg.page deno.dev
  duckdns.org dyndns.org firebaseapp.com fly.dev github.io gitlab.io glitch.me herokuapp.com myshopify.com netlify.app
  ngrok-free.app ngrok.app ngrok.io onrender.com pages.dev up.railway.app repl.co a.run.app s3.amazonaws.com surge.sh
  trycloudflare.com vercel.app web.app workers.dev`.split(/\s+/),
)

function isShared(name: string): boolean {
  const [label = '', country = '', ...more] = name.split('.')
  return hosting.has(name) || (more.length === 0 && country.length === 2 && secondLevels.has(label))
}

/** A page that came without TLS is whose network it crossed: with credentials it would speak for its visitor. */
export const isUnguarded = (origin: string): boolean =>
  origin.startsWith('http://') && !isLoopback(new URL(origin).hostname.replace(/^\[(.*)\]$/, '$1'))
