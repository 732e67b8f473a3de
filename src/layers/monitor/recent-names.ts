/** About 100 bytes each. */
const mostKnown = 100_000

/** Names that were seen, the newest of them. */
export class RecentNames {
  readonly #names = new Set<string>()

  add(name: string): void {
    this.#names.add(name)
    const [oldest] = this.#names
    if (this.#names.size > mostKnown && oldest !== undefined) this.#names.delete(oldest)
  }

  has(name: string): boolean {
    return this.#names.has(name)
  }
}
