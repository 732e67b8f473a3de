import { type ApiKeyRepository, createApiKeyRepository } from '../api/accounts/api-keys.ts'
import { openStarterKey } from '../api/accounts/starter-key.ts'
import { createFilmRepository, type FilmRepository } from '../api/films/repository.ts'
import { importStarterFilms } from '../api/films/starter-films.ts'
import { agreeOnKey } from '../api/installation.ts'
import { createVoteRepository, type VoteRepository } from '../api/votes/repository.ts'
import { type Config, ConfigError } from '../config.ts'
import type { Clock } from '../core/clock.ts'
import { Problem } from '../core/errors.ts'
import type { Observe } from '../core/events.ts'
import { type MasterKey, openMasterKey } from '../credentials/master-key.ts'
import { type Database, DatabaseError, explainConnectFailure, openDatabase } from '../db/open.ts'
import { openDataDir } from './data-folder.ts'

export interface Stores {
  /** The folder in which the database grows; undefined where a server keeps it. */
  readonly databaseDir: string | undefined
  readonly masterKey: MasterKey
  readonly database: Database
  readonly films: FilmRepository
  readonly votes: VoteRepository
  readonly keys: ApiKeyRepository
  readonly starterKeyPath: string
}

interface StoresOptions {
  readonly config: Config
  readonly clock: Clock
  readonly observe: Observe
  /** For people: the progress of a first start. */
  readonly print: (text: string) => void
}

/** Data folder, keys and database, with what a first start puts into them. Throws a `ConfigError` where the database cannot be used. */
export const openStores = async ({ config, clock, observe, print }: StoresOptions): Promise<Stores> => {
  const dataDir = openDataDir(config)
  const masterKey = openMasterKey(dataDir, config.secrets.key)
  const { url } = config.database
  const sharedKey = url === 'sqlite' ? undefined : masterKey
  const database = await blamed(config, openDatabase({ url, dataDir, observe }))
  const films = createFilmRepository(database, clock)
  const keys = createApiKeyRepository(database, clock.epochMs)
  const prepare = async (): Promise<string> => {
    if (sharedKey) await agreeOnKey(database, sharedKey, url)
    const path = await openStarterKey({ dataDir, keys, sharedKey })
    await importStarterFilms(films, print)
    return path
  }
  const starterKeyPath = await blamed(config, prepare())
  const votes = createVoteRepository(database, clock.epochMs)
  return { databaseDir: sharedKey ? undefined : dataDir, masterKey, database, films, votes, keys, starterKeyPath }
}

/** A database that cannot be used is a mistake in the configuration: it is told like one, with the place where it was set. */
const blamed = async <T>(config: Config, work: Promise<T>): Promise<T> => {
  try {
    return await work
  } catch (error) {
    const { url } = config.database
    const blame = error instanceof Problem && url !== 'sqlite' ? explainConnectFailure({ url }, error) : error
    if (!(blame instanceof DatabaseError)) throw error
    const { key, message } = blame
    throw new ConfigError([{ key, message, source: config.origins.get(key) ?? 'default' }])
  }
}
