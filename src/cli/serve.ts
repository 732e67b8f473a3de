import { serve as startServing } from '../serve.ts'
import type { Command } from './command.ts'
import { tell } from './output.ts'
import { welcome } from './welcome.ts'

export const serve: Command = {
  name: 'serve',
  summary: 'Runs the server until SIGTERM or SIGINT',
  details: `Standard output is the log, one JSON record a line; what is meant for people goes to standard error.
SIGHUP reads the configuration again and takes over what can change: limits, throttling, concurrency, log.
SIGTERM or SIGINT stops accepting, answers what is in flight (10 s at most) and ends with 0.`,
  withoutJson: true,
  example: 'FILMGATE_SERVER_PORT=8080 filmgate serve',
  run: async ({ loadConfig }) => {
    const config = loadConfig()
    // Before the start, so that a signal during it stops cleanly too.
    const signalled = new Promise<string>((resolve) => {
      process.on('SIGTERM', resolve)
      process.on('SIGINT', resolve)
    })
    const starting = startServing({ config, print: tell, hasTerminal: process.stderr.isTTY })
    // Early too: unheard, it would end the process.
    process.on('SIGHUP', () => void starting.then((serving) => serving.reload(loadConfig)).catch(() => undefined))
    const serving = await Promise.race([starting, signalled.then(() => undefined)])
    // Nobody was answered yet, and what a start stores is all or nothing; a database that hangs would keep it from ever coming to an end.
    if (serving === undefined) return 0
    tell(welcome(config, serving))
    await serving.stop(await signalled)
    return 0
  },
}
