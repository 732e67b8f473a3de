import { type Cidr, parseAddress } from '../../core/address.ts'
import { addressWords, createAddressWords, readAddress } from './address-words.ts'
import { PrefixTrie } from './prefix-trie.ts'

const isIn: unique symbol = Symbol('is in')

/**
 * Whether an address, or a prefix of addresses by its first one, is in one of the networks: asked for each signal that a rule wants, so the
 * canonical spelling is read without parsing. What is no address is in none.
 */
export const createAddressSet = (cidrs: readonly Cidr[]): ((text: string) => boolean) => {
  const tries = { 1: new PrefixTrie<typeof isIn>(), 4: new PrefixTrie<typeof isIn>() }
  for (const { parts, bits } of cidrs) {
    const { words, size } = addressWords(parts)
    if (size !== 0) tries[size].add(words, bits, isIn)
  }
  const asked = createAddressWords()
  return (text) => {
    const end = text.indexOf('/')
    const address = end === -1 ? text : text.slice(0, end)
    readAddress(address, asked)
    // Another spelling, and IPv4 in the clothes of IPv6, are left to the parser.
    const parts = asked.size === 1 || isCanonical6(asked.words, asked.size) ? undefined : parseAddress(address)
    const { words, size } = parts === undefined ? asked : addressWords(parts)
    return size !== 0 && tries[size].first(words) !== undefined
  }
}

const isCanonical6 = (words: Uint32Array, size: number): boolean => size === 4 && (words[0] !== 0 || words[1] !== 0 || words[2] !== 0xffff)
