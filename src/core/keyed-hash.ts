/**
 * HalfSipHash-2-4 with 64 bits of output (Aumasson and Bernstein, github.com/veorq/SipHash) over the UTF-16LE bytes of a string,
 * so that every JavaScript string, lone surrogates included, is a message of its own.
 *
 * Keyed, because the identities are the attacker's choice: with a public hash an owner of a large IPv6 prefix could search for an address
 * that shares a victim's counter and use it up, or pile thousands of records into one probe sequence.
 */
export class KeyedHash {
  /** The two halves of the last digest, signed 32-bit. Fields and not a result: a pair would be garbage for each request. */
  lo = 0
  hi = 0
  readonly #key0: number
  readonly #key1: number

  /** The key is two words of 32 random bits. */
  constructor(key0: number, key1: number) {
    this.#key0 = key0 | 0
    this.#key1 = key1 | 0
  }

  /** Sets `lo` and `hi` to the first and last four bytes of the digest, little-endian. */
  digest(text: string): void {
    const { length } = text
    const wordCount = length >>> 1
    const lastWord = (length << 25) | (length % 2 === 1 ? text.charCodeAt(length - 1) : 0)
    let v0 = this.#key0
    let v1 = this.#key1 ^ 0xee
    let v2 = 0x6c796765 ^ this.#key0
    let v3 = 0x74656462 ^ this.#key1
    // One step is two rounds: a step for each word and for the length, then two steps for each half of the output.
    for (let step = 0; step < wordCount + 5; step++) {
      let word = 0
      if (step < wordCount) word = text.charCodeAt(2 * step) | (text.charCodeAt(2 * step + 1) << 16)
      else if (step === wordCount) word = lastWord
      else if (step === wordCount + 1) v2 ^= 0xee
      else if (step === wordCount + 3) {
        this.lo = v1 ^ v3
        v1 ^= 0xdd
      }
      v3 ^= word
      for (let round = 0; round < 2; round++) {
        v0 = (v0 + v1) | 0
        v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
        v0 = (v0 << 16) | (v0 >>> 16)
        v2 = (v2 + v3) | 0
        v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
        v0 = (v0 + v3) | 0
        v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
        v2 = (v2 + v1) | 0
        v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
        v2 = (v2 << 16) | (v2 >>> 16)
      }
      v0 ^= word
    }
    this.hi = v1 ^ v3
  }
}

/** 32 random bits, signed. */
export const randomWord = (): number => crypto.getRandomValues(new Int32Array(1))[0]!

export const randomlyKeyedHash = (): KeyedHash => new KeyedHash(randomWord(), randomWord())
