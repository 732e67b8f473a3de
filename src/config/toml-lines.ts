import { parse } from 'smol-toml'

/** Of a key: the names of the tables it is in and its own; a number counts the entries of an array, from 0. */
export type Path = readonly (string | number)[]

/** How a key is named everywhere: bare parts as they are, others quoted, so that `limits.routes."GET /"` and `auth.issuers[1].url` are unambiguous. */
export const pathName = (path: Path): string =>
  path.map((part, at) => (typeof part === 'number' ? `[${part}]` : `${at > 0 ? '.' : ''}${partName(part)}`)).join('')

const partName = (part: string): string => (/^[\w-]+$/.test(part) ? part : JSON.stringify(part))

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
export function keyLines(toml: string): (path: Path) => number {
  const { note, nearest } = createLines()
  const lastOf = createArrayTables()
  const tokens = tokenize(toml)
  let at = 0
  const is = (text: string): boolean => tokens[at]?.text === text

  const readParts = (end: string): string[] => {
    const parts: string[] = []
    for (; at < tokens.length && !is(end); at++) if (!is('.')) parts.push(unquote(tokens[at]?.text ?? ''))
    at++
    return parts
  }

  const readKey = (table: Path): Path => {
    const line = tokens[at]?.line ?? 1
    return note([...table, ...readParts('=')], line)
  }

  const readHeader = (): Path => {
    const line = tokens[at]?.line ?? 1
    const isEntry = tokens[at + 1]?.text === '['
    while (is('[')) at++
    const parts = readParts(']')
    while (is(']')) at++
    const path = lastOf(parts, isEntry)
    // The array itself is where its first entry is.
    if (isEntry) note(path.slice(0, -1), line)
    return note(path, line)
  }

  const readValue = (path: Path): void => {
    while (is('\n')) at++
    if (is('{') || is('[')) readContainer(path, is('{') ? '}' : ']')
    else while (at < tokens.length && ![',', ']', '}', '\n'].includes(tokens[at]?.text ?? '')) at++
  }

  const readContainer = (path: Path, end: ']' | '}'): void => {
    let entry = 0
    for (at++; at < tokens.length && !is(end);) {
      // A bracket of the other kind is not TOML, and not a reason to stand still.
      if ([',', '\n', ']', '}'].includes(tokens[at]?.text ?? '')) at++
      else if (end === '}') readValue(readKey(path))
      else {
        note([...path, entry], tokens[at]?.line ?? 1)
        readValue([...path, entry++])
      }
    }
    at++
  }

  let table: Path = []
  while (at < tokens.length) {
    if (is('[')) table = readHeader()
    else if (is('\n') || is(']') || is('}') || is(',')) at++
    else readValue(readKey(table))
  }
  return nearest
}

interface TableNode {
  readonly children: Map<string, TableNode>
  /** How many entries it has so far; 0 where it is no array. */
  entries: number
}

const createNode = (): TableNode => ({ children: new Map(), entries: 0 })

/** What a header means: `[[a.b]]` begins an entry of `a.b`, and `[a.b.c]` behind it is the `c` of that entry. */
function createArrayTables(): (parts: readonly string[], isEntry: boolean) => Path {
  const root = createNode()
  return (parts, isEntry) => {
    const path: (string | number)[] = []
    let node = root
    for (const [index, part] of parts.entries()) {
      const child = node.children.get(part) ?? createNode()
      node.children.set(part, child)
      path.push(part)
      if (isEntry && index === parts.length - 1) {
        child.entries++
        // What was below the entry before is not below this one.
        child.children.clear()
      }
      if (child.entries > 0) path.push(child.entries - 1)
      node = child
    }
    return path
  }
}

function createLines() {
  const lines = new Map<string, number>()
  return {
    /** The first is where a reader looks. */
    note: (path: Path, line: number): Path => {
      const name = pathName(path)
      if (!lines.has(name)) lines.set(name, line)
      return path
    },
    /** The key's own line, else that of the table it stands in. */
    nearest: (path: Path): number => {
      for (let length = path.length; length > 0; length--) {
        const line = lines.get(pathName(path.slice(0, length)))
        if (line !== undefined) return line
      }
      return 1
    },
  }
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
