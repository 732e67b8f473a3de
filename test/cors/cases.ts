import { raisedLimits } from '../support/server.ts'

/** Who asks. Each is an origin of its own; see `allowedOf` for which are allowed where. */
export type Page = 'app' | 'sub' | 'partner' | 'apex' | 'port' | 'scheme' | 'address' | 'other' | 'null' | 'own'
export type ServerName = 'named' | 'credentials' | 'open' | 'closed'
export type Origins = Readonly<Record<Page, string>>

/** The configurations of the servers. `wildcard` covers `sub` alone. */
export const configurations = ({ app, partner }: Origins, wildcard: string): Readonly<Record<ServerName, string>> => {
  const routes = `[cors.routes]
"GET /v1/films/:id" = { origins = ["*"] }
"POST /add_film" = { origins = ${JSON.stringify([partner])} }
"GET /openapi.json" = { origins = [] }
`
  const named = `${raisedLimits}[cors]\norigins = ${JSON.stringify([app, wildcard])}\n`
  return {
    named: named + routes,
    credentials: `${named}credentials = true\n${routes}`,
    open: `${raisedLimits}[cors]\norigins = ["*"]\n`,
    closed: raisedLimits,
  }
}

/**
 * The CORS fields of an answer. open: for `*`. named: for this origin. credentials: the same, with cookies. bare: for others, so only Vary.
 * none: not even that, for the answer is the same for everybody. unsent: the browser sends nothing, because the preflight failed.
 */
export type Kind = 'open' | 'named' | 'credentials' | 'bare' | 'none' | 'unsent'

export interface Case {
  readonly server: ServerName
  readonly page: Page
  readonly method: string
  readonly target: string
  readonly headers: Readonly<Record<string, string>>
  readonly credentials: boolean
  /** Undefined: none is sent. A text: 204 with these methods. A number: refused with that status. */
  readonly preflight: string | number | undefined
  readonly kind: Kind
  /** Of the answer, where one is asked for. */
  readonly status: number | undefined
  readonly isReadable: boolean
}

const headerValues: Readonly<Record<string, string>> = {
  authorization: 'Bearer x',
  'content-type': 'application/json',
  'if-none-match': '"x"',
  'if-match': '"x"',
  'idempotency-key': 'x',
  'accept-language': 'de',
  accept: `application/json, ${'x'.repeat(120)}/*, */*`,
  'x-other': 'x',
}

type Row = readonly [
  server: ServerName,
  page: Page,
  /** `METHOD /target`, then the names of header fields; `+` in front asks for credentials. */
  request: string,
  preflight: string | number | undefined,
  status: number | undefined,
  kind: Kind,
]

const films = '/v1/films/1'
const root = 'GET, HEAD, OPTIONS'
const me = 'DELETE, GET, HEAD, OPTIONS, PATCH'
const no = undefined

const rows: readonly Row[] = [
  // Requests without a preflight: who may read the answer.
  ['named', 'app', 'GET /', no, 200, 'named'],
  ['named', 'app', 'HEAD /', no, 200, 'named'],
  ['named', 'sub', 'GET /', no, 200, 'named'],
  ['named', 'apex', 'GET /', no, 200, 'bare'],
  ['named', 'port', 'GET /', no, 200, 'bare'],
  ['named', 'scheme', 'GET /', no, 200, 'bare'],
  ['named', 'address', 'GET /', no, 200, 'bare'],
  ['named', 'other', 'GET /', no, 200, 'bare'],
  ['named', 'other', 'HEAD /', no, 200, 'bare'],
  ['named', 'null', 'GET /', no, 200, 'bare'],
  ['named', 'partner', 'GET /', no, 200, 'bare'],
  ['named', 'own', 'GET /', no, 200, 'bare'],
  ['named', 'own', 'POST /', no, 405, 'bare'],
  ['named', 'own', 'GET / authorization x-other', no, 401, 'bare'],
  ['named', 'app', 'GET / accept-language', no, 200, 'named'],
  // Refusals are answers: a page must learn why.
  ['named', 'app', 'POST /', no, 405, 'named'],
  ['named', 'other', 'POST /', no, 405, 'bare'],
  ['named', 'app', 'GET /?like=x', no, 400, 'named'],
  ['named', 'other', 'GET /?like=x', no, 400, 'bare'],
  ['named', 'app', 'GET /v1/me', no, 401, 'named'],
  ['named', 'other', 'GET /v1/me', no, 401, 'bare'],
  ['named', 'app', 'GET /nothing', no, 404, 'named'],
  ['named', 'sub', 'POST /nothing', no, 404, 'named'],
  ['named', 'other', 'GET /nothing', no, 404, 'bare'],
  ['named', 'null', 'GET /nothing', no, 404, 'bare'],
  // Preflights for header fields.
  ['named', 'app', 'GET / if-none-match', root, 200, 'named'],
  ['named', 'app', 'GET / authorization', root, 401, 'named'],
  ['named', 'app', 'GET / content-type', root, 200, 'named'],
  ['named', 'app', 'GET / authorization content-type idempotency-key if-match if-none-match', root, 401, 'named'],
  ['named', 'sub', 'GET / authorization', root, 401, 'named'],
  ['named', 'app', 'GET / x-other', 403, no, 'unsent'],
  ['named', 'app', 'GET / authorization x-other', 403, no, 'unsent'],
  ['named', 'app', 'GET / accept', 403, no, 'unsent'],
  ['named', 'other', 'GET / authorization', 403, no, 'unsent'],
  ['named', 'apex', 'GET / if-none-match', 403, no, 'unsent'],
  ['named', 'port', 'GET / if-none-match', 403, no, 'unsent'],
  ['named', 'scheme', 'GET / if-none-match', 403, no, 'unsent'],
  ['named', 'address', 'GET / if-none-match', 403, no, 'unsent'],
  ['named', 'null', 'GET / authorization', 403, no, 'unsent'],
  // Preflights for methods.
  ['named', 'app', 'PATCH /v1/me', me, 401, 'named'],
  ['named', 'app', 'PATCH /v1/me authorization content-type', me, 401, 'named'],
  ['named', 'sub', 'DELETE /v1/me authorization', me, 401, 'named'],
  ['named', 'other', 'PATCH /v1/me content-type', 403, no, 'unsent'],
  ['named', 'null', 'DELETE /v1/me', 403, no, 'unsent'],
  ['named', 'app', 'patch /v1/me', 405, no, 'unsent'],
  ['named', 'app', 'DELETE /', 405, no, 'unsent'],
  ['named', 'app', 'PUT /', 405, no, 'unsent'],
  ['named', 'other', 'DELETE /', 405, no, 'unsent'],
  ['named', 'app', 'OPTIONS /', root, 204, 'named'],
  ['named', 'other', 'OPTIONS /', 403, no, 'unsent'],
  ['named', 'app', 'DELETE /nothing', 404, no, 'unsent'],
  ['named', 'app', 'GET /nothing authorization', 404, no, 'unsent'],
  ['named', 'other', 'GET /nothing authorization', 404, no, 'unsent'],
  // A route for everybody among routes for some.
  ['named', 'app', `GET ${films}`, no, 200, 'open'],
  ['named', 'other', `GET ${films}`, no, 200, 'open'],
  ['named', 'null', `GET ${films}`, no, 200, 'open'],
  ['named', 'apex', `HEAD ${films}`, no, 200, 'open'],
  ['named', 'other', `GET ${films} if-none-match`, 'GET, HEAD', 200, 'open'],
  ['named', 'app', `GET ${films} if-none-match`, root, 200, 'open'],
  ['named', 'null', `GET ${films} authorization`, 'GET, HEAD', 401, 'open'],
  ['named', 'other', `GET ${films} x-other`, 403, no, 'unsent'],
  ['named', 'other', `+GET ${films}`, no, 200, 'open'],
  ['named', 'other', 'GET /v1/films/999999', no, 404, 'open'],
  ['named', 'other', 'GET /v1/films/x', no, 400, 'open'],
  ['named', 'other', `POST ${films}`, no, 405, 'bare'],
  ['named', 'other', `DELETE ${films}`, 405, no, 'unsent'],
  // A method for one, another of the same URL for others.
  ['named', 'partner', 'POST /add_film authorization content-type', 'POST', 401, 'named'],
  ['named', 'partner', 'POST /add_film', no, 401, 'named'],
  ['named', 'app', 'POST /add_film content-type', 403, no, 'unsent'],
  ['named', 'sub', 'POST /add_film content-type', 403, no, 'unsent'],
  ['named', 'app', 'POST /add_film', no, 401, 'bare'],
  ['named', 'app', 'HEAD /add_film', no, 200, 'named'],
  ['named', 'app', 'HEAD /add_film if-match', 'HEAD, OPTIONS', 200, 'named'],
  ['named', 'partner', 'HEAD /add_film', no, 200, 'bare'],
  ['named', 'partner', 'GET /add_film', no, 405, 'bare'],
  ['named', 'app', 'GET /add_film', no, 405, 'named'],
  // A route for nobody.
  ['named', 'app', 'GET /openapi.json', no, 200, 'none'],
  ['named', 'other', 'GET /openapi.json', no, 200, 'none'],
  ['named', 'app', 'GET /openapi.json if-none-match', 403, no, 'unsent'],
  // Cookies that nobody allowed.
  ['named', 'app', '+GET /', no, 200, 'named'],
  ['named', 'app', '+GET / if-none-match', root, no, 'unsent'],
  // Cookies that somebody allowed: for named origins, never for "*".
  ['credentials', 'app', '+GET /', no, 200, 'credentials'],
  ['credentials', 'app', 'GET /', no, 200, 'credentials'],
  ['credentials', 'sub', '+GET /', no, 200, 'credentials'],
  ['credentials', 'apex', '+GET /', no, 200, 'bare'],
  ['credentials', 'other', '+GET /', no, 200, 'bare'],
  ['credentials', 'null', '+GET /', no, 200, 'bare'],
  ['credentials', 'app', '+PATCH /v1/me content-type', me, 401, 'credentials'],
  ['credentials', 'other', '+PATCH /v1/me content-type', 403, no, 'unsent'],
  ['credentials', 'partner', '+POST /add_film content-type', 'POST', 401, 'credentials'],
  ['credentials', 'app', `+GET ${films}`, no, 200, 'open'],
  ['credentials', 'app', `GET ${films}`, no, 200, 'open'],
  ['credentials', 'app', `+GET ${films} if-none-match`, root, no, 'unsent'],
  ['credentials', 'app', '+GET /nothing', no, 404, 'credentials'],
  // Everybody.
  ['open', 'other', 'GET /', no, 200, 'open'],
  ['open', 'null', 'GET /', no, 200, 'open'],
  ['open', 'own', 'GET /', no, 200, 'open'],
  ['open', 'other', '+GET /', no, 200, 'open'],
  ['open', 'other', 'GET / authorization', root, 401, 'open'],
  ['open', 'null', 'PATCH /v1/me content-type', me, 401, 'open'],
  ['open', 'other', '+PATCH /v1/me content-type', me, no, 'unsent'],
  ['open', 'other', 'GET /nothing', no, 404, 'open'],
  ['open', 'other', 'DELETE /', 405, no, 'unsent'],
  ['open', 'other', 'DELETE /nothing', 404, no, 'unsent'],
  ['open', 'other', 'GET / x-other', 403, no, 'unsent'],
  // Nobody, which is the default.
  ['closed', 'app', 'GET /', no, 200, 'none'],
  ['closed', 'null', 'GET /', no, 200, 'none'],
  ['closed', 'other', 'GET /nothing', no, 404, 'none'],
  ['closed', 'app', 'GET / authorization', 403, no, 'unsent'],
  ['closed', 'other', 'PATCH /v1/me content-type', 403, no, 'unsent'],
  ['closed', 'own', 'GET /', no, 200, 'none'],
  ['closed', 'own', 'PATCH /v1/me content-type', no, 401, 'none'],
]

const caseOf = ([server, page, request, preflight, status, kind]: Row): Case => {
  const [method = '', target = '', ...names] = request.replace('+', '').split(' ')
  const credentials = request.startsWith('+')
  const mayRead = kind === 'credentials' || (!credentials && (kind === 'named' || kind === 'open'))
  return {
    server,
    page,
    method,
    target,
    credentials,
    preflight,
    status,
    kind,
    headers: Object.fromEntries(names.map((name) => [name, headerValues[name] ?? ''])),
    // To its own pages a server says what it says: the fields are for others.
    isReadable: page === 'own' || mayRead,
  }
}

export const cases: readonly Case[] = rows.map(caseOf)

export const titleOf = ({ server, page, method, target, headers, credentials, kind, preflight }: Case): string =>
  `${server}: a page of ${page} sends ${method} ${target}${Object.keys(headers)
    .map((name) => ` ${name}`)
    .join('')}${credentials ? ' with credentials' : ''}: ${kind === 'unsent' ? `stopped by its preflight (${preflight ?? ''})` : kind}`
