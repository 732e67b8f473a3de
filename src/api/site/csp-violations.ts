/** What a report says, cut down to what may stand in a log: nothing of it is text of whoever sent it. */
export interface Violation {
  /** The path of our page, without its query. */
  readonly document: string
  readonly directive: string
  /** A keyword, an origin or a scheme; never a whole address, which may hold a secret. */
  readonly blocked: string
}

/** Of `application/csp-report` (CSP Level 3 section 5.3). */
interface LegacyReport {
  readonly 'csp-report': {
    readonly 'document-uri': string
    readonly 'effective-directive'?: string
    readonly 'violated-directive'?: string
    readonly 'blocked-uri'?: string
  }
}

/** Of `application/reports+json` (W3C Reporting API section 3.2). */
interface Report {
  readonly type: string
  readonly body: { readonly documentURL?: string; readonly effectiveDirective?: string; readonly blockedURL?: string }
}

export type ReportBody = LegacyReport | readonly Report[]

/** Every violation in a body. `isOwn` says which pages are ours: what others report of theirs is none of our business. */
export const violationsIn = (body: ReportBody, isOwn: (url: string) => boolean): Violation[] =>
  ('csp-report' in body ? [legacyFacts(body)] : body.filter(({ type }) => type === 'csp-violation').map(facts))
    .filter(({ page }) => isOwn(page))
    .map(({ page, directive, blocked }) => ({
      document: new URL(page).pathname.slice(0, maxPathLength),
      directive: directives.has(directive) ? directive : 'other',
      blocked: blockedSource(blocked),
    }))

const maxPathLength = 100

const legacyFacts = ({ 'csp-report': report }: LegacyReport) => ({
  page: report['document-uri'],
  // The first word of the older member, which holds the whole directive in some browsers.
  directive: report['effective-directive'] ?? report['violated-directive']?.split(' ', 1)[0] ?? '',
  blocked: report['blocked-uri'] ?? '',
})

const facts = ({ body }: Report) => ({
  page: body.documentURL ?? '',
  directive: body.effectiveDirective ?? '',
  blocked: body.blockedURL ?? '',
})

const blockedSource = (blocked: string): string => {
  if (keywords.has(blocked)) return blocked
  if (!URL.canParse(blocked)) return 'other'
  const { protocol, origin } = new URL(blocked)
  if (origin !== 'null' && protocol !== 'blob:') return origin.length > maxOriginLength ? 'other' : origin
  return schemes.has(protocol) ? protocol : 'other'
}

/** A name of DNS has 253 characters. */
const maxOriginLength = 270

/** CSP Level 3 section 2.4, "blocked-uri", and what browsers say besides. */
const keywords = new Set([
  'inline',
  'eval',
  'wasm-eval',
  'trusted-types-policy',
  'trusted-types-sink',
  'self',
  'data',
  'blob',
  'about',
  'filesystem',
])

const schemes = new Set([
  'data:',
  'blob:',
  'about:',
  'javascript:',
  'file:',
  'filesystem:',
  'chrome-extension:',
  'moz-extension:',
  'safari-web-extension:',
])

const directives = new Set([
  'default-src',
  'script-src',
  'script-src-elem',
  'script-src-attr',
  'style-src',
  'style-src-elem',
  'style-src-attr',
  'img-src',
  'connect-src',
  'font-src',
  'media-src',
  'object-src',
  'frame-src',
  'child-src',
  'worker-src',
  'manifest-src',
  'prefetch-src',
  'fenced-frame-src',
  'base-uri',
  'form-action',
  'frame-ancestors',
  'navigate-to',
  'sandbox',
  'upgrade-insecure-requests',
  'require-trusted-types-for',
  'trusted-types',
])
