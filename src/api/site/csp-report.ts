import type { FastifyInstance } from 'fastify'
import Type from 'typebox'

import { isOwnOrigin } from '../own-origins.ts'
import { NoQuery } from '../films/schema.ts'
import type { Log } from '../../layers/index.ts'
import { type ReportBody, violationsIn } from './csp-violations.ts'
import { describeCspReport } from './descriptions.ts'
import { createNoteBudget } from './note-budget.ts'
import { reportPath } from './page-fields.ts'

export interface CspReportOptions {
  /** Writes a line of the log. */
  readonly note: Log['note']
  readonly monotonicMs: () => number
  /** `server.public_url`, or empty. */
  readonly publicUrl: string
}

/** A report of a page of ours has some 500 bytes. */
const bodyLimitBytes = 8192
const maxReports = 20
const notesPerMinute = 60
/** With ten bodies a minute one client has half of them at most, so that it cannot silence the others. */
const notesPerBody = 3

const text = (description: string) => Type.String({ description })
/** Browsers say more than is read here, and each says something else. */
const open = { additionalProperties: true } as const

const Legacy = Type.Object(
  {
    'csp-report': Type.Object(
      {
        'document-uri': text('The page on which it happened.'),
        'effective-directive': Type.Optional(text('What forbade it.')),
        'violated-directive': Type.Optional(text('The same from older browsers.')),
        'blocked-uri': Type.Optional(text('What was forbidden: a keyword or an address.')),
      },
      open,
    ),
  },
  { ...open, description: 'As application/csp-report.' },
)

const Batch = Type.Array(
  Type.Object(
    {
      type: text('csp-violation; what is of another type is ignored.'),
      body: Type.Object(
        {
          documentURL: Type.Optional(text('The page on which it happened.')),
          effectiveDirective: Type.Optional(text('What forbade it.')),
          blockedURL: Type.Optional(text('What was forbidden: a keyword or an address.')),
        },
        open,
      ),
    },
    open,
  ),
  { minItems: 1, maxItems: maxReports, description: 'As application/reports+json.' },
)

const examplePage = 'https://films.example/index.html'

/** An example for each of the types that the route reads, in their order. */
const Reports = Type.Union([Legacy, Batch], {
  description: 'What a browser refused to do for a page of this server.',
  examples: [
    { 'csp-report': { 'document-uri': examplePage, 'effective-directive': 'script-src-elem', 'blocked-uri': 'inline' } },
    [
      {
        type: 'csp-violation',
        url: examplePage,
        body: { documentURL: examplePage, effectiveDirective: 'script-src-elem', blockedURL: 'inline' },
      },
    ],
  ],
})

/**
 * Where browsers tell what the policy of a page made them refuse: the sign of an injection, or of a page that its policy does not fit.
 * Anybody can make such reports up, so a report only ever becomes a line of a few known words, and not many of those.
 */
export const cspReportRoute = (app: FastifyInstance, { note, monotonicMs, publicUrl }: CspReportOptions): void => {
  const budget = createNoteBudget(notesPerMinute, monotonicMs)
  app.post(
    reportPath,
    {
      schema: { ...describeCspReport, querystring: NoQuery, body: Reports },
      bodyLimit: bodyLimitBytes,
      config: {
        access: 'public',
        limits: { add: '10 per minute' },
        consumes: ['application/csp-report', 'application/reports+json'],
      },
    },
    (request, reply) => {
      const violations = violationsIn(request.body as ReportBody, (url) => isOwnOrigin(url, request, publicUrl))
      for (const violation of violations.slice(0, notesPerBody)) {
        const leftOut = budget.take()
        if (leftOut === undefined) continue
        const before = leftOut === 0 ? {} : { left_out_before: leftOut }
        const of = violations.length > notesPerBody ? { of_reports: violations.length } : {}
        note('warn', 'A browser reports a violation of the content security policy', {
          requestId: request.id,
          ...violation,
          ...of,
          ...before,
        })
      }
      return reply.code(204).send()
    },
  )
}
