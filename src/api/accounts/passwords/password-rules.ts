/** What is about this program: a password made of it is the first that somebody tries (ASVS 6.1.2, 6.2.11). */
const productWords = ['filmgate', 'films', 'film', 'movies', 'movie', 'cinema', 'gate', 'password', 'passwort', 'secret', 'admin', 'login']

/** Words that every address has. */
const ofEveryAddress = new Set(['http', 'https', 'urn', 'www', 'com', 'org', 'net', 'localhost'])

/** The words of an issuer or a public URL, such as `example` and `films` of https://films.example.com. */
export const wordsOf = (...names: readonly string[]): readonly string[] =>
  names
    .flatMap((name) => name.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [])
    // The id of an installation: nobody makes a password of it, and letters between its digits may be words of anybody's.
    .filter((part) => part.length < 16 || !/\d/.test(part))
    .flatMap((part) => part.match(/\p{L}{3,40}/gu) ?? [])
    .filter((word) => !ofEveryAddress.has(word))

/** Words that a password may hold only beside this many other characters. */
const enoughBeside = 8

/** A username of this length is refused anywhere in a password; shorter ones are in too many words to. */
const tellingLength = 4

export interface PasswordContext {
  readonly username: string
  /** Lower case. */
  readonly words: readonly string[]
}

/**
 * Why a password is too close to what everybody knows, as the end of a sentence; undefined: it is not. In whatever case:
 * - it holds the username, where that has 4 characters or more;
 * - fewer than 8 characters are left of it where a text that repeats (`abcabcabcabc`) counts once, and a run of 4 or more that stay the
 *   same, or go up or down by one (`1111`, `abcd`, `4321`), as one character;
 * - or fewer than 8 are left so without the words of the product, the issuer and the username, wherever and however often they stand.
 * No rule asks for kinds of characters (ASVS 6.2.5).
 */
export const tooObvious = (password: string, { username, words }: PasswordContext): string | undefined => {
  const text = password.toLowerCase()
  if (username.length >= tellingLength && text.includes(username)) return 'must not hold the username'
  const parts = username.split(/[._-]/).filter((part) => part.length > 1)
  const known = [...productWords, ...words, username, ...parts].filter((word) => word !== '').toSorted((a, b) => b.length - a.length)
  const rest = known.reduce((left, word) => left.replaceAll(word, ''), text)
  if (essence(text) < enoughBeside) return 'must not be a repetition or a sequence'
  return essence(rest) < enoughBeside ? 'must be more than the username and words about this server' : undefined
}

/** How many characters somebody had to think of. */
const essence = (text: string): number => lengthOf(collapsed(period(text)))

/** Code points. */
export const lengthOf = (text: string): number => Array.from(text).length

/** The shortest beginning that, repeated, gives the text; the last time may be cut off. */
const period = (text: string): string => {
  let length = 1
  while (length < text.length && !text.startsWith(text.slice(length))) length++
  return text.slice(0, length)
}

const collapsed = (text: string): string => {
  const characters = Array.from(text)
  const steps = characters.map((character, i) => codeOf(character) - codeOf(characters[i - 1] ?? ''))
  return characters.filter((_, i) => !isWithinRun(steps, i)).join('')
}

const codeOf = (character: string): number => character.codePointAt(0) ?? Number.NaN

/** Whether it goes on as the run it is in began: the first character of a run stays, and the second and third only where no fourth follows. */
const isWithinRun = (steps: readonly number[], at: number): boolean => {
  const step = steps[at] ?? Number.NaN
  if (!(Math.abs(step) <= 1)) return false
  let [first, last] = [at, at]
  while (steps[first - 1] === step) first--
  while (steps[last + 1] === step) last++
  return last - first + 2 >= 4
}
