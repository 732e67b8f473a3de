/** A real server for one scenario, those who come to it, and what its log says of them afterwards. */
import { join } from 'node:path'

import { runTool, type ToolRun } from '../../scripts/attack-tools/run-tool.ts'
import { type ClockFile, openClock } from '../../test/support/clock-file.ts'
import { runCommand, temporaryFolder } from '../../test/support/command.ts'
import { type LogRecord, startServer, type TestServer } from '../../test/support/server.ts'
import { createVisitor, type Visitor, type VisitorOptions } from './visitor.ts'

export interface FieldOptions {
  /** `default`: as everybody has it. `raised`: where hours of traffic come in seconds, and the pace of limits is not the matter. */
  readonly limits?: 'default' | 'raised'
  /** The server's wall clock can be moved. Buckets leak by the other one: to them all of it comes at once, which is harder on good traffic than time would be. */
  readonly lapse?: true
  /** In a network of its own, in which tools come from an address that is not loopback. */
  readonly own?: true
}

export interface Field extends AsyncDisposable {
  readonly server: TestServer
  /** Somebody behind the proxy that is this machine. */
  visitor(address: string, options?: Partial<VisitorOptions>): Visitor
  /** Lets the time of the server go by, where its clock can be moved. */
  pass(seconds: number): void
  /** Runs a tool against the server, from beside it, until its time is up or the server has refused what it sends a few times. */
  tool(command: readonly string[], timeoutS: number): Promise<ToolRun>
  /** A folder for the files of a tool. */
  readonly folder: string
  /** Ends the server and gives back everything that it has told. */
  finish(): Promise<readonly LogRecord[]>
}

/** Of TEST-NET-2 (RFC 5737): where the tools are, and the server. */
export const toolAddress = '198.51.100.8'

const inOwnNetwork = (command: readonly string[]): readonly string[] => [
  'unshare',
  '-rn',
  'sh',
  '-c',
  `ip link set lo up && ip addr add ${toolAddress}/32 dev lo && exec "$@"`,
  'sh',
  ...command,
]

/** Every limit is counted and none is met. */
const raisedLimits = `
[limits]
default = "100000000 per day"
authenticated = "100000000 per day"
total = "100000000 per day"
[limits.routes]
"GET /" = { only = "100000000 per day" }
"POST /add_film" = { only = "100000000 per day" }
"POST /v1/auth/login" = { only = "100000000 per day" }
"POST /v1/users" = { only = "100000000 per day" }
"POST /v1/keys" = { only = "100000000 per day" }
[auth]
login_failures = "1000000 per day"
account_failures = "1000000 per day"
`

/** All visitors come through one proxy, so their connections are one client's to the transport, but no two of them to anything behind it. */
const behindProxy = { FILMGATE_SERVER_TRUSTED_PROXIES: '127.0.0.1/32', FILMGATE_SERVER_MAX_CONNECTIONS_PER_CLIENT: '1000' }
const besideTools = { FILMGATE_SERVER_HOST: toolAddress, FILMGATE_SERVER_TRUSTED_PROXIES: '192.0.2.1/32' }

/** On a public address it starts only with an admin. */
const addAdmin = async (dataDir: string, folder: string): Promise<void> => {
  const adding = ['user', 'add', 'root', '--role', 'admin', '--password-stdin']
  const { code, stderr } = await runCommand(adding, { dataDir, cwd: folder, input: 'seven kestrels over the marsh' })
  if (code !== 0) throw new Error(`filmgate user add: ${stderr}`)
}

/** The tool is told that it is over by the answers; when it does not listen, it is ended: what comes then proves nothing more. */
const enoughRefusals = 10

const openTool = (server: TestServer, folder: string): Field['tool'] => {
  const enter = ['nsenter', '-t', String(server.process.pid), '-U', '-n', '--preserve-credentials']
  return async (command, timeoutS) => {
    const over = new AbortController()
    const watch = setInterval(() => {
      if (server.log().filter(({ event }) => event === 'decision_enforced').length >= enoughRefusals) over.abort()
    }, 100)
    try {
      return await runTool([...enter, ...command], { cwd: folder, timeoutS, signal: over.signal })
    } finally {
      clearInterval(watch)
    }
  }
}

/** Servers that are still there when this process goes. */
const servers = new Set<TestServer>()
process.on('exit', () => servers.forEach(({ process: child }) => child.kill('SIGKILL')))

export const openField = async ({ limits = 'default', lapse, own }: FieldOptions = {}): Promise<Field> => {
  await using opened = new AsyncDisposableStack()
  const folder = opened.use(temporaryFolder()).path
  const dataDir = join(folder, 'data')
  const clock: ClockFile | undefined = lapse ? opened.use(openClock()) : undefined
  if (own) await addAdmin(dataDir, folder)
  const server = opened.use(
    await startServer({
      toml: limits === 'default' ? '' : raisedLimits,
      dataDir,
      ...(own ? { wrap: inOwnNetwork } : {}),
      env: { ...(own ? besideTools : behindProxy), ...clock?.env },
    }),
  )
  servers.add(server)
  let offsetMs = 0
  const kept = opened.move()
  return {
    server,
    folder,
    visitor: (address, options) => createVisitor(server.port, { address, ...options }),
    pass: (seconds) => clock?.setOffset((offsetMs += seconds * 1000)),
    tool: openTool(server, folder),
    finish: async () => {
      await server.kill('SIGTERM')
      return server.log()
    },
    [Symbol.asyncDispose]: async () => {
      servers.delete(server)
      await kept.disposeAsync()
    },
  }
}
