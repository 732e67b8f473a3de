/**
 * What the clocks of the servers show, seen from here. An answer with a server's time bounds how far its clock is ahead of ours: it was
 * read after we asked and before we heard. The lower bound is kept, so that a moment is never told too late.
 */
export class RedisClocks {
  readonly #aheadUs = new Map<string, number>()

  learn(node: string, serverUs: number, askedMs: number, heardMs: number): void {
    const lower = serverUs - heardMs * 1000
    const upper = serverUs - askedMs * 1000
    const known = this.#aheadUs.get(node)
    // Beyond the upper bound: that clock was set back, or goes slower than ours.
    if (known === undefined || lower > known || upper < known) this.#aheadUs.set(node, lower)
  }

  /** Our moment in whole microseconds of the server's clock; the largest number where that is not known. */
  at(node: string, ourMs: number): number {
    const ahead = this.#aheadUs.get(node)
    return ahead === undefined ? Number.MAX_SAFE_INTEGER : Math.floor(ahead + ourMs * 1000)
  }
}
