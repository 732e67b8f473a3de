import { Problem } from '../core/errors.ts'
import { DatabaseError, type DatabaseLocation } from './database.ts'
import { describeAddress, type PostgresAddress, parsePostgresUrl } from './postgres-url.ts'

/** By code of Node, of TLS (OpenSSL's names) or SQLSTATE (appendix A of the manual): what it means and what to check. */
const reasons: readonly (readonly [code: RegExp, meaning: string])[] = [
  [/^ECONNREFUSED$/, 'nothing listens there. Is PostgreSQL running, and is the port right?'],
  [/^ENOENT$/, 'there is no such socket, or no such certificate file. Is PostgreSQL running, and are the paths right?'],
  [/^EACCES$/, 'this user may not use that socket or read that file'],
  [/^(ENOTFOUND|EAI_AGAIN)$/, 'no such host name is known here'],
  [/^(EHOSTUNREACH|ENETUNREACH|ETIMEDOUT)$/, 'no route leads there. Is a firewall in between?'],
  [/^28/, 'the server refuses this user. Check user, password and pg_hba.conf'],
  [/^3D000$/, 'there is no such database. Create it with createdb'],
  [/^42501$/, 'this user may not do that. Make it the owner of the database'],
  [/^53300$/, 'the server has no connection left. Raise max_connections, or stop what holds them'],
  [/^55P03$/, 'another instance has been changing the schema for a minute. Look at what it is doing'],
  [/^57P0/, 'the server is starting or stopping. Try again'],
  [/^25006$/, 'the server takes no writes. Is it a standby?'],
  [/^ERR_TLS_CERT_ALTNAME_INVALID$/, 'its certificate is for another host'],
  [/^CERT_HAS_EXPIRED$/, 'its certificate has expired'],
  [
    /^(SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT|UNABLE_TO_VERIFY_LEAF_SIGNATURE|UNABLE_TO_GET_ISSUER_CERT.*|CERT_SIGNATURE_FAILURE)$/,
    'its certificate is not signed by a trusted authority. Name the right one with sslrootcert=FILE',
  ],
  [/^ERR_MODULE_NOT_FOUND$/, 'that needs the package pg, which is not installed: npm install pg'],
  [/^ERR_OSSL_/, 'TLS fails. Are the certificate files PEM, and do key and certificate belong together?'],
]

const byMessage: readonly (readonly [message: RegExp, meaning: string])[] = [
  [/does not support SSL/i, 'the server speaks no TLS. Switch it on there (ssl = on)'],
  [/timeout|terminated unexpectedly/i, 'there is no answer. Is that PostgreSQL, and is a firewall in between?'],
  [/password must be a string|SASL/i, 'the server wants a password, and there is none in the URL, or it is not the right one'],
]

/** What refused a read or a write has told the log, not us. */
const unusable =
  'it answers, but what a start reads and writes there fails (sys_store_failure says why). Is it a standby, or a pool in transaction mode, or may this user not write?'

/** With the host, never with the password or with text of the server, which may quote anything. */
export const explainConnectFailure = (location: Pick<DatabaseLocation, 'url'>, error: unknown): DatabaseError => {
  if (error instanceof DatabaseError) return error
  if (error instanceof Problem) return new DatabaseError(location, `cannot use ${where(location)}: ${unusable}`, error)
  // An address that is tried over IPv6 and IPv4 fails with one error for each.
  const first: unknown = error instanceof AggregateError ? (error.errors[0] as unknown) : error
  const { code, message } = first as { code?: unknown; message?: unknown }
  const known = reasons.find(([pattern]) => pattern.test(String(code))) ?? byMessage.find(([pattern]) => pattern.test(String(message)))
  const meaning = known?.[1] ?? `it failed (${typeof code === 'string' ? code : 'no code'})`
  return new DatabaseError(location, `cannot use ${where(location)}: ${meaning}`, error)
}

const where = ({ url }: Pick<DatabaseLocation, 'url'>): string => {
  const { host, port, database }: Pick<PostgresAddress, 'host' | 'port' | 'database'> = parseWithoutFiles(url)
  return describeAddress({ host, port, database } as PostgresAddress)
}

/** The certificate files may be what failed. */
const parseWithoutFiles = (text: string): PostgresAddress => {
  const url = new URL(text)
  for (const name of ['sslrootcert', 'sslcert', 'sslkey']) url.searchParams.delete(name)
  return parsePostgresUrl(url.href)
}
