import { describeRoutes } from '../serve/describe.ts'
import type { Command } from './command.ts'
import { print, printJson, table } from './output.ts'

export const routes: Command = {
  name: 'routes',
  summary: 'Prints every route with who may call it, how often, and with what',
  details: `Made by the program itself from its routes and this configuration, without opening the database or a port.
Limits of a client without credentials are counted for each route, those of a subject over all routes but
for the ones marked "route"; every answer also counts in limits.total. "session" wants a login
here instead of an API key, "fresh login" one of the last five minutes.`,
  example: 'filmgate routes --json',
  run: async ({ json, loadConfig }) => {
    const config = loadConfig()
    const described = await describeRoutes(config)
    if (json) {
      await printJson(described)
      return 0
    }
    const head = ['LISTENER', 'METHOD', 'PATH', 'ACCESS', 'ANONYMOUS', 'SUBJECT', 'BODY', 'ANSWERS', 'CORS']
    const rows = described.map(({ listener, method, path, access, sessionOnly, freshLogin, limits, bodyLimitBytes, produces, cors }) => [
      listener,
      method,
      path,
      [access, ...(sessionOnly ? ['session'] : []), ...(freshLogin ? ['fresh login'] : [])].join(', '),
      limits.anonymous ?? '-',
      limits.subject ?? '-',
      String(bodyLimitBytes),
      produces,
      cors ?? '-',
    ])
    await print(
      `${table([head, ...rows])}\nEvery answer of the listener api also counts in total, for each client: ${config.limits.total}\n`,
    )
    return 0
  },
}
