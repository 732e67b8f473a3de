export interface RedisAddress {
  readonly host: string
  readonly port: number
  readonly tls: boolean
  readonly username: string | undefined
  readonly password: string | undefined
  readonly database: number
  /** For messages: without name and password. */
  readonly label: string
}

const schemes: Readonly<Record<string, boolean>> = { 'redis:': false, 'rediss:': true, 'valkey:': false, 'valkeys:': true }

/** `redis[s]://` or `valkey[s]://[[user]:password@]host[:port][/database]`. Throws an Error that shows nothing of the URL, for it may hold a password. */
export const parseRedisUrl = (text: string): RedisAddress => {
  const url = URL.parse(text)
  const tls = url === null ? undefined : schemes[url.protocol]
  if (url === null || tls === undefined || url.hostname === '')
    throw new Error('the address of Redis must be redis://host:port, or rediss://, valkey:// or valkeys://')
  const database = /^\/?(\d{0,4})$/.exec(url.pathname)?.[1]
  if (database === undefined) throw new Error('the address of Redis may end in /NUMBER of a database, and in nothing else')
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  const port = url.port === '' ? 6379 : Number(url.port)
  const { protocol, hostname, username, password } = url
  return {
    host,
    port,
    tls,
    username: username === '' ? undefined : decoded(username),
    password: password === '' ? undefined : decoded(password),
    database: Number(database),
    label: `${protocol}//${hostname}:${port}`,
  }
}

const decoded = (part: string): string => {
  try {
    return decodeURIComponent(part)
  } catch {
    throw new Error('the name or password in the address of Redis is not encoded as a URL needs it')
  }
}
