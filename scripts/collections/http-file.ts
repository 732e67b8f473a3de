import { defaultHost } from './postman.ts'
import type { Sample } from './samples.ts'
import { keyPlaceholder } from './thunder.ts'

/**
 * A file for the HTTP clients of editors. Its variables stand in it: files of variables differ from editor to editor. None is empty, because
 * httpyac takes a line like `@key =` for a request.
 */
export const httpFile = (samples: readonly Sample[]): string =>
  `# Filmgate. Made by npm run collections from the description of the API.

@host = ${defaultHost}
# To be replaced by what stands in starter.key in the data folder of the server.
@key = ${keyPlaceholder}

${samples.map(requestOf).join('\n')}`

const requestOf = ({ name, method, target, authorized, body, expected }: Sample): string => {
  const fields = [
    ...(authorized ? ['Authorization: Bearer {{key}}'] : []),
    ...(body === undefined ? [] : ['Content-Type: application/json']),
  ]
  const lines = [`### ${name}: ${expected.statuses.join(' or ')}`, `${method} {{host}}${target}`, ...fields]
  return `${lines.join('\n')}\n${body === undefined ? '' : `\n${JSON.stringify(body, null, 2)}\n`}`
}
