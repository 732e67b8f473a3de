import { describeApp } from '../serve/describe.ts'
import type { Command } from './command.ts'
import { printJson } from './output.ts'

export const openapi: Command = {
  name: 'openapi',
  summary: 'Prints the OpenAPI 3.1 document of the API',
  details: 'The same that a server with this configuration answers at /openapi.json. It is JSON with or without --json.',
  example: 'filmgate openapi > openapi.json',
  run: async ({ loadConfig }) => {
    const { description } = await describeApp(loadConfig())
    await printJson(description())
    return 0
  },
}
