import type { FastifyRequest } from 'fastify'

import type { Client, Principal } from '../../core/request.ts'
import type { EndedRequest } from './signal.ts'

/** What an access log knows of a request at its end. */
export type RequestRecord = Pick<
  EndedRequest,
  'epochMs' | 'requestId' | 'method' | 'route' | 'status' | 'durationMs' | 'verdict' | 'userAgent'
>

/** A request as the monitor sees it, from what the access log says of it. */
export const endedRequest = (record: RequestRecord, request: FastifyRequest): EndedRequest => ({
  epochMs: record.epochMs,
  requestId: record.requestId,
  method: record.method,
  route: record.route,
  status: record.status,
  durationMs: record.durationMs,
  verdict: record.verdict,
  userAgent: record.userAgent,
  client: request.client,
  // Undefined where no layer asks who acts.
  principal: (request as { readonly principal?: Principal | null }).principal ?? null,
  isForeign: isForeign(request.raw.headers['sec-fetch-site'], record.route) && !isOfNamedOrigin(request),
  target: request.originalUrl,
  params: request.params as Readonly<Record<string, string>>,
  body: request.body,
})

/** What was refused before it became a request: too slow, too large, or no HTTP. Of what was sent nothing can be trusted, or nothing is known. */
export const unparsedRequest = (record: RequestRecord, client: Client): EndedRequest => ({
  epochMs: record.epochMs,
  requestId: record.requestId,
  method: record.method,
  route: null,
  status: record.status,
  durationMs: record.durationMs,
  verdict: record.verdict,
  userAgent: null,
  client,
  principal: null,
  isForeign: false,
  target: '',
  params: noParams,
  body: undefined,
})

const noParams: EndedRequest['params'] = {}

/** Whoever leaves the header out, or says otherwise, is taken at their word: no page can do either. */
const isForeign = (site: string | string[] | undefined, route: string | null): boolean =>
  // Of a link in a mail or a chat a browser says `none`, as of an address that was typed: whoever follows one to where nothing is was led there.
  site === 'cross-site' || site === 'same-site' || (site === 'none' && route === null)

/** A page that the operator named is trusted like one of our own; no page can say that it is of another origin, and whoever else does is counted. */
const isOfNamedOrigin = (request: FastifyRequest): boolean => (request as { readonly isOfNamedOrigin?: boolean }).isOfNamedOrigin === true
