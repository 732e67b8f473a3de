import type { IncomingMessage } from 'node:http'

import type { FastifyBodyParser, FastifyPluginCallback, FastifyServerOptions, onRequestHookHandler, RouteOptions } from 'fastify'

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
    /** What the route answers with; application/json unless said. Of several the first is what its schema says. */
    produces?: string | readonly string[]
    /** The types of body that the route reads, JSON in whatever name; application/json unless said. */
    consumes?: readonly string[]
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

const tooLarge = new Problem('payload_too_large', { detail: 'Send a smaller body.', headers: { connection: 'close' } })

/**
 * Step 11, before the schemas: bodies are JSON and nothing else. What a browser can send across sites without a preflight (forms, text/plain)
 * is refused, so no such page can change anything here.
 */
export const validation: FastifyPluginCallback = wholeServer('validation', (app, _options, done) => {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(json, { parseAs: 'buffer' }, parseBody)

  app.addHook('onRoute', (route) => {
    // Whoever else sends such a body is refused before it is read: the check below knows what its route reads.
    for (const type of route.config?.consumes ?? [])
      if (!app.hasContentTypeParser(type)) app.addContentTypeParser(type, { parseAs: 'buffer' }, parseBody)
    // A hook of each route, behind those that say who may call it how often: input is nobody's business before that.
    route.onRequest = [
      route.onRequest ?? [],
      createMediaTypeCheck(route.config, route.bodyLimit ?? app.initialConfig.bodyLimit ?? Infinity),
    ].flat()
  })
  done()
})

const json = 'application/json'

const parseBody: FastifyBodyParser<Buffer> = (request, body, parsed) => {
  request.bodyBytes = body.length
  try {
    parsed(null, parseStrictJson(body, maxDepth))
  } catch (error) {
    const detail = error instanceof StrictJsonError ? error.message : 'The body cannot be read.'
    parsed(new Problem('bad_request', { detail, cause: error }))
  }
}

const createMediaTypeCheck = (config: RouteOptions['config'], bodyLimitBytes: number): onRequestHookHandler => {
  const { produces = json, consumes } = config ?? {}
  const made = [produces].flat()
  const { read, unsupported } = consumes === undefined ? jsonBodies : bodiesOf(consumes)
  return (request, _reply, next) => {
    const { headers } = request.raw
    const { accept } = headers
    if (accept !== undefined && accept !== '*/*' && !made.some((type) => accepts(accept, type))) {
      next(new Problem('not_acceptable', { detail: `This answers ${made.join(' or ')}.` }))
    } else if (carriesBody(request.raw) && !(read.has(String(headers['content-type']).toLowerCase()) && isPlain(headers))) next(unsupported)
    // On every method: a body that no route reads is received all the same.
    else if (Number(headers['content-length'] ?? 0) > bodyLimitBytes) next(tooLarge)
    else next()
  }
}

type Headers = { readonly [name: string]: string | string[] | undefined }

/** HTTP/1.1 announces a body in its fields (RFC 9112 section 6); over HTTP/2 one may follow that no field tells of. */
const carriesBody = (request: IncomingMessage & { readonly stream?: { readonly endAfterHeaders: boolean } }): boolean => {
  const { headers, stream } = request
  if (headers['transfer-encoding'] !== undefined || (headers['content-length'] !== undefined && headers['content-length'] !== '0'))
    return true
  return stream?.endAfterHeaders === false && headers['content-length'] === undefined
}

const charsets = ['', ';charset=utf-8', '; charset=utf-8', ';charset="utf-8"', '; charset="utf-8"']

/** Only the exact media type: parameters other than charset=utf-8, tabs and the like have let bodies slip past validation (CVE-2025-32442, CVE-2026-25223). */
const bodiesOf = (types: readonly string[]) => ({
  read: new Set(types.flatMap((type) => charsets.map((charset) => type + charset))) as ReadonlySet<string>,
  unsupported: new Problem('unsupported_media_type', {
    detail: `Send ${types.join(' or ')} in UTF-8, without Content-Encoding.`,
    headers: { 'accept-post': types.join(', ') },
  }),
})

const jsonBodies = bodiesOf([json])

const isPlain = (headers: Headers): boolean => headers['content-encoding'] === undefined || headers['content-encoding'] === 'identity'
