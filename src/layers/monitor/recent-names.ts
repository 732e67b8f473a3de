import { Newest } from './newest.ts'

/** About 100 bytes each. */
const mostKnown = 100_000

/** Names that were seen, the newest of them. */
export class RecentNames {
  readonly #names = new Newest<string, true>(mostKnown)

  add(name: string): void {
    this.#names.put(name, true)
  }

  has(name: string): boolean {
    return this.#names.get(name) === true
  }
}
