import type { FastifyInstance } from 'fastify'
import Type from 'typebox'

import type { RouteDescription } from '../../../layers/index.ts'
import { NoQuery } from '../../films/schema.ts'
import { createFixedAnswer } from '../../site/fixed-answer.ts'
import type { SigningKeys } from './signing-keys.ts'

const publicJwk = {
  kty: 'EC',
  crv: 'P-256',
  x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
  y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
  kid: 'oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U',
  use: 'sig',
  alg: 'ES256',
}

const Coordinate = Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' })

const KeySet = Type.Object(
  {
    keys: Type.Array(
      Type.Object(
        {
          kty: Type.Literal('EC'),
          crv: Type.Literal('P-256'),
          x: Coordinate,
          y: Coordinate,
          kid: Type.String({ description: 'The thumbprint of the key (RFC 7638); tokens name it in their header.' }),
          use: Type.Literal('sig'),
          alg: Type.Literal('ES256'),
        },
        { additionalProperties: false },
      ),
    ),
  },
  { additionalProperties: false, description: 'A JWK set (RFC 7517).', examples: [{ keys: [publicJwk] }] },
)

const description = {
  operationId: 'signingKeys',
  summary: 'The keys of access tokens',
  description:
    'For whoever verifies access tokens without asking this server: the public keys that sign them now, will soon, or did so a short while ago.',
  tags: ['About'],
  answers: {
    200: { description: 'The keys.', headers: ['ETag'] },
    304: { description: 'They are still what you have.', headers: ['ETag'] },
  },
} as const satisfies RouteDescription

/** Counts in `total` alone: who checks our tokens must not be refused for it. */
export const jwksRoute = (server: FastifyInstance, signingKeys: Pick<SigningKeys, 'jwks'>): void => {
  const answerFor = createAnswers()
  const schema = { ...description, querystring: NoQuery, response: { 200: KeySet } }
  server.get('/.well-known/jwks.json', { schema, config: { access: 'public', limits: 'none' } }, async (request, reply) =>
    answerFor(JSON.stringify(await signingKeys.jwks()))(request, reply),
  )
}

const fixedAnswer = (body: string) =>
  createFixedAnswer({ body, type: 'application/json; charset=utf-8', cacheControl: 'public, max-age=300' })

/** Made anew when the keys have changed. */
const createAnswers = () => {
  let known: { readonly body: string; readonly answer: ReturnType<typeof fixedAnswer> } | undefined
  return (body: string) => {
    if (known?.body !== body) known = { body, answer: fixedAnswer(body) }
    return known.answer
  }
}
