import { existsSync } from 'node:fs'
import { join } from 'node:path'

import { sql, type Kysely } from 'kysely'

import type { Config } from '../../config.ts'
import { schemaState } from '../../db/migrate.ts'
import { type Database, type DatabaseLocation, openDatabase } from '../../db/open.ts'
import type { Tables } from '../../db/tables.ts'
import { fail, type Finding, ok, warn } from './finding.ts'

/** Reachable, of the right schema, writable; and what only a PostgreSQL server can have wrong. Changes nothing that lasts. */
export const checkDatabase = async ({ data, database }: Config): Promise<Finding[]> => {
  const location: DatabaseLocation = { url: database.url, dataDir: data.dir }
  const embedded = location.url === 'sqlite'
  if (embedded && !existsSync(join(data.dir, 'filmgate.db'))) return [ok('database', 'not there yet; the first start makes it')]
  try {
    const { applied, pending, unknown } = await schemaState(location)
    const reached = ok('database', embedded ? `SQLite in ${JSON.stringify(data.dir)}` : 'PostgreSQL answers')
    if (unknown.length > 0) {
      return [
        reached,
        fail('schema', `it is newer than this program (${unknown.join(', ')})`, 'run the newer release, or restore a backup'),
      ]
    }
    if (pending.length > 0) return [reached, warn('schema', `${pending.join(', ')} is missing`, 'filmgate migrate, or start the server')]
    return [reached, ok('schema', `up to date: ${applied.toSorted().at(-1)}`), ...(await withDatabase(location, embedded))]
  } catch (error) {
    return [unusable(error, embedded)]
  }
}

const unusable = (error: unknown, embedded: boolean): Finding => {
  const reason = error instanceof Error ? error.message : 'it fails'
  const fix = embedded
    ? 'check owner and mode of the files in data.dir; where the file itself is damaged, restore a backup'
    : 'check that the server runs, and host, port, user and password in database.url (DATABASE_URL)'
  return fail('database', reason, fix)
}

const withDatabase = async (location: DatabaseLocation, embedded: boolean): Promise<Finding[]> => {
  const database = await openDatabase(location)
  try {
    return [await writable(database, embedded), ...(embedded ? [] : await serverFindings(database.reader))]
  } finally {
    await database.close()
  }
}

/** A write that is on the disk and undone again, as /readyz does it. */
const writable = async (database: Database, embedded: boolean): Promise<Finding> => {
  try {
    await database.probe()
    return ok('writes', 'a write reached the disk')
  } catch (error) {
    const fix = embedded
      ? 'check free space and the owner of the files in data.dir'
      : 'check that it is no standby (select pg_is_in_recovery()) and that its disk is not full'
    return fail('writes', `cannot be written: ${error instanceof Error ? error.message : 'it fails'}`, fix)
  }
}

interface Server {
  readonly version: string
  readonly number: number
  readonly fsync: string
  readonly pages: string
  readonly synchronous: string
  readonly tls: boolean | null
  readonly local: boolean
  readonly skew: number
}

/** The oldest PostgreSQL that its makers still mend. */
const leastPostgres = 140_000

const serverFindings = async (reader: Kysely<Tables>): Promise<Finding[]> => {
  const { rows } = await sql<Server>`
    select current_setting('server_version') as version, current_setting('server_version_num')::int as number,
      current_setting('fsync') as fsync, current_setting('full_page_writes') as pages,
      (select reset_val from pg_settings where name = 'synchronous_commit') as synchronous,
      (select ssl from pg_stat_ssl where pid = pg_backend_pid()) as tls,
      inet_server_addr() is null or host(inet_server_addr()) in ('127.0.0.1', '::1') as local,
      extract(epoch from clock_timestamp())::float8 - ${Date.now() / 1000}::float8 as skew`.execute(reader)
  const [server] = rows
  return server === undefined ? [] : [version(server), durability(server), tls(server), skew(server)]
}

const version = ({ version: text, number }: Server): Finding =>
  number >= leastPostgres
    ? ok('PostgreSQL', text)
    : warn('PostgreSQL', `${text} gets no more security fixes`, 'upgrade the server (postgresql.org/support/versioning)')

const durability = ({ fsync, pages, synchronous }: Server): Finding => {
  const off = [...(fsync === 'on' ? [] : ['fsync']), ...(pages === 'on' ? [] : ['full_page_writes'])]
  if (off.length > 0) {
    return fail(
      'durability',
      `${off.join(' and ')} ${off.length === 1 ? 'is' : 'are'} off: a power cut can lose or damage what was acknowledged`,
      off.map((name) => `alter system set ${name} = on;`).join(' ') + ' select pg_reload_conf();',
    )
  }
  return synchronous === 'off'
    ? warn(
        'durability',
        'synchronous_commit is off on the server; Filmgate switches it on for its own writes',
        'alter system set synchronous_commit = on; select pg_reload_conf();',
      )
    : ok('durability', 'fsync, full_page_writes and synchronous_commit are on')
}

const tls = ({ tls: encrypted, local }: Server): Finding => {
  if (encrypted === true) return ok('database TLS', 'in use')
  return local
    ? ok('database TLS', 'not in use, on the same machine')
    : fail(
        'database TLS',
        'not in use: whoever is in between can read and change everything',
        'switch ssl on at the server, and add ?sslmode=verify-full&sslrootcert=FILE to database.url',
      )
}

/** More than this shows in the order of votes. */
const mostSkewSeconds = 5

const skew = ({ skew: seconds }: Server): Finding =>
  Math.abs(seconds) <= mostSkewSeconds
    ? ok('database clock', 'agrees with this machine')
    : warn(
        'database clock',
        `${Math.abs(seconds).toFixed(0)} s ${seconds > 0 ? 'ahead of' : 'behind'} this machine`,
        'keep both right: timedatectl set-ntp true',
      )
