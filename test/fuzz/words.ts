/** The attack grammar: what each part of a request may be made of besides what it should be. `\n` and the like are meant as bytes. */

// prettier-ignore
export const methods = [
  'GET', 'GET', 'GET', 'POST', 'POST', 'HEAD', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT', 'QUERY', 'PROPFIND', 'PURGE', 'SOURCE',
  'PRI', 'get', 'GeT', 'FOO', 'G', 'GET\t', ' GET', 'G\0ET', 'GÉT', '', 'M-SEARCH', 'X'.repeat(300),
]

// prettier-ignore
export const versions = [
  'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.1', 'HTTP/1.0', 'HTTP/0.9', 'HTTP/2.0', 'HTTP/1.2', 'HTTP/1.10', 'HTTP/11', 'HTTP/ 1.1', 'http/1.1', 'HTTPS/1.1',
  'HTTP/1.1 ', 'HTTP/1.1x', 'RTSP/1.0', 'ICE/1.0', 'HTTP/9.9', 'HTTP/-1.1', 'HTTP/1', 'HTTP/1.', '', ' HTTP/1.1', 'HTTP\\1.1', 'HTTP/١.١',
]

// prettier-ignore
export const targets = [
  '/', '/', '/v1/films/1', '/v1/films?limit=2', '/?like=1', '/?like=1&dislike=2', '/%', '/%ff', '/%00', '/%2e%2e/%2e%2e/etc/passwd', '//', '//evil',
  '/v1//films', '/v1/films/', '/V1/FILMS', '/v1/films/%31', '/v1;x=1/films', '/v1\\films', '/./', '/../', '/..;/', '*', '', 'x', 'films', '?a=b',
  '#', '/#a', '/a#b?c', 'http://localhost/', 'http://evil.example/', 'HTTP://LOCALHOST/v1/films/1', 'https://localhost:1/', 'http://', 'http:///',
  'http://a@localhost/', 'http://localhost@evil/', 'ftp://localhost/', 'localhost:80', 'evil.example:443', '[::1]:80', '/\0', '/ /', '/\t', '/é',
  '/\u00ff\u00fe', '/<script>', '/"\'', '/${7*7}', '/?__proto__[a]=b', '/?constructor=1', '/?a=b&a=c', '/?like=1;like=2', '/?like[]=1', '/?like=01',
  '/?like=999999999999999', '/?like=9999999999999999', '/?limit=-1', '/?%', '/?=&=&', '/?'.padEnd(4096, 'a=b&'), '/'.padEnd(4096, 'a'),
  '/'.padEnd(4098, 'a'), '/'.padEnd(9000, '%61'), '/openapi.json', '/docs', '/problems/not_found', '/problems/__proto__', '/.well-known/jwks.json',
  '/.well-known/security.txt', '/robots.txt', '/index.html', '/assets/../../package.json', '/assets/%2e%2e/', '/metrics', '/readyz', '/v1/limits/x', '/v1/users/me',
  '/csp-report', '/v1/films/export', '/v1/films/random?count=20', '/v1/films/top', '/v1/films/1/similar', '/favicon.ico', '/.git/config', '/.env',
]

// prettier-ignore
export const fieldNames = [
  'Host', 'Content-Length', 'Transfer-Encoding', 'Connection', 'Content-Type', 'Authorization', 'Expect', 'Upgrade', 'Accept', 'Accept-Encoding',
  'Cookie', 'Origin', 'Referer', 'Range', 'If-Match', 'If-None-Match', 'If-Modified-Since', 'TE', 'Trailer', 'Keep-Alive', 'Proxy-Connection',
  'X-Forwarded-For', 'X-Forwarded-Host', 'X-Forwarded-Proto', 'Forwarded', 'X-Real-IP', 'X-Request-Id', 'traceparent', 'Sec-Fetch-Site', 'Sec-Purpose',
  'Idempotency-Key', 'HTTP2-Settings', 'Content-Encoding', 'Access-Control-Request-Method', 'Access-Control-Request-Headers',
  'Access-Control-Request-Private-Network', 'X-HTTP-Method-Override', 'X-Original-URL', 'X-Rewrite-URL', '__proto__', 'constructor', 'hasOwnProperty',
  'toString', '', 'X A', 'X\tA', 'X:A', 'X\0', 'é', 'Content_Length', 'Transfer-Encoding ', ' Host', 'Content-Length\t', 'x'.repeat(2000), 'X\r', '\x0bX',
]

// prettier-ignore
export const fieldValues = [
  '', ' ', '0', '1', '-1', 'close', 'keep-alive', 'close, keep-alive', 'upgrade', 'Upgrade, HTTP2-Settings', 'h2c', 'websocket', 'chunked', 'gzip',
  'gzip, chunked', 'identity', '100-continue', '100-Continue', '200-ok', 'localhost', 'LOCALHOST:1', 'evil.example', '127.0.0.1', '[::1]', 'localhost ',
  'localhost, evil.example', 'a b', '*', '*/*', 'text/html', 'application/json', 'application/json; charset=utf-16', ' application/json',
  'application/json;', 'application/json\t; a=b', 'text/plain', 'multipart/form-data; boundary=x', 'null', 'https://evil.example', 'http://localhost',
  'bytes=0-1', 'bytes=-1,0-', 'trailers', 'deflate;q=0', '"', '""', 'W/"1"', '"1", "2"', 'for=127.0.0.1', '127.0.0.1, 10.0.0.1', '::1', 'Bearer',
  'Bearer ', 'Bearer x', 'Basic YTpi', 'Bearer a.b.c', 'Bearer fg_', 'fg_000000000000_x', '__proto__=1', 'a=b; a=c', 'fgr=x', 'a\tb', 'a\x01b', 'a\0b',
  'a\rb', 'a\r\n b', 'a\r\n\tb', 'a\nb', 'a\u00ffb', 'a\x7fb', '%0d%0aX: y', '\u00e9\u00a0', 'x'.repeat(1000), 'x'.repeat(8000), 'x'.repeat(17_000),
  'a,'.repeat(500), '9'.repeat(40), '1e9', '00-00000000000000000000000000000000-0000000000000000-00', 'prefetch', 'cross-site', '()<>@,;:\\"/[]?={}',
]

/** For Content-Length, where the body has `length` bytes. */
// prettier-ignore
export const lengths = (length: number): readonly string[] => [
  `${length}`, `${length}`, `${length}`, `${length + 1}`, `${Math.max(length - 1, 0)}`, '0', '-1', `+${length}`, `0${length}`, `0x${length.toString(16)}`,
  `${length} `, ` ${length}`, `${length},${length}`, `${length}, ${length + 1}`, `${length}.0`, `${length}e0`, '', 'x', '18446744073709551616',
  '9223372036854775807', '99999999999999999999999999', '2147483648', `${length}\t`, `${length};a`, `"${length}"`, `${length}\0`, '16385', '1000000',
]

// prettier-ignore
export const codings = [
  'chunked', 'chunked', 'chunked', 'Chunked', 'CHUNKED', ' chunked', 'chunked ', 'chunked\t', 'chunked,', ',chunked', 'chunked, chunked', 'gzip, chunked',
  'chunked, gzip', 'identity', 'identity, chunked', 'xchunked', 'chunkedx', 'chunked;q=1', '"chunked"', "'chunked'", '\x0bchunked', 'chunked\x0b', '\0chunked',
  'chu\r\n nked', '\r\n chunked', 'chunk', '', 'c', 'x', 'chunked\u00a0', 'ch unked', 'ĉhunked', 'deflate', 'trailers',
]

/** For the size of a chunk of `length` bytes, with what may stand behind it. */
// prettier-ignore
export const chunkSizes = (length: number): readonly string[] => [
  length.toString(16), length.toString(16), length.toString(16), length.toString(16).toUpperCase(), `0${length.toString(16)}`,
  `${'0'.repeat(30)}${length.toString(16)}`, `0x${length.toString(16)}`, `-${length.toString(16)}`, `+${length.toString(16)}`, `${length.toString(16)} `,
  ` ${length.toString(16)}`, `${length.toString(16)};`, `${length.toString(16)};a`, `${length.toString(16)};a=b`, `${length.toString(16)};a="b;\\"c"`,
  `${length.toString(16)};a="b\r\n"`, `${length.toString(16)};${'a'.repeat(400)}`, `${length.toString(16)};${'a'.repeat(20_000)}`, `${length.toString(16)};\n`,
  `${length.toString(16)}\t;a`, `${length.toString(16)};a =b`, `${length.toString(16)};\0`, `${length.toString(16)};é`, (length + 1).toString(16),
  Math.max(length - 1, 0).toString(16), '', 'g', 'ffffffffffffffff', '10000000000000000', 'fffffffff', '7fffffff', `${length.toString(16)}\r`, '-0', '0',
]

// prettier-ignore
export const lineEnds = ['\r\n', '\r\n', '\r\n', '\r\n', '\r\n', '\r\n', '\n', '\r', '\r\r\n', '\n\r', '\r\n ', ' \r\n', '\0\r\n', '']

/** What a mutation puts in anywhere. */
// prettier-ignore
export const scraps = [
  '\r\n', '\r\n\r\n', '\r', '\n', '\0', ' ', '\t', ':', ';', ',', '0\r\n\r\n', 'chunked', 'HTTP/1.1', 'HTTP/1.0', 'Content-Length: 0\r\n',
  'Content-Length: 5\r\n', 'Transfer-Encoding: chunked\r\n', 'Connection: close\r\n', 'Expect: 100-continue\r\n', 'Host: evil.example\r\n',
  'Authorization: Bearer x\r\n', 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n', '\ufeff', '%00', '%', '../', '"', '{', '[', '\\u0000', '\u00ff'.repeat(8),
  'A'.repeat(5000), '/', '?', '#', '@', '-1', '99999999999999999999', '__proto__', 'Upgrade: h2c\r\n', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
]
