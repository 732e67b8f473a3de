import { defaultHost } from './postman.ts'
import type { Sample } from './samples.ts'
import { keyPlaceholder } from './thunder.ts'

export const operatorPlaceholder = 'PASTE-THE-KEY-OF-AN-OPERATOR'

/**
 * A file for the HTTP clients of editors. Its variables stand in it: files of variables differ from editor to editor. None is empty, because
 * httpyac takes a line like `@apiKey =` for a request.
 */
export const httpFile = (samples: readonly Sample[]): string =>
  `# Filmgate. Made by npm run collections from the description of the API.

@host = ${defaultHost}
# To be replaced by what stands in starter.key in the data folder of the server.
@apiKey = ${keyPlaceholder}
# To be replaced by a key with the permissions security:read and security:write.
@operatorKey = ${operatorPlaceholder}

${samples.map(requestOf).join('\n')}`

const requestOf = ({ name, method, target, key, body, expected }: Sample): string => {
  const fields = [
    ...(key === undefined ? [] : [`Authorization: Bearer {{${key}}}`]),
    ...(body === undefined ? [] : ['Content-Type: application/json']),
  ]
  const lines = [`### ${name}: ${expected.statuses.join(' or ')}`, `${method} {{host}}${target}`, ...fields]
  return `${lines.join('\n')}\n${body === undefined ? '' : `\n${JSON.stringify(body, null, 2)}\n`}`
}
