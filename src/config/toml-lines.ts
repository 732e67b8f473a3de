import { parse } from 'smol-toml'

/** How a key is named everywhere: bare parts as they are, others quoted, so that `limits.routes."GET /"` is unambiguous. */
export const pathName = (path: readonly string[]): string =>
  path.map((part) => (/^[\w-]+$/.test(part) ? part : JSON.stringify(part))).join('.')

interface Token {
  readonly text: string
  readonly line: number
}

const lexeme =
  /"""(?:[^"\\]|\\[^]|"(?!""))*"{3,5}|'''(?:[^']|'(?!''))*'{3,5}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|#[^\n]*|[[\]{},=.\n]|[\w-]+|[^]/g

function tokenize(toml: string): Token[] {
  const tokens: Token[] = []
  let line = 1
  for (const [text] of toml.matchAll(lexeme)) {
    if (text === '\n' || (text.trim() !== '' && !text.startsWith('#'))) tokens.push({ text, line })
    line += text.split('\n').length - 1
  }
  return tokens
}

/**
 * The line of each key and table header in a document, which smol-toml does not tell. For documents that smol-toml accepts:
 * then these few rules are enough; for others the lines may be wrong, but nothing is thrown.
 */
export function keyLines(toml: string): (path: readonly string[]) => number {
  const lines = new Map<string, number>()
  const tokens = tokenize(toml)
  let at = 0
  const is = (text: string): boolean => tokens[at]?.text === text
  const note = (path: readonly string[], line: number): void => {
    const name = pathName(path)
    if (!lines.has(name)) lines.set(name, line)
  }

  const readKey = (table: readonly string[], end: string): readonly string[] => {
    const parts: string[] = []
    const line = tokens[at]?.line ?? 1
    for (; at < tokens.length && !is(end); at++) if (!is('.')) parts.push(unquote(tokens[at]?.text ?? ''))
    at++
    note([...table, ...parts], line)
    return [...table, ...parts]
  }

  const readValue = (path: readonly string[]): void => {
    while (is('\n')) at++
    if (is('{') || is('[')) readContainer(path, is('{') ? '}' : ']')
    else while (at < tokens.length && ![',', ']', '}', '\n'].includes(tokens[at]?.text ?? '')) at++
  }

  const readContainer = (path: readonly string[], end: ']' | '}'): void => {
    for (at++; at < tokens.length && !is(end);) {
      // A bracket of the other kind is not TOML, and not a reason to stand still.
      if ([',', '\n', ']', '}'].includes(tokens[at]?.text ?? '')) at++
      else readValue(end === '}' ? readKey(path, '=') : path)
    }
    at++
  }

  let table: readonly string[] = []
  while (at < tokens.length) {
    if (is('[')) {
      while (is('[')) at++
      table = readKey([], ']')
      while (is(']')) at++
    } else if (is('\n') || is(']') || is('}') || is(',')) at++
    else readValue(readKey(table, '='))
  }
  return (path) => nearestLine(lines, path)
}

/** The key's own line, else that of the table it stands in. */
function nearestLine(lines: ReadonlyMap<string, number>, path: readonly string[]): number {
  for (let length = path.length; length > 0; length--) {
    const line = lines.get(pathName(path.slice(0, length)))
    if (line !== undefined) return line
  }
  return 1
}

function unquote(text: string): string {
  if (!/^["']/.test(text)) return text
  try {
    const { key } = parse(`key = ${text}`)
    return typeof key === 'string' ? key : text
  } catch {
    return text
  }
}
