import { publicHost } from '../support/proxies.ts'
import type { RawFields, RawRequest } from './raw-http2.ts'

export const pseudo = (over: Readonly<Record<string, string>> = {}): RawFields =>
  Object.entries({ ':method': 'GET', ':scheme': 'https', ':authority': publicHost, ':path': '/v1/films/1', ...over })

const post = pseudo({ ':method': 'POST', ':path': '/nowhere' })

/** One field more, in the head of a POST whose data is what may be taken for a request. */
const withField = (name: string, value: string, data = ''): ((smuggled: string) => RawRequest) => {
  return (smuggled) => ({ fields: [...post, [name, value.replace('SMUGGLED', smuggled)]], data: data + smuggled })
}
/** One pseudo-field that breaks out of the request line. */
const withPseudo =
  (name: string, value: (smuggled: string) => string) =>
  (smuggled: string): RawRequest => ({ fields: pseudo({ [name]: value(smuggled) }) })

const http1Line = ' HTTP/1.1\r\nHost: films.example.com\r\n\r\n'

/** Each by what a proxy has to write in HTTP/1.1 to pass it on. */
export const http2Attacks: Readonly<Record<string, (smuggled: string) => RawRequest>> = {
  // H2.CL: the length is not that of the data.
  'a length of zero': withField('content-length', '0'),
  'a length that is too small': withField('content-length', '1'),
  'a length that is too large': withField('content-length', '100000'),
  'a length that is no number': withField('content-length', '0x0'),
  'a length with a plus': withField('content-length', '+0'),
  'a length with a line break': withField('content-length', '0\r\n\r\nSMUGGLED'),
  'two lengths': (s) => ({ fields: [...post, ['content-length', '0'], ['content-length', String(s.length)]], data: s }),
  'a length in capitals': withField('Content-Length', '0'),
  'a length of a request without data': (s) => ({ fields: [...post, ['content-length', String(s.length)]] }),
  // H2.TE: connection-specific fields do not exist in HTTP/2 (RFC 9113 section 8.2.2).
  'Transfer-Encoding': withField('transfer-encoding', 'chunked', '0\r\n\r\n'),
  'Transfer-Encoding in capitals': withField('Transfer-Encoding', 'chunked', '0\r\n\r\n'),
  'Transfer-Encoding: identity': withField('transfer-encoding', 'identity'),
  'Transfer-Encoding with a line break': withField('transfer-encoding', 'chunked\r\n\r\n0\r\n\r\nSMUGGLED'),
  'Connection names the address': withField('connection', 'x-forwarded-for'),
  'Connection: keep-alive': withField('connection', 'keep-alive'),
  'Upgrade: h2c': withField('upgrade', 'h2c'),
  'TE: chunked': withField('te', 'chunked'),
  'Keep-Alive': withField('keep-alive', 'timeout=5'),
  'Proxy-Connection': withField('proxy-connection', 'keep-alive'),
  'two hosts': withField('host', 'evil.example'),
  'a Host with a line break': withField('host', `${publicHost}\r\n\r\nSMUGGLED`),
  // Line breaks where HTTP/1.1 ends a field (section 8.2.1).
  'CR LF in a value': withField('x-a', 'b\r\nTransfer-Encoding: chunked', '0\r\n\r\n'),
  'CR LF in a value, a request behind': withField('x-a', 'b\r\n\r\nSMUGGLED'),
  'LF in a value': withField('x-a', 'b\nTransfer-Encoding: chunked', '0\r\n\r\n'),
  'LF in a value, a request behind': withField('x-a', 'b\n\nSMUGGLED'),
  'CR in a value': withField('x-a', 'b\rTransfer-Encoding: chunked', '0\r\n\r\n'),
  'NUL in a value': withField('x-a', 'b\0Transfer-Encoding: chunked', '0\r\n\r\n'),
  'CR LF in a name': withField('x-a: b\r\ntransfer-encoding', 'chunked', '0\r\n\r\n'),
  'CR LF in a name, a request behind': (s) => ({ fields: [...post, [`x-a: b\r\n\r\n${s}`, 'c']] }),
  'LF in a name': withField('x-a: b\ntransfer-encoding', 'chunked', '0\r\n\r\n'),
  'a colon in a name': withField('transfer-encoding: chunked', 'x', '0\r\n\r\n'),
  'a colon at the end of a name': withField('transfer-encoding:', 'chunked', '0\r\n\r\n'),
  'a blank in a name': withField('transfer-encoding ', 'chunked', '0\r\n\r\n'),
  'a tab in a name': withField('transfer-encoding\t', 'chunked', '0\r\n\r\n'),
  'a NUL in a name': withField('transfer-encoding\0', 'chunked', '0\r\n\r\n'),
  'no name': withField('', 'transfer-encoding: chunked', '0\r\n\r\n'),
  'a name beyond ASCII': withField('x-\u00e4', 'b'),
  // The request line of HTTP/1.1 is made of these.
  'CR LF in the path': withPseudo(':path', (s) => `/${http1Line}${s}`),
  'LF in the path': withPseudo(':path', (s) => `/ HTTP/1.1\n\n${s}`),
  'a blank in the path': withPseudo(':path', () => '/v1/films/1 HTTP/1.1'),
  'a tab in the path': withPseudo(':path', () => '/v1/films/1\tHTTP/1.1'),
  'a NUL in the path': withPseudo(':path', () => '/v1/films/1\0'),
  'a path without a slash': withPseudo(':path', () => 'v1/films/1'),
  'a path that is a URL': withPseudo(':path', () => 'http://evil.example/v1/films/1'),
  'an asterisk for a path': withPseudo(':path', () => '*'),
  'no path': withPseudo(':path', () => ''),
  'a fragment in the path': withPseudo(':path', () => '/v1/films/1#x'),
  'CR LF in the method': withPseudo(':method', (s) => `GET /${http1Line}${s}`),
  'a blank in the method': withPseudo(':method', () => 'GET /v1/films/2 HTTP/1.1 x'),
  'no method': withPseudo(':method', () => ''),
  'CR LF in the authority': withPseudo(':authority', (s) => `${publicHost}\r\n\r\n${s}`),
  'a blank in the authority': withPseudo(':authority', () => `${publicHost} x`),
  'a path in the authority': withPseudo(':authority', () => `${publicHost}/v1/films/2`),
  'CR LF in the scheme': withPseudo(':scheme', (s) => `https\r\n\r\n${s}`),
  'a URL in the scheme': withPseudo(':scheme', () => `http://${publicHost}/v1/films/2?`),
  'two paths': (s) => ({ fields: [...pseudo(), [':path', '/v1/films/2']], data: s }),
  'an unknown pseudo-field': (s) => ({ fields: [[':x', s], ...pseudo()] }),
  'a pseudo-field behind others': () => ({ fields: [['x-a', 'b'], ...pseudo()] }),
  CONNECT: (s) => ({
    fields: [
      [':method', 'CONNECT'],
      [':authority', `${publicHost}:443`],
    ],
    data: s,
  }),
  'CONNECT for WebSocket': (s) => ({ fields: [...pseudo({ ':method': 'CONNECT' }), [':protocol', 'websocket']], data: s }),
  // Bodies where none is expected, and fields behind them.
  'GET with data': (s) => ({ fields: pseudo(), data: s }),
  'HEAD with data': (s) => ({ fields: pseudo({ ':method': 'HEAD' }), data: s }),
  'Expect: 100-continue': withField('expect', '100-continue'),
  'a length in the trailers': (s) => ({ fields: post, data: s, trailers: [['content-length', '0']] }),
  'Transfer-Encoding in the trailers': (s) => ({ fields: post, data: s, trailers: [['transfer-encoding', 'chunked']] }),
  'CR LF in the trailers': (s) => ({ fields: post, data: '{}', trailers: [['x-a', `b\r\n\r\n${s}`]] }),
  'a pseudo-field in the trailers': (s) => ({ fields: post, data: s, trailers: [[':path', '/v1/films/2']] }),
  'an address in the trailers': (s) => ({ fields: post, data: s, trailers: [['x-forwarded-for', '6.6.6.6']] }),
}
