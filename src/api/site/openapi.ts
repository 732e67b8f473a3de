import { readFileSync } from 'node:fs'

import type { RouteEntry } from '../../layers/index.ts'
import type { ApiDescription } from './document.ts'
import { headerFields } from './header-fields.ts'
import { operationOf, type OperationOptions, sharedRefusals } from './operations.ts'
import { namedSchemas } from './schemas.ts'

/** The same from src/ and from dist/. */
const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { version: string }

export interface DescriptionOptions extends OperationOptions {
  /** The complete table: what is not in it is not described. */
  readonly routes: readonly RouteEntry[]
  /** `server.public_url`, or empty. */
  readonly publicUrl: string
}

const about = `Films at random, one at a time, and the votes of those who see them.

**Credentials.** Send the field \`Authorization\` with the word Bearer, one space and an access token or an API key. An access token is what a login answers: it is a person's, good for minutes, and the refresh token gets the next one. An API key is a program's. Where a call is open to everybody leave the field out. Credentials that are not valid are refused everywhere.

**Fresh logins.** Calls that could take an account over, or that change the rights of others, want a login of the last five minutes. Otherwise they answer 401, and \`WWW-Authenticate\` says \`insufficient_user_authentication\` (RFC 9470): log in again, a refresh does not do.

**Limits.** \`RateLimit-Policy\` lists the quotas that a request counts in, \`RateLimit\` what is left of them; \`x-rate-limit\` of each operation is the same before the first call. Every refusal counts, too. Of 429 and 503 \`Retry-After\` says when to come back.

**Refusals** are problem documents (RFC 9457). Their \`type\` leads to a page that explains them, their \`code\` never changes.

**Methods.** HEAD is answered wherever GET is, with the same fields and no body. OPTIONS lists the methods of an address; any other method is 405 with \`Allow\`.

**Pages of other origins** may call from a browser where the operator of the server named them (CORS). A preflight is answered without credentials and counts in no quota but the one over everything; one that is refused says why. What such a page may read beside the body: \`RateLimit\`, \`RateLimit-Policy\`, \`Retry-After\`, \`Location\`, \`ETag\`, \`Link\`, \`X-Request-Id\`, \`WWW-Authenticate\`.

**Bodies** are JSON in UTF-8 and nothing else. What is not described here is refused: unknown members, unknown parameters, repeated ones.`

const tagTexts: Readonly<Record<string, string>> = {
  Films: 'Films and votes.',
  Login: 'In and out: tokens for a password, a second factor or a passkey, the next ones, and none any more.',
  Account: 'Your own account.',
  'Second factors': 'What your logins ask for beside the password, or instead of it: an authenticator app, recovery codes, passkeys.',
  Sessions: 'Where you are logged in.',
  'API keys': 'Credentials for programs that act for you.',
  Users: 'For admins: all accounts.',
  Limits: 'For operators: how often anybody may call.',
  Security: 'For operators: what happened, who is refused, and why.',
  Audit: 'For operators: who changed what.',
  About: 'What this server says of itself.',
  Page: 'For people with a browser.',
}

const accessToken = {
  type: 'http',
  scheme: 'bearer',
  bearerFormat: 'JWT (RFC 9068)',
  description: 'An access token: what a login answers, good for minutes. POST /v1/auth/refresh gives the next one.',
}

const apiKey = {
  type: 'http',
  scheme: 'bearer',
  bearerFormat: 'API key: fg_<id>_<secret><checksum>',
  description:
    'An API key, made by POST /v1/keys. Until there is an admin, starter.key in the data folder of the server holds one that may add films.',
}

const keyField = {
  type: 'apiKey',
  in: 'header',
  name: 'X-Api-Key',
  description: 'An API key, for bouncers of CrowdSec, which send it nowhere else. Other routes ignore this field.',
}

/** The description of the API by its own table of routes, so that it cannot say anything else than what is served. */
export const describeApi = (options: DescriptionOptions): ApiDescription => {
  const routes = describedRoutes(options.routes)
  const used = new Set(routes.flatMap(({ schema }) => schema.tags ?? []))
  return {
    openapi: '3.1.1',
    info: { title: 'Filmgate', version, summary: 'A film API.', description: about, license: { name: 'MIT', identifier: 'MIT' } },
    servers: [{ url: options.publicUrl === '' ? '/' : options.publicUrl, description: 'This server.' }],
    tags: Object.entries(tagTexts).flatMap(([name, description]) => (used.has(name) ? [{ name, description }] : [])),
    paths: Object.fromEntries(
      [...Map.groupBy(routes, ({ url }) => pathOf(url))].map(([path, sharing]) => [
        path,
        Object.fromEntries(sharing.map((route) => [route.method.toLowerCase(), operationOf(route, options)])),
      ]),
    ),
    components: {
      schemas: namedSchemas,
      responses: sharedRefusals(routes, options),
      headers: headerFields,
      securitySchemes: { accessToken, apiKey, keyField },
    },
  }
}

/** HEAD beside GET is no operation of its own: it is GET without the body (RFC 9110 section 9.3.2), and the text above says so. */
export const describedRoutes = (routes: readonly RouteEntry[]): readonly RouteEntry[] => {
  const withGet = new Set(routes.filter(({ method }) => method === 'GET').map(({ url }) => url))
  return routes.filter(({ method, url, schema }) => schema.hide !== true && !(method === 'HEAD' && withGet.has(url)))
}

/** `/v1/films/:id` as `/v1/films/{id}`. */
const pathOf = (url: string): string => url.replaceAll(/:(\w+)/g, '{$1}')
