import { hostMistake, isLoopback } from './networks.ts'

/** What is wrong with `limits.store`, as the end of a sentence. Never shows the value: it may hold a password. */
export const redisUrlMistake = (text: string): string | undefined => {
  if (text === 'memory') return undefined
  if (!/^(?:rediss?|valkeys?):\/\//.test(text)) {
    return (
      'must be "memory" or begin with redis://, rediss://, valkey:// or valkeys:// ' +
      '(FILMGATE_LIMITS_STORE wins over a REDIS_URL that is meant for something else)'
    )
  }
  // Before the URL is read: unescaped in a password, they would end its host.
  if (text.includes('#')) return 'holds a #: escape it as %23'
  if (text.includes('?')) return 'holds a ?: escape it as %3F in a password; there are no parameters'
  if (!URL.canParse(text) || !decodes(new URL(text))) {
    return 'is not a URL: it must be redis://user:password@host:6379/0, with @ : / ? # and % in a password escaped (%40 for @)'
  }
  return partsMistake(new URL(text))
}

/** Whether what is sent to `limits.store` can be read and changed on its way: another machine, and no TLS. */
export const isRedisExposed = (text: string): boolean => {
  if (!/^(?:redis|valkey):/.test(text)) return false
  return !isLoopback(new URL(text).hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, ''))
}

const decodes = ({ username, password }: URL): boolean => {
  try {
    return [username, password].map(decodeURIComponent).every((part) => !/\p{Cc}/u.test(part))
  } catch {
    return false
  }
}

const partsMistake = ({ username, password, hostname, port, pathname }: URL): string | undefined => {
  // redis://secret@host reads like a password and is a user name, which nothing would hide.
  if (username !== '' && password === '') return 'names a user without a password: a password alone is redis://:password@host'
  if (hostname === '') return 'names no host'
  if (hostMistake(hostname.replace(/\.$/, '')) !== undefined) return 'must name one host, such as cache.example.com or [::1]'
  if (port === '0') return 'has the port 0, where nothing can listen'
  if (!/^\/?$|^\/(?:0|[1-9]\d{0,4})$/.test(pathname)) return 'may have nothing behind the host but the number of a database, such as /0'
  return undefined
}
