import { createAccountRepository } from '../api/accounts/accounts.ts'
import { createApiKeyRepository, createApiKeyStatements } from '../api/accounts/keys/api-keys.ts'
import { createClaimCodes } from '../api/accounts/claim/claim-codes.ts'
import { openStarterKey } from '../api/accounts/keys/starter-key.ts'
import { type AuditTrail, createAuditTrail } from '../api/audit/trail.ts'
import { createFilmRepository, type FilmRepository } from '../api/films/repository.ts'
import { importStarterFilms } from '../api/films/starter-films.ts'
import { agreeOnKey } from '../api/installation.ts'
import { createDecisionRepository, type DecisionRepository } from '../api/security/decision-repository.ts'
import { createVoteRepository, type VoteRepository } from '../api/votes/repository.ts'
import { type Config, ConfigError } from '../config.ts'
import type { Clock } from '../core/clock.ts'
import { Problem } from '../core/errors.ts'
import type { Observe } from '../core/events.ts'
import { type MasterKey, openMasterKey } from '../credentials/master-key.ts'
import { type Database, DatabaseError, explainConnectFailure, type OnQuery, openDatabase } from '../db/open.ts'
import { type ClaimInvitation, openClaim } from './claim.ts'
import { openDataDir } from './data-folder.ts'
import { refuseUnclaimedBinding } from './public-binding.ts'

export interface Stores {
  /** The folder in which the database grows; undefined where a server keeps it. */
  readonly databaseDir: string | undefined
  readonly masterKey: MasterKey
  readonly database: Database
  readonly films: FilmRepository
  readonly votes: VoteRepository
  readonly trail: AuditTrail
  readonly decisions: DecisionRepository
  /** Undefined where there is an admin. */
  readonly starterKeyPath: string | undefined
  readonly claim: ClaimInvitation | undefined
}

interface StoresOptions {
  readonly config: Config
  readonly clock: Clock
  readonly observe: Observe
  /** For people: the progress of a first start. */
  readonly print: (text: string) => void
  /** Whether what is printed is seen at once and kept nowhere. */
  readonly hasTerminal: boolean
  readonly onQuery: OnQuery
}

/** Data folder, keys and database, with what a first start puts into them. Throws a `ConfigError` where the database cannot be used. */
export const openStores = async ({ config, clock, observe, print, hasTerminal, onQuery }: StoresOptions): Promise<Stores> => {
  const dataDir = openDataDir(config)
  const masterKey = openMasterKey(dataDir, config.secrets.key)
  const { url } = config.database
  const sharedKey = url === 'sqlite' ? undefined : masterKey
  const database = await blamed(config, openDatabase({ url, dataDir, observe, onQuery }))
  const films = createFilmRepository(database, clock)
  const keys = createApiKeyRepository(database, clock.epochMs)
  const accounts = createAccountRepository(database)
  const trail = createAuditTrail(database, clock.epochMs, masterKey.derive('audit'))
  const prepare = async (): Promise<Pick<Stores, 'starterKeyPath' | 'claim'>> => {
    if (sharedKey) await agreeOnKey(database, sharedKey, url)
    refuseUnclaimedBinding(config, await accounts.hasAdmin())
    const statements = createApiKeyStatements(database, clock.epochMs)
    const path = await openStarterKey({ dataDir, accounts, keys, statements, trail, sharedKey })
    await importStarterFilms(films, print)
    const codes = createClaimCodes(database, clock.epochMs)
    return { starterKeyPath: path, claim: await openClaim({ dataDir, accounts, codes, hasTerminal }) }
  }
  const prepared = await blamed(config, prepare())
  const votes = createVoteRepository(database, clock.epochMs)
  const decisions = createDecisionRepository({ database, trail, epochMs: clock.epochMs })
  return { databaseDir: sharedKey ? undefined : dataDir, masterKey, database, films, votes, trail, decisions, ...prepared }
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
