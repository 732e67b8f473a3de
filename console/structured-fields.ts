/** A bare item of RFC 9651 section 3.3; a token, a date and a display string come as plain text and numbers. */
export type BareItem = string | number | boolean

export interface Item {
  readonly value: BareItem
  readonly parameters: ReadonlyMap<string, BareItem>
}

/**
 * A list of items (RFC 9651 section 4.2.1); undefined where the text is not one: a field that is wrong anywhere is ignored as a whole
 * (section 4.2). Inner lists count as wrong, because no field that is read here has any.
 */
export const parseList = (text: string): readonly Item[] | undefined => {
  try {
    return new Reader(text).list()
  } catch (error) {
    if (error instanceof NotStructured) return undefined
    throw error
  }
}

class NotStructured extends Error {
  override readonly name = 'NotStructured'
}

const unescaped = (text: string): string => text.replaceAll(/\\(["\\])/g, '$1')

/** Each kind of bare item: how it looks, and what it means. No beginning fits two of them, but a decimal also begins like an integer. */
const kinds: readonly (readonly [pattern: RegExp, read: (text: string) => BareItem])[] = [
  [/-?\d{1,12}\.\d{1,3}(?![\d.])/y, Number],
  [/-?\d{1,15}(?![\d.])/y, Number],
  [/"(?:[ !#-[\]-~]|\\["\\])*"/y, (text) => unescaped(text.slice(1, -1))],
  [/[A-Za-z*][\w!#$%&'*+.^`|~:/-]*/y, (text) => text],
  [/:[A-Za-z0-9+/]*={0,2}:/y, (text) => text.slice(1, -1)],
  [/\?[01]/y, (text) => text === '?1'],
  [/@-?\d{1,15}(?![\d.])/y, (text) => Number(text.slice(1))],
  [/%"(?:[ !#$&-~]|%[0-9a-f]{2})*"/y, (text) => decoded(text.slice(2, -1))],
]

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new NotStructured()
  }
}

class Reader {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    // Spaces alone: a tab is allowed around commas and nowhere else.
    this.#text = text.replaceAll(/^ +| +$/g, '')
  }

  list(): readonly Item[] {
    const items: Item[] = []
    while (this.#at < this.#text.length) {
      items.push({ value: this.#bareItem(), parameters: this.#parameters() })
      this.#take(/[ \t]*/y)
      if (this.#at === this.#text.length) break
      if (this.#take(/,[ \t]*/y) === undefined || this.#at === this.#text.length) throw new NotStructured()
    }
    return items
  }

  #parameters(): ReadonlyMap<string, BareItem> {
    const parameters = new Map<string, BareItem>()
    while (this.#take(/; */y) !== undefined) {
      const name = this.#take(/[a-z*][a-z0-9_.*-]*/y)
      if (name === undefined) throw new NotStructured()
      parameters.set(name, this.#take(/=/y) === undefined ? true : this.#bareItem())
    }
    return parameters
  }

  #bareItem(): BareItem {
    for (const [pattern, read] of kinds) {
      const found = this.#take(pattern)
      if (found !== undefined) return read(found)
    }
    throw new NotStructured()
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#text)?.[0]
    this.#at += found?.length ?? 0
    return found
  }
}
