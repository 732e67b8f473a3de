import { readFileSync } from 'node:fs'
import type { ConnectionOptions } from 'node:tls'

/** Where a PostgreSQL server is and as whom to go there. */
export interface PostgresAddress {
  /** A host name, an address, or the folder of a Unix socket. */
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string | undefined
  readonly database: string
  /** False for plain text; else what TLS must prove. */
  readonly ssl: ConnectionOptions | false
}

/**
 * Reads `postgres://user:password@host:port/database?sslmode=verify-full&sslrootcert=FILE`, as libpq does (PostgreSQL manual, section
 * 34.1.1.2): `host` as a parameter may name the folder of a Unix socket. TLS is verify-full or none: what libpq calls prefer or require
 * accepts any certificate, which stops nobody who can put himself in between. The configuration has checked the form; a certificate file
 * that cannot be read throws.
 */
export const parsePostgresUrl = (text: string): PostgresAddress => {
  const url = new URL(text)
  const given = (name: string): string | undefined => url.searchParams.get(name) ?? undefined
  const user = decodeURIComponent(url.username) || 'postgres'
  return {
    host: given('host') ?? (decodeURIComponent(url.hostname).replace(/^\[(.*)\]$/, '$1') || 'localhost'),
    port: Number(url.port || '5432'),
    user,
    password: url.password === '' ? undefined : decodeURIComponent(url.password),
    database: decodeURIComponent(url.pathname.slice(1)) || user,
    ssl: given('sslmode') === 'verify-full' ? tlsOptions(given) : false,
  }
}

/** Without sslrootcert, the certification authorities that Node trusts. */
const tlsOptions = (given: (name: string) => string | undefined): ConnectionOptions => {
  const files = { ca: given('sslrootcert'), cert: given('sslcert'), key: given('sslkey') }
  const contents = Object.entries(files).flatMap(([name, file]) => (file === undefined ? [] : [[name, readFileSync(file, 'utf8')]]))
  return { rejectUnauthorized: true, minVersion: 'TLSv1.2', ...(Object.fromEntries(contents) as ConnectionOptions) }
}

/** For messages: never the user or the password. */
export const describeAddress = ({ host, port, database }: PostgresAddress): string =>
  host.startsWith('/') ? `database ${database} through the socket in ${host}` : `database ${database} at ${host}:${port}`

/** Whether what is sent can be read on its way. */
export const isExposed = ({ host, ssl }: PostgresAddress): boolean =>
  ssl === false && !host.startsWith('/') && !/^(localhost|127\.\d+\.\d+\.\d+|::1)$/.test(host)
