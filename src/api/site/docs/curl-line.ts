import type { Operation, Parameter } from '../document.ts'

/** The call as a command for a POSIX shell. Secrets are read from a file, so that none is in the history. */
export const curlLine = (address: string, method: string, path: string, operation: Operation): string => {
  const { parameters = [], requestBody, security } = operation
  const url = address + path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(exampleOf(parameters, name)))
  const [type, media] = Object.entries(requestBody?.content ?? {})[0] ?? []
  const isOpen = security.some((requirement) => Object.keys(requirement).length === 0)
  return [
    `curl ${methodFlag(method, media !== undefined)}${quoted(url)}`,
    ...(isOpen ? [] : [`-H "Authorization: Bearer $(cat ${credentialFile})"`]),
    ...(type === undefined ? [] : [`-H ${quoted(`Content-Type: ${type}`)}`]),
    ...(media === undefined ? [] : [`-d ${quoted(JSON.stringify(media.example ?? {}))}`]),
  ].join(' \\\n  ')
}

/** Where whoever copies the line has put an access token or an API key. */
export const credentialFile = 'token'

/** curl takes GET for what brings nothing, POST for what brings a body. */
const methodFlag = (method: string, hasBody: boolean): string => {
  if (method === 'HEAD') return '--head '
  return method === (hasBody ? 'POST' : 'GET') ? '' : `-X ${method} `
}

const exampleOf = (parameters: readonly Parameter[], wanted: string): string => {
  const { examples = [] } = (parameters.find(({ name }) => name === wanted)?.schema ?? {}) as { readonly examples?: readonly string[] }
  return examples[0] ?? wanted
}

/** Within single quotes a POSIX shell reads everything as it stands but the quote itself (POSIX.1-2024, Shell Command Language, 2.2.2). */
const quoted = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`
