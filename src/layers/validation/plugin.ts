import type { FastifyPluginCallback, FastifyServerOptions, onRequestHookHandler } from 'fastify'

import { Problem } from '../../core/errors.ts'
import { wholeServer } from '../../core/plugin.ts'
import { accepts } from './accept.ts'
import { parseStrictJson, StrictJsonError } from './strict-json.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Bytes of the body that were read. */
    bodyBytes?: number
  }
  interface FastifyContextConfig {
    /** What the route answers with; application/json unless said. */
    produces?: string
  }
}

/** Ajv as the schemas are meant: nothing is coerced, stripped or filled in, and a misspelt schema keyword stops the start. */
export const ajvOptions: NonNullable<FastifyServerOptions['ajv']> = {
  customOptions: {
    coerceTypes: false,
    removeAdditional: false,
    useDefaults: false,
    allErrors: true,
    strict: true,
    allowUnionTypes: true,
    keywords: ['x-public'],
  },
}

/** Deeper than any document of this API; a parser's stack is not the client's to spend. */
export const maxDepth = 32

const unsupported = new Problem('unsupported_media_type', {
  detail: 'Send application/json in UTF-8, without Content-Encoding.',
  headers: { 'accept-post': 'application/json' },
})

const tooLarge = new Problem('payload_too_large', { detail: 'Send a smaller body.', headers: { connection: 'close' } })

/**
 * Step 11, before the schemas: bodies are JSON and nothing else. What a browser can send across sites without a preflight (forms, text/plain)
 * is refused, so no such page can change anything here.
 */
export const validation: FastifyPluginCallback = wholeServer('validation', (app, _options, done) => {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, parsed) => {
    request.bodyBytes = body.length
    try {
      parsed(null, parseStrictJson(body as Buffer, maxDepth))
    } catch (error) {
      const detail = error instanceof StrictJsonError ? error.message : 'The body cannot be read.'
      parsed(new Problem('bad_request', { detail, cause: error }))
    }
  })

  app.addHook('onRoute', (route) => {
    // A hook of each route, behind those that say who may call it how often: input is nobody's business before that.
    route.onRequest = [
      route.onRequest ?? [],
      createMediaTypeCheck(route.config?.produces ?? 'application/json', route.bodyLimit ?? app.initialConfig.bodyLimit ?? Infinity),
    ].flat()
  })
  done()
})

const createMediaTypeCheck =
  (produces: string, bodyLimitBytes: number): onRequestHookHandler =>
  (request, _reply, next) => {
    const { headers } = request.raw
    const { accept } = headers
    if (accept !== undefined && accept !== '*/*' && !accepts(accept, produces)) {
      next(new Problem('not_acceptable', { detail: `This answers ${produces}.` }))
    } else if (carriesBody(headers) && !isPlainJson(headers)) next(unsupported)
    // On every method: a body that no route reads is received all the same.
    else if (Number(headers['content-length'] ?? 0) > bodyLimitBytes) next(tooLarge)
    else next()
  }

type Headers = { readonly [name: string]: string | string[] | undefined }

const carriesBody = (headers: Headers): boolean =>
  headers['transfer-encoding'] !== undefined || (headers['content-length'] !== undefined && headers['content-length'] !== '0')

/** Only the exact media type: parameters other than charset=utf-8, tabs and the like have let bodies slip past validation (CVE-2025-32442, CVE-2026-25223). */
const isPlainJson = (headers: Headers): boolean =>
  /^application\/json(; ?charset=(utf-8|"utf-8"))?$/i.test(String(headers['content-type'])) &&
  (headers['content-encoding'] === undefined || headers['content-encoding'] === 'identity')
