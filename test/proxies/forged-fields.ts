import { publicHost } from '../support/proxies.ts'

const lines = (text: string): string => `${text}\r\n`

/** Fields by which a client says that it is somebody else, as they go over the wire behind a Host. */
export const forgedFields: Readonly<Record<string, string>> = {
  'X-Forwarded-For': lines('X-Forwarded-For: 6.6.6.6'),
  'X-Forwarded-For in capitals': lines('X-FORWARDED-FOR: 6.6.6.6'),
  'X-Forwarded-For twice': lines('X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 7.7.7.7'),
  'X-Forwarded-For that ends with the proxy': lines('X-Forwarded-For: 6.6.6.6, 127.0.0.1'),
  'X-Forwarded-For that is the proxy': lines('X-Forwarded-For: 127.0.0.1'),
  'X-Forwarded-For with a comma at the end': lines('X-Forwarded-For: 6.6.6.6,'),
  'X-Forwarded-For with a port': lines('X-Forwarded-For: [2001:db8::6]:443'),
  'X-Forwarded-For that is no address': lines('X-Forwarded-For: unknown'),
  'X-Forwarded-For without a value': lines('X-Forwarded-For:'),
  'X-Forwarded-For of 2 KB': lines(`X-Forwarded-For: ${'6.6.6.6, '.repeat(200)}6.6.6.6`),
  X_Forwarded_For: lines('X_Forwarded_For: 6.6.6.6'),
  Forwarded: lines(`Forwarded: for=6.6.6.6;host=evil.example;proto=http;by=127.0.0.1`),
  'X-Real-IP': lines('X-Real-IP: 6.6.6.6'),
  'what other proxies write': lines(
    'True-Client-IP: 6.6.6.6\r\nCF-Connecting-IP: 6.6.6.6\r\nX-Client-IP: 6.6.6.6\r\nClient-IP: 6.6.6.6\r\nX-Cluster-Client-IP: 6.6.6.6',
  ),
  'a line of the PROXY protocol in a field': lines('PROXY: TCP4 6.6.6.6 127.0.0.1 1 2'),
  'X-Forwarded-Host': lines('X-Forwarded-Host: evil.example'),
  'X-Forwarded-Proto, -Port, -Scheme, -Server': lines(
    'X-Forwarded-Proto: http\r\nX-Forwarded-Port: 1\r\nX-Forwarded-Scheme: http\r\nX-Forwarded-Server: evil.example',
  ),
  'X-Request-Id': lines('X-Request-Id: forged-request-id'),
  traceparent: lines('traceparent: 00-66666666666666666666666666666666-6666666666666666-01\r\ntracestate: a=b'),
  'another target': lines('X-Original-URL: /v1/films/2\r\nX-Rewrite-URL: /v1/films/2\r\nX-HTTP-Method-Override: DELETE'),
  // Hop-by-hop abuse (RFC 9110 section 7.6.1): the proxy is told to drop what it has just written.
  'Connection: X-Forwarded-For': lines('Connection: X-Forwarded-For'),
  'Connection: close, X-Forwarded-For': lines('Connection: close, X-Forwarded-For'),
  'Connection: names all that the proxy writes': lines(
    'Connection: X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, X-Request-Id, Host',
  ),
  'Connection twice': lines('Connection: keep-alive\r\nConnection: x-forwarded-for'),
  'Connection and the field itself': lines('Connection: X-Forwarded-For\r\nX-Forwarded-For: 6.6.6.6'),
  'Proxy-Connection: X-Forwarded-For': lines('Proxy-Connection: X-Forwarded-For'),
  'Upgrade and X-Forwarded-For': lines('Connection: Upgrade, X-Forwarded-For\r\nUpgrade: x'),
}

export const forgedRequest = (target: string, fields: string): string => `GET ${target} HTTP/1.1\r\nHost: ${publicHost}\r\n${fields}\r\n`
