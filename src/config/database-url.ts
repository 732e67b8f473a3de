import { nearest } from './errors.ts'

/** Parameters as libpq names them (PostgreSQL manual, section 34.1.2); any other might be meant to protect, and would not. */
const known = ['host', 'sslmode', 'sslrootcert', 'sslcert', 'sslkey']

/** What is wrong with `database.url`, as the end of a sentence. Never shows the value: it may hold a password. */
export const databaseUrlMistake = (text: string): string | undefined => {
  if (text === 'sqlite') return undefined
  if (!/^postgres(?:ql)?:\/\//.test(text)) {
    return 'must be "sqlite" or begin with postgres:// (FILMGATE_DATABASE_URL wins over a DATABASE_URL that is meant for something else)'
  }
  if (!URL.canParse(text) || !decodes(text)) {
    return 'is not a URL: it must be postgres://user:password@host:5432/database, with @ : / ? # and % in a password escaped (%40 for @)'
  }
  return parametersMistake(new URL(text))
}

const decodes = (text: string): boolean => {
  const { username, password, hostname, pathname } = new URL(text)
  try {
    return [username, password, hostname, pathname].map(decodeURIComponent).every((part) => !/\p{Cc}/u.test(part))
  } catch {
    return false
  }
}

const parametersMistake = ({ searchParams, hash, hostname, pathname }: URL): string | undefined => {
  const names = [...searchParams.keys()]
  const unknown = names.find((name) => !known.includes(name))
  if (unknown !== undefined) return `has an unknown parameter; known are ${known.join(', ')} (nearest: ${nearest(unknown, known)})`
  if (new Set(names).size < names.length) return 'has a parameter twice'
  const empty = names.find((name) => name !== 'sslmode' && /^$|\p{Cc}/u.test(searchParams.get(name) ?? ''))
  if (empty !== undefined) return `has no readable value for ${empty}`
  if (hash !== '') return 'holds a #: escape it as %23'
  if (hostname === '' && !searchParams.get('host')?.startsWith('/')) return 'names no host'
  if (pathname.slice(1).includes('/')) return 'must name one database behind the host'
  return tlsMistake(searchParams)
}

/** Prefer and require accept any certificate or none: whoever is in between can read along, and nobody notices. */
const tlsMistake = (parameters: URLSearchParams): string | undefined => {
  const mode = parameters.get('sslmode')
  if (mode !== null && mode !== 'verify-full' && mode !== 'disable') {
    return 'must have sslmode=verify-full (or disable): weaker modes accept a server with any certificate'
  }
  if (mode !== 'verify-full' && known.slice(2).some((name) => parameters.has(name))) return 'names certificates without sslmode=verify-full'
  return parameters.has('sslcert') === parameters.has('sslkey') ? undefined : 'must name sslcert and sslkey together'
}
