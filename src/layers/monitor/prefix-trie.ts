/**
 * Values by prefixes of words of 32 bits, in a binary trie without nodes that only lead on (Morrison, PATRICIA, 1968): two nodes for each prefix
 * at most, and an address meets as many of them as prefixes share its beginning.
 */
export interface TrieNode<T> {
  readonly words: Uint32Array
  readonly bits: number
  /** None where two prefixes only part ways here. */
  values: readonly T[]
  zero: TrieNode<T> | undefined
  one: TrieNode<T> | undefined
}

export class PrefixTrie<T> {
  #root: TrieNode<T> | undefined
  size = 0

  add(words: Uint32Array, bits: number, value: T): void {
    this.size++
    this.#root = added(this.#root, createNode(masked(words, bits), bits, [value]))
  }

  remove(words: Uint32Array, bits: number, value: T): void {
    const node = this.#at(words, bits)
    if (node?.values.includes(value) !== true) return
    this.size--
    node.values = node.values.filter((other) => other !== value)
    if (node.values.length === 0) this.#root = without(this.#root, node)
  }

  /** The widest prefix with values that covers an address; those within it are `next`. */
  first(address: Uint32Array): TrieNode<T> | undefined {
    return covering(this.#root, address)
  }

  next(node: TrieNode<T>, address: Uint32Array): TrieNode<T> | undefined {
    return covering(branch(node, address), address)
  }

  #at(words: Uint32Array, bits: number): TrieNode<T> | undefined {
    let node = this.#root
    while (node !== undefined && node.bits < bits) node = branch(node, words)
    return node?.bits === bits && covers(node, words) ? node : undefined
  }
}

const createNode = <T>(words: Uint32Array, bits: number, values: readonly T[]): TrieNode<T> => ({
  words,
  bits,
  values,
  zero: undefined,
  one: undefined,
})

/** Forks are not compared: what is below a fork that the address does not share, it does not share either. */
const covering = <T>(from: TrieNode<T> | undefined, address: Uint32Array): TrieNode<T> | undefined => {
  let node = from
  while (node !== undefined && node.values.length === 0) node = branch(node, address)
  return node !== undefined && covers(node, address) ? node : undefined
}

/** Where nothing follows the last bit there are no branches. */
const branch = <T>({ bits, zero, one }: TrieNode<T>, address: Uint32Array): TrieNode<T> | undefined =>
  bitAt(address, bits) === 0 ? zero : one

const bitAt = (words: Uint32Array, index: number): number => ((words[index >>> 5] ?? 0) >>> (31 - (index & 31))) & 1

const covers = <T>({ words, bits }: TrieNode<T>, address: Uint32Array): boolean => sharedBits(words, address, bits) === bits

/** How many of the first `bits` are the same. */
const sharedBits = (a: Uint32Array, b: Uint32Array, bits: number): number => {
  for (let at = 0; at < bits; at += 32) {
    const different = a[at >>> 5]! ^ b[at >>> 5]!
    if (different !== 0) return Math.min(bits, at + Math.clz32(different))
  }
  return bits
}

const masked = (words: Uint32Array, bits: number): Uint32Array =>
  words.map((word, i) => {
    const kept = Math.min(32, Math.max(0, bits - 32 * i))
    // A shift by 32 would be one by 0.
    return kept === 0 ? 0 : word & (-1 << (32 - kept))
  })

const added = <T>(node: TrieNode<T> | undefined, leaf: TrieNode<T>): TrieNode<T> => {
  if (node === undefined) return leaf
  const shared = sharedBits(node.words, leaf.words, Math.min(node.bits, leaf.bits))
  if (shared === node.bits && shared === leaf.bits) {
    node.values = [...node.values, ...leaf.values]
    return node
  }
  if (shared === node.bits) return withBranch(node, leaf.words, added(branch(node, leaf.words), leaf))
  if (shared === leaf.bits) return withBranch(leaf, node.words, node)
  const fork = createNode<T>(masked(leaf.words, shared), shared, [])
  return withBranch(withBranch(fork, leaf.words, leaf), node.words, node)
}

const withBranch = <T>(node: TrieNode<T>, words: Uint32Array, child: TrieNode<T> | undefined): TrieNode<T> => {
  if (bitAt(words, node.bits) === 0) node.zero = child
  else node.one = child
  return node
}

/** Takes out a node that lost its values, and the fork above it that then only leads on. */
const without = <T>(node: TrieNode<T> | undefined, emptied: TrieNode<T>): TrieNode<T> | undefined => {
  if (node === undefined) return undefined
  if (node !== emptied) withBranch(node, emptied.words, without(branch(node, emptied.words), emptied))
  if (node.values.length > 0 || (node.zero !== undefined && node.one !== undefined)) return node
  return node.zero ?? node.one
}
