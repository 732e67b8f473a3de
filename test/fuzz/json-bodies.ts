import type { Random } from '../support/random.ts'
import { latin1, pick } from './case.ts'

type Change = (text: string, random: Random) => string | Buffer

const insertMember = (text: string, member: string): string => text.replace(/\{/, `{${member}${/^\{\s*\}/.test(text) ? '' : ','}`)

const values = [
  'null', 'true', '[]', '{}', '""', '0', '-0', '1e400', '-1e400', '1e-400', '1.0000000000000000000001', '9007199254740993', '123456789012345678901234567890',
  '01', '+1', '.5', '1.', '0x1', 'NaN', 'Infinity', 'undefined', "'x'", '"\\ud800"', '"\\udc00\\ud800"', '"\\u0000"', '"\\x41"', '"\\u12"', '"\t"', '"\u007f"',
  '"\\u202e"', '"\\ufeff"', '"\\/"', '"', '"\\', '[[]', '{"a":1,"a":2}', '{"__proto__":{"x":1}}', '{"constructor":{"prototype":{}}}', '{"toString":1}',
] // prettier-ignore

/** What JSON parsers disagree about, or choke on. */
const changes: readonly Change[] = [
  (text, random) => text.replace(/:(?:"[^"]*"|[^,}[{]+)/, `:${pick(random, values)}`),
  (text, random) =>
    insertMember(
      text,
      `${pick(random, ['"__proto__"', '"constructor"', '"x"', '""', '"\\u006eame"', 'x', '1', '"name"'])}:${pick(random, values)}`,
    ),
  (text) => insertMember(text, text.slice(1, -1)),
  (text, random) => pick(random, values) + (random.often(0.2) ? text : ''),
  (text, random) => '['.repeat(pick(random, [1, 20, 1000, 16_000])) + text,
  (_text, random) => {
    const depth = pick(random, [10, 500, 2700])
    return `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`
  },
  (text, random) => insertMember(text, `"x":"${'a'.repeat(pick(random, [1000, 16_000, 17_000, 40_000]))}"`),
  (text) => `\ufeff${text}`,
  (text) => Buffer.from(text, 'utf16le'),
  (text) => Buffer.concat([latin1('\xff\xfe'), Buffer.from(text, 'utf16le')]),
  (text, random) =>
    latin1(text.replace(/[a-z]/, pick(random, ['\xff', '\xc0\xaf', '\xed\xa0\x80', '\xf4\x90\x80\x80', '\xe2\x82', '\x80']))),
  (text, random) => text.slice(0, random.below(text.length + 1)),
  (text) => `${text}${text}`,
  (text) => text.replace(/\}$/, ',}'),
  (text) => `/* x */${text}// y`,
  (text) => text.replaceAll('"', "'"),
  (text, random) => pick(random, [' ', '\t', '\r\n', '\0', '\x0b', '\u00a0', '\u2028']) + text,
  (text) => text + ' '.repeat(16_400),
  (text) => text.replaceAll(/([a-z])/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`),
  () => '',
  () => 'null',
  (text) => `name=${encodeURIComponent(text)}`,
  (text) => `--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n${text}\r\n--x--\r\n`,
]

export const changedBody = (random: Random, text: string): Buffer => {
  const changed = pick(random, changes)(text, random)
  return typeof changed === 'string' ? Buffer.from(changed) : changed
}
