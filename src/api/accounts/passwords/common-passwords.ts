import { readFile } from 'node:fs/promises'

export interface CommonPasswords {
  has(password: string): Promise<boolean>
}

/** Of the length that our rules allow; made by scripts/common-passwords.ts, data/README.md says from what. */
export const commonPasswordsUrl = new URL('../../../../data/common-passwords.txt', import.meta.url)

/**
 * Passwords that are known from breaches (ASVS 6.2.4, 6.2.12), in whatever case. Read at the first question, and never taken apart: a line is
 * found by halving the sorted bytes, so 640 kB are all that it takes, and no moment of the start.
 */
export const createCommonPasswords = (url: URL = commonPasswordsUrl): CommonPasswords => {
  let reading: Promise<Buffer> | undefined
  const read = async (): Promise<Buffer> => {
    try {
      return await (reading ??= readFile(url))
    } catch (error) {
      // Without the list nobody gets a password; the next who asks tries again.
      reading = undefined
      throw error
    }
  }
  return { has: async (password) => hasLine(await read(), Buffer.from(password.toLowerCase())) }
}

const lineFeed = 10

/** Of lines that are sorted by their bytes and each end with a line feed. */
const hasLine = (sorted: Buffer, line: Buffer): boolean => {
  // A line feed within would match two neighbours, and empty lines there are none.
  if (line.length === 0 || line.includes(lineFeed)) return false
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const start = sorted.lastIndexOf(lineFeed, Math.max(low, ((low + high) >> 1) - 1)) + 1
    const end = sorted.indexOf(lineFeed, start)
    if (end === -1) return false
    const order = sorted.compare(line, 0, line.length, start, end)
    if (order === 0) return true
    if (order < 0) low = end + 1
    else high = start
  }
  return false
}
