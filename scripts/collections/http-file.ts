import { filledVariables, givenVariables } from './course.ts'
import { defaultHost } from './postman.ts'
import type { Sample } from './samples.ts'
import { keyPlaceholder } from './thunder.ts'

const operatorPlaceholder = 'PASTE-THE-KEY-OF-AN-OPERATOR'

/** What stands in the file until somebody puts the real one there. */
export const placeholderOf = (variable: string): string => {
  if (variable === 'apiKey') return keyPlaceholder
  if (variable === 'operatorKey') return operatorPlaceholder
  return `PASTE-THE-${variable.replaceAll(/[A-Z]/g, '-$&').toUpperCase()}`
}

/**
 * A file for the HTTP clients of editors. Its variables stand in it: files of variables differ from editor to editor, and so does how an
 * answer gets into one, so people do that. None is empty, because httpyac takes a line like `@apiKey =` for a request.
 */
export const httpFile = (samples: readonly Sample[]): string =>
  `# Filmgate. Made by npm run collections from the description of the API.

@host = ${defaultHost}
${givenVariables.map(({ key, value, description }) => `# ${description}\n@${key} = ${value === '' ? placeholderOf(key) : value}`).join('\n')}
# To be replaced by what the answers say, where a call below tells so.
${filledVariables.map((key) => `@${key} = ${placeholderOf(key)}`).join('\n')}

${samples.map(requestOf).join('\n')}`

const requestOf = ({ name, method, target, key, body, bodyType, expected, sets, computes }: Sample): string => {
  const fields = [
    ...(key === undefined ? [] : [`Authorization: Bearer {{${key}}}`]),
    ...(body === undefined ? [] : [`Content-Type: ${bodyType}`]),
  ]
  const told = [
    ...(computes === undefined ? [] : [`# ${computes} is what an authenticator app shows now for totpSecret.`]),
    ...Object.entries(sets ?? {}).map(([variable, member]) => `# Put behind @${variable} what the answer has in ${member}`),
  ]
  const lines = [`### ${name}: ${expected.statuses.join(' or ')}`, ...told, `${method} {{host}}${target}`, ...fields]
  return `${lines.join('\n')}\n${body === undefined ? '' : `\n${JSON.stringify(body, null, 2)}\n`}`
}
