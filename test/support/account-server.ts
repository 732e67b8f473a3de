import { claimAdmin, type LoggedIn } from './accounts.ts'
import type { DatabaseKind, Place } from './databases.ts'
import { raisedLimits, startServer, type TestServer } from './server.ts'

export interface AccountServer extends AsyncDisposable {
  readonly place: Place
  readonly server: TestServer
  /** The first one, logged in just now. */
  readonly admin: LoggedIn
}

export interface AccountServerOptions {
  readonly toml?: string
  /** While nobody has an account yet. */
  readonly beforeClaim?: (server: TestServer) => Promise<void>
}

/** The program on a place of its own, which goes with it, and its first admin. */
export const openAccountServer = async (
  kind: Pick<DatabaseKind, 'place'>,
  { toml = raisedLimits, beforeClaim }: AccountServerOptions = {},
): Promise<AccountServer> => {
  await using opened = new AsyncDisposableStack()
  const place = opened.use(await kind.place())
  const server = opened.use(await startServer({ toml, env: place.env, dataDir: place.dataDir }))
  await beforeClaim?.(server)
  const admin = await claimAdmin(server)
  const kept = opened.move()
  return { place, server, admin, [Symbol.asyncDispose]: () => kept.disposeAsync() }
}
