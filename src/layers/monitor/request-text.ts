/** The text of requests, in the one spelling that patterns are written for. */

/** Characters that are looked at: the beginning and, for what is hidden behind padding, the end. */
const maxHead = 3072
const maxTail = 1024
/** Members of a body. */
const maxNodes = 256

/** Nothing that means anything to SQL, a shell, a template, JavaScript or a file system. */
export const isPlain = (target: string): boolean =>
  target.length < 512 && plain.test(target) && !target.includes('..') && !target.includes('__')

const plain = /^[\w./-]*(?:\?[\w=&-]*)?$/

/** The path, and all text of the request in lines: the path, names and values of the query, and of the body. */
export const textsOf = (target: string, body: unknown): { readonly path: string; readonly text: string } => {
  const short = bounded(target)
  const end = short.indexOf('?')
  const path = decoded(end === -1 ? short : short.slice(0, end))
  const lines = [path]
  if (end !== -1) lines.push(...pairs(short.slice(end + 1)))
  if (body != null) addStrings(lines, body)
  return { path: normal(path), text: bounded(lines.map(normal).join('\n')) }
}

const bounded = (text: string): string =>
  text.length <= maxHead + maxTail ? text : `${text.slice(0, maxHead)}\n${text.slice(text.length - maxTail)}`

/** Names and values; a value may hold further equals signs. */
const pairs = (query: string): string[] =>
  query
    .replaceAll('+', ' ')
    .split('&', maxNodes)
    .flatMap((pair) => {
      const at = pair.indexOf('=')
      return at === -1 ? [decoded(pair)] : [decoded(pair.slice(0, at)), decoded(pair.slice(at + 1))]
    })

/** Two levels, as proxies and careless programs decode. Byte by byte: all that is looked for is ASCII, and a broken escape must not throw. */
const decoded = (text: string): string => (text.includes('%') ? decodedOnce(decodedOnce(text)) : text)

const decodedOnce = (text: string): string => text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)))

/** Small letters, one blank for what SQL takes for one (its comments too, and what MySQL does with `/*!50000 …`), no NUL, no line break. */
export const normal = (text: string): string =>
  text
    .replaceAll('\0', '')
    .replace(/\/\*!?\d{0,6}|\*\//g, ' ')
    .replace(/\s+/g, ' ')
    .toLowerCase()

/** Names and texts of a JSON body, without recursion: its depth is the client's. */
const addStrings = (lines: string[], body: unknown): void => {
  const waiting: unknown[] = [body]
  let left = maxHead + maxTail
  for (let nodes = 0; nodes < maxNodes && left > 0 && waiting.length > 0; nodes++) {
    const value = waiting.shift()
    if (typeof value === 'string') {
      const short = bounded(value)
      lines.push(short)
      left -= short.length
    } else if (Array.isArray(value)) waiting.push(...value.slice(0, maxNodes))
    else if (typeof value === 'object' && value !== null && !ArrayBuffer.isView(value)) {
      for (const name of Object.keys(value).slice(0, maxNodes)) waiting.push(name, (value as Readonly<Record<string, unknown>>)[name])
    }
  }
}
